#include "files.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

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

/// SHA-256, by libcrypto: it has the instructions of every processor that has some for it.
class Sha256 {
 public:
  Sha256() {
    if (!context_) throw std::bad_alloc();
    require(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
  }

  void update(const char* bytes, std::size_t count) { require(EVP_DigestUpdate(context_.get(), bytes, count)); }

  /// Ends the message, and gives its digest in hex.
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    require(EVP_DigestFinal_ex(context_.get(), digest, &size));
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      for (const int shift : {4, 0}) text += "0123456789abcdef"[digest[i] >> shift & 0xF];
    }
    return text;
  }

 private:
  struct Freer {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };

  static void require(int succeeded) {
    if (succeeded != 1) throw std::runtime_error("libcrypto computes no SHA-256 here");
  }

  std::unique_ptr<EVP_MD_CTX, Freer> context_{EVP_MD_CTX_new()};
};

constexpr const char* kInHome = ".cache/sam3i-edge";

std::optional<std::filesystem::path> cache_root() {
  const auto set = [](const char* name) -> const char* {
    const char* value = std::getenv(name);
    return value && *value ? value : nullptr;
  };
  if (const char* own = set(kVariable)) return own;
  // Relative ones count as not set, as the specification of XDG says.
  if (const char* user = set("XDG_CACHE_HOME"); user && *user == '/') return std::filesystem::path(user) / "sam3i-edge";
  if (const char* home = set("HOME"); home && *home == '/') return std::filesystem::path(home) / kInHome;
  std::vector<char> text(kBlock);  // a service of the system has no $HOME
  passwd entry{}, *found = nullptr;
  ::getpwuid_r(::getuid(), &entry, text.data(), text.size(), &found);
  if (found && found->pw_dir && *found->pw_dir == '/') return std::filesystem::path(found->pw_dir) / kInHome;
  return std::nullopt;
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::size_t most) {
  const File file = open(path);
  struct stat found {};
  std::string content;
  if (::fstat(::fileno(file.get()), &found) == 0 && found.st_size > 0) {
    content.reserve(std::min(static_cast<std::size_t>(found.st_size), most));
  }
  std::vector<char> block(kBlock);
  while (content.size() < most) {
    const std::size_t count = std::fread(block.data(), 1, std::min(block.size(), most - content.size()), file.get());
    if (count == 0) break;
    content.append(block.data(), count);
  }
  if (std::ferror(file.get())) throw std::runtime_error(std::strerror(errno));
  return content;
}

Stamp stamp_of(const std::filesystem::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) throw std::runtime_error(std::strerror(errno));
  return {static_cast<std::int64_t>(found.st_dev),
          static_cast<std::int64_t>(found.st_ino),
          static_cast<std::int64_t>(found.st_size),
          found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec,
          found.st_ctim.tv_sec,
          found.st_ctim.tv_nsec};
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
  const LargeFiles errors_not_signals;
  std::string partial = path.string() + ".partial-XXXXXX";
  const int handle = ::mkstemp(partial.data());  // threads and containers share process numbers
  if (handle < 0) throw std::runtime_error(std::strerror(errno));
  ::flock(handle, LOCK_EX);  // what a kill leaves is told from what is being written by its lock
  bool is_whole = true;
  for (std::size_t done = 0; is_whole && done < content.size();) {
    const ssize_t count = ::write(handle, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    is_whole = count >= 0;
    done += is_whole ? static_cast<std::size_t>(count) : 0;
  }
  is_whole = is_whole && ::fsync(handle) == 0 && std::rename(partial.c_str(), path.c_str()) == 0;
  const int problem = errno;
  ::close(handle);
  if (is_whole) return;
  ::unlink(partial.c_str());
  throw std::runtime_error(std::strerror(problem));
}

void remove_left_behind(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().find(".partial-") == std::string::npos) continue;
    const int handle = ::open(entry.path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (handle < 0) continue;
    if (::flock(handle, LOCK_EX | LOCK_NB) == 0) std::filesystem::remove(entry.path(), ignored);
    ::close(handle);
  }
}

LargeFiles::LargeFiles() {
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, SIGXFSZ);
  ::pthread_sigmask(SIG_BLOCK, &own, &before_);
}

LargeFiles::~LargeFiles() {
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, SIGXFSZ);
  const timespec now{};
  while (!sigismember(&before_, SIGXFSZ) && ::sigtimedwait(&own, nullptr, &now) > 0) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
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
