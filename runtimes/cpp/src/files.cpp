#include "files.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <vector>

#include "sha256.hpp"
#include "warning.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kBlock = 1 << 20;
constexpr const char* kVariable = "SAM3I_EDGE_CACHE";

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

File open(const std::filesystem::path& path) {
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) throw std::runtime_error(std::strerror(errno));
  return file;
}

/// Calls `take(bytes, count)` with one block of the file after the other.
template <typename Take>
void read_blocks(const std::filesystem::path& path, const Take& take) {
  const File file = open(path);
  std::vector<char> block(kBlock);
  while (const std::size_t count = std::fread(block.data(), 1, block.size(), file.get())) take(block.data(), count);
  if (std::ferror(file.get())) throw std::runtime_error(std::strerror(errno));
}

std::optional<std::filesystem::path> cache_root() {
  const auto set = [](const char* name) -> const char* {
    const char* value = std::getenv(name);
    return value && *value ? value : nullptr;
  };
  if (const char* own = set(kVariable)) return own;
  if (const char* user = set("XDG_CACHE_HOME")) return std::filesystem::path(user) / "sam3i-edge";
  if (const char* home = set("HOME")) return std::filesystem::path(home) / ".cache" / "sam3i-edge";
  std::vector<char> text(kBlock);  // a service of the system has no $HOME
  passwd entry{}, *found = nullptr;
  ::getpwuid_r(::getuid(), &entry, text.data(), text.size(), &found);
  if (found) return std::filesystem::path(found->pw_dir) / ".cache" / "sam3i-edge";
  return std::nullopt;
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  std::string content;
  read_blocks(path, [&](const char* bytes, std::size_t count) { content.append(bytes, count); });
  return content;
}

std::string sha256_of(const std::filesystem::path& path) {
  Sha256 digest;
  read_blocks(path, [&](const char* bytes, std::size_t count) { digest.update(bytes, count); });
  return digest.hex();
}

std::string sha256_of_bytes(const std::string& content) {
  Sha256 digest;
  digest.update(content.data(), content.size());
  return digest.hex();
}

void write_whole(const std::filesystem::path& path, const std::string& content) {
  std::string partial = path.string() + ".partial-XXXXXX";
  const int handle = ::mkstemp(partial.data());  // threads and containers share process numbers
  if (handle < 0) throw std::runtime_error(std::strerror(errno));
  ::close(handle);
  std::ofstream file(partial, std::ios::binary);
  file << content;
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(partial, path, error);
  if (file && !error) return;
  std::filesystem::remove(partial, error);
  throw std::runtime_error("the disk may be full");
}

FolderLock::FolderLock(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  handle_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (handle_ >= 0 && ::flock(handle_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

FolderLock::~FolderLock() {
  if (handle_ >= 0) ::close(handle_);
}

std::optional<std::filesystem::path> cache_folder(const std::string& name) {
  const char* own = std::getenv(kVariable);
  if (own && !*own) return std::nullopt;
  const auto root = cache_root();
  if (!root) {
    warn(std::string("There is no home folder for a cache: loading takes longer. Set ") + kVariable +
         " to a folder, or to nothing.");
    return std::nullopt;
  }
  const std::filesystem::path folder = *root / name;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string problem = error ? error.message() : "";
  if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) problem = "no permission to write";
  if (problem.empty()) return folder;
  warn("The cache " + folder.string() + " cannot be used (" + problem + "): loading takes longer. Set " + kVariable +
       " to another folder, or to nothing.");
  return std::nullopt;
}

}  // namespace sam3i_edge::detail
