#include "bundle.hpp"

#include <algorithm>
#include <set>

#include "external_data.hpp"
#include "files.hpp"
#include "messages.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifestFile = "manifest.json";
/// Made of a finished bundle, so that its manifest cannot list it.
constexpr const char* kSignatureFile = "model.sig";
constexpr std::size_t kLongestPart = 100, kMostParts = 4;
constexpr std::size_t kMostManifest = 4 << 20;  // bytes
constexpr std::size_t kMostShown = 10, kMostUnlisted = 1000;

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

void check_names(const fs::path& path, const Manifest& manifest) {
  std::set<std::string> needed = {manifest.tokenizer, manifest.router, manifest.golden.prompts,
                                  manifest.golden.tensors};
  for (const auto& [name, graph] : manifest.graphs) needed.insert(graph.file);
  for (const EngineRecord& engine : manifest.engines) needed.insert(engine.file);
  std::vector<std::string> unlisted;
  for (const std::string& name : needed) {
    if (!manifest.files.count(name)) unlisted.push_back(name);
  }
  if (!unlisted.empty()) {
    throw BundleError((path / kManifestFile).string() + " lists no hash for " + joined(unlisted) +
                      ". Export the bundle again.");
  }
  for (const auto& [name, record] : manifest.files) {
    if (is_plain_name(name)) continue;
    throw BundleError((path / kManifestFile).string() + " names " + in_quotes(name) +
                      ", which leaves the bundle or is no plain file name. Do not use this bundle.");
  }
}

/// Names of what is in a bundle beside its files, the manifest, a signature, empty folders, and what is hidden. Only
/// folders of listed files are entered, through links, too.
std::vector<std::string> unlisted(const fs::path& path, const Manifest& manifest) {
  std::set<std::string> folders = {""};
  for (const auto& [name, record] : manifest.files) {
    for (std::size_t at = name.find('/'); at != name.npos; at = name.find('/', at + 1)) {
      folders.insert(name.substr(0, at));
    }
  }
  std::vector<std::string> extra;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(path / folder)) continue;
    for (const auto& entry : fs::directory_iterator(path / folder)) {
      const std::string own = entry.path().filename().string(), name = folder.empty() ? own : folder + "/" + own;
      if (own[0] == '.' || name == kManifestFile || name == kSignatureFile || manifest.files.count(name)) continue;
      const bool is_folder = entry.is_directory() && !entry.is_symlink();
      if ((folders.count(name) && entry.is_directory()) || (is_folder && fs::is_empty(entry.path()))) continue;
      extra.push_back(is_folder ? name + "/" : entry.is_symlink() ? name + " (a link)" : name);
      if (extra.size() == kMostUnlisted) return extra;
    }
  }
  return extra;
}

void check_nothing_else(const fs::path& path, const Manifest& manifest) {
  std::vector<std::string> extra = unlisted(path, manifest);
  if (extra.empty()) return;
  std::sort(extra.begin(), extra.end());
  if (extra.size() > kMostShown) {
    extra.resize(kMostShown);
    extra.push_back("\u2026");
  }
  throw BundleError(path.string() + " holds files that its manifest does not list: " + joined(extra) +
                    ". Remove them.");
}

/// Why what should be a file is none.
std::string lack(const fs::path& file) {
  std::error_code error;
  if (fs::symlink_status(file, error).type() == fs::file_type::not_found || error) return "is missing";
  if (fs::is_symlink(file, error) && !fs::exists(file, error)) return "is a link that leads nowhere";
  return "is not a regular file";
}

/// Also of a link that leads nowhere, or to itself. Throws where the file system does not say.
bool is_file(const fs::path& file) {
  std::error_code error;
  const fs::file_status found = fs::status(file, error);
  if (error && fs::status_known(found) == false && error != std::errc::too_many_symbolic_link_levels) {
    throw fs::filesystem_error(error.message(), file, error);
  }
  return fs::is_regular_file(found);
}

std::string wrong_size(const fs::path& path, const std::string& name, std::int64_t found, std::int64_t expected) {
  return path.string() + ": " + name + " has " + std::to_string(found) + " bytes, expected " +
         std::to_string(expected) + ". Copy or export the bundle again.";
}

std::string changed(const fs::path& path, const std::string& name) {
  return path.string() + ": " + name + " was changed: its SHA-256 is not the manifest's. Copy or export it again.";
}

void check_file(Bundle& bundle, const std::string& name, const FileRecord& record, bool is_hashed) {
  const fs::path file = bundle.path / name;
  if (!is_file(file)) {
    throw BundleError(bundle.path.string() + ": " + name + " " + lack(file) + ". Copy or export the bundle again.");
  }
  const auto size = static_cast<std::int64_t>(fs::file_size(file));
  if (size != record.bytes) throw BundleError(wrong_size(bundle.path, name, size, record.bytes));
  if (bundle.integrity == Integrity::full && is_hashed) {
    bundle.stamps[name] = stamp_of(file);
    if (sha256_of(file) != record.sha256) throw BundleError(changed(bundle.path, name));
  }
}

