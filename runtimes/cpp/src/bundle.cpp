#include "bundle.hpp"

#include <algorithm>
#include <set>

#include "files.hpp"
#include "messages.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifestFile = "manifest.json";
const std::vector<std::string> kNeeded = {kTokenizerFile, "route.json", "golden/prompts.json", "golden/tensors.npz"};
constexpr std::size_t kLongestPart = 100, kMostParts = 4;

/// A plain name: up to four parts of letters, digits and "_.-", and nowhere two dots in a row. It also keeps out what
/// some file system would not take, and what would confuse a terminal.
bool is_plain_name(const std::string& name) {
  if (name.find("..") != name.npos) return false;
  std::size_t length = 0, parts = 1;
  for (const char c : name) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '/') {
      if (length == 0 || ++parts > kMostParts) return false;
      length = 0;
    } else if (!(is_letter || c == '_' || c == '.' || c == '-') || ++length > kLongestPart) {
      return false;
    }
  }
  return length > 0;
}

/// Whether `file`, all links followed, lies below `root`.
bool is_within(const fs::path& root, const fs::path& file) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(file, error);
  return !error && std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
}

void check_names(const fs::path& path, const Manifest& manifest) {
  std::set<std::string> needed(kNeeded.begin(), kNeeded.end());
  for (const auto& [name, graph] : manifest.graphs) needed.insert(graph.file);
  for (const EngineRecord& engine : manifest.tensorrt.engines) needed.insert(engine.file);
  std::vector<std::string> unlisted;
  for (const std::string& name : needed) {
    if (!manifest.files.count(name)) unlisted.push_back(name);
  }
  if (!unlisted.empty()) {
    throw BundleError((path / kManifestFile).string() + " lists no hash for " + joined(unlisted) +
                      ". Export the bundle anew.");
  }
  const fs::path root = fs::canonical(path);
  for (const auto& [name, record] : manifest.files) {
    if (is_plain_name(name) && is_within(root, path / name)) continue;
    throw BundleError((path / kManifestFile).string() + " names " + in_quotes(name) +
                      ", which leaves the bundle or is no plain file name. Do not use this bundle.");
  }
}

void check_nothing_else(const fs::path& path, const Manifest& manifest) {
  std::vector<std::string> extra;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_directory() && !entry.is_symlink()) continue;
    const std::string name = entry.path().lexically_relative(path).generic_string();
    if (name != kManifestFile && !manifest.files.count(name)) extra.push_back(name);
  }
  std::sort(extra.begin(), extra.end());
  if (!extra.empty()) {
    throw BundleError(path.string() + " holds files that its manifest does not list: " + joined(extra) +
                      ". Remove them.");
  }
}

void check_file(const fs::path& path, const std::string& name, const FileRecord& record) {
  const fs::path file = path / name;
  const std::string where = path.string() + ": " + name;
  if (!fs::is_regular_file(file)) throw BundleError(where + " is missing. Copy or export the bundle anew.");
  const auto size = static_cast<std::int64_t>(fs::file_size(file));
  if (size != record.bytes) {
    throw BundleError(where + " has " + std::to_string(size) + " bytes, expected " + std::to_string(record.bytes) +
                      ". Copy or export the bundle anew.");
  }
  if (sha256_of(file) != record.sha256) {
    throw BundleError(where + " was changed: its SHA-256 is not the manifest's. Copy or export it anew.");
  }
}

Manifest read_manifest(const fs::path& path) {
  const fs::path file = path / kManifestFile;
  if (!fs::is_regular_file(file)) {
    const std::string problem = !fs::exists(path)           ? "does not exist"
                                : fs::is_regular_file(path) ? "is a file, not a bundle folder"
                                                            : "holds no manifest.json";
    throw BundleError(path.string() + " " + problem +
                      ". Make a bundle with: sam3i-edge export --checkpoint FILE -o DIR");
  }
  std::string content;
  try {
    content = read_file(file);
  } catch (const std::runtime_error& error) {
    throw BundleError(file.string() + " cannot be read: " + error.what() + ". Copy or export the bundle anew.");
  }
  return parse_manifest(content, file);
}

}  // namespace

Bundle open_bundle(const fs::path& path) {
  try {
    Manifest manifest = read_manifest(path);
    check_names(path, manifest);
    check_nothing_else(path, manifest);
    for (const auto& [name, record] : manifest.files) check_file(path, name, record);
    return {path, std::move(manifest)};
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {  // of the file system: no permission, a file that vanished
    throw BundleError(path.string() + " cannot be read: " + error.what() + ". Copy or export the bundle anew.");
  }
}

}  // namespace sam3i_edge::detail