std::string no_manifest(const fs::path& path) {
  if (is_file(path)) return "is a file, not a bundle folder";
  std::error_code error;
  if (fs::symlink_status(path / kManifestFile, error).type() != fs::file_type::not_found && !error) {
    return "has a manifest.json that is no file, or a link that leads nowhere";
  }
  return fs::exists(path, error) ? "holds no manifest.json" : "does not exist";
}

std::string read_manifest(const fs::path& path) {
  const fs::path file = path / kManifestFile;
  if (!is_file(file)) {
    throw BundleError(path.string() + " " + no_manifest(path) +
                      ". Make a bundle with: sam3i-edge export --checkpoint FILE -o DIR");
  }
  std::string content;
  try {
    content = read_file(file, kMostManifest + 1);
  } catch (const std::runtime_error& error) {
    throw BundleError(file.string() + " cannot be read: " + error.what() + ". Copy or export the bundle again.");
  }
  if (content.size() <= kMostManifest) return content;
  throw BundleError(file.string() + " has more than " + std::to_string(kMostManifest) +
                    " bytes. Copy or export the bundle again.");
}

void check_fingerprint(const fs::path& path, const std::string& found, const std::optional<std::string>& expect) {
  if (!expect || found == *expect) return;
  if (expect->size() != found.size() || expect->find_first_not_of("0123456789abcdef") != expect->npos) {
    throw BundleError("expect is " + in_quotes(*expect) +
                      ", which is no fingerprint: give the 64 digits 0-9 and a-f that sam3i-edge inspect prints for a "
                      "bundle that you trust.");
  }
  throw BundleError(path.string() + " has the fingerprint " + found + ", expected " + *expect +
                    ". It is another bundle: do not use it.");
}

std::string weights_file(const std::string& graph) { return graph + ".data"; }

/// Whether the graph's weights lie beside it.
bool check_named_files(const Bundle& bundle, const std::string& file, const std::string& content) {
  const std::string where = (bundle.path / file).string();
  std::set<std::string> named;
  try {
    named = named_files(content);
  } catch (const std::runtime_error& error) {
    throw BundleError(where + " is no graph of a bundle: " + error.what() + ". Do not use this bundle.");
  }
  const std::string weights = weights_file(file);
  const std::set<std::string> allowed = {fs::path(weights).filename().string()};
  if (named.empty() || (named == allowed && bundle.manifest.files.count(weights))) return !named.empty();
  std::vector<std::string> shown;
  for (const std::string& name : named) {
    if (shown.size() < kMostShown) shown.push_back(in_quotes(name));
  }
  throw BundleError(where + " reads " + joined(shown) + "; of all files it may read " + weights +
                    ", listed in manifest.json. Do not use this bundle.");
}

}  // namespace

std::string Bundle::read(const std::string& name) {
  const FileRecord& record = manifest.files.at(name);
  std::string content;
  try {
    stamps[name] = stamp_of(path / name);
    content = read_file(path / name, static_cast<std::size_t>(record.bytes) + 1);
  } catch (const std::runtime_error& error) {
    throw BundleError(path.string() + ": " + name + " cannot be read: " + error.what() + ". Copy or export it again.");
  }
  const auto size = static_cast<std::int64_t>(content.size());
  if (size != record.bytes) throw BundleError(wrong_size(path, name, size, record.bytes));
  if (integrity == Integrity::full && sha256_of_bytes(content) != record.sha256) throw BundleError(changed(path, name));
  return content;
}

std::shared_ptr<const std::string> Bundle::graph_content(const std::string& name) {
  const std::string& file = manifest.graphs.at(name).file;
  auto content = std::make_shared<const std::string>(read(file));
  const bool is_apart = check_named_files(*this, file, *content);
  return is_apart || integrity != Integrity::full ? nullptr : content;
}

void Bundle::check_unchanged(const std::string& name) const {
  const std::string& file = manifest.graphs.at(name).file;
  for (const std::string& one : {file, weights_file(file)}) {
    const auto before = stamps.find(one);
    if (before != stamps.end() && integrity == Integrity::full && before->second != stamp_of(path / one)) {
      throw BundleError(path.string() + ": " + one + " was changed while it was loaded. Load the bundle again.");
    }
  }
}

Bundle open_bundle(const fs::path& path, Integrity integrity, const std::optional<std::string>& expect, bool run) {
  try {
    const std::string content = read_manifest(path);
    const std::string fingerprint = sha256_of_bytes(content);
    check_fingerprint(path, fingerprint, expect);
    Bundle bundle{path, parse_manifest(content, path / kManifestFile), fingerprint, integrity, {}};
    const Manifest& manifest = bundle.manifest;
    check_names(path, manifest);
    check_nothing_else(path, manifest);
    std::set<std::string> later;
    if (run) later = {manifest.tokenizer, manifest.router};
    for (const auto& [name, graph] : manifest.graphs) {
      if (run) later.insert(graph.file);
    }
    for (const auto& [name, record] : manifest.files) check_file(bundle, name, record, !later.count(name));
    return bundle;
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {  // of the file system: no permission, a file that vanished
    throw BundleError(path.string() + " cannot be read: " + error.what() + ". Copy or export the bundle again.");
  }
}

}  // namespace sam3i_edge::detail
