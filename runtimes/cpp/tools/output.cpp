#include "output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace tools {
namespace {

constexpr int kNobodyReads = 128 + SIGPIPE;

int first_problem = 0;  ///< of printing to stdout: a later flush knows of it, but not why

/// Of an open file, closed when this goes; throws with the reason of whatever fails.
class Output {
 public:
  explicit Output(int handle) : handle_(handle) { require(handle_ >= 0); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (handle_ >= 0) ::close(handle_);
  }

  void write(const std::string& content) {
    for (std::size_t done = 0; done < content.size();) {
      const ssize_t count = ::write(handle_, content.data() + done, content.size() - done);
      if (count < 0 && errno == EINTR) continue;
      require(count >= 0);
      done += static_cast<std::size_t>(count);
    }
  }

  void sync() { require(::fsync(handle_) == 0); }

  void close() {  // some file systems report a full disk only here
    const int handle = handle_;
    handle_ = -1;
    require(::close(handle) == 0);
  }

  static void require(bool succeeded) {
    if (!succeeded) throw std::runtime_error(std::strerror(errno));
  }

 private:
  int handle_;
};

}  // namespace

void guard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) != -1) continue;
    // The lowest free number, which is this one. What is printed must fail; what is said of errors is lost anyway.
    if (::open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY) != stream) std::_Exit(1);
  }
}

void check_output(const std::string& path, bool force) {
  const std::string cannot = "Cannot write " + path + ": ";
  struct stat found {};
  const bool exists = ::stat(path.c_str(), &found) == 0;
  if (!exists && errno != ENOENT && errno != ENOTDIR) throw std::runtime_error(cannot + std::strerror(errno) + ".");
  if (exists && S_ISDIR(found.st_mode)) throw std::runtime_error(cannot + "it is a folder. Name a file in it.");
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  std::error_code unseen;
  if (!std::filesystem::is_directory(folder, unseen)) {
    throw std::runtime_error(cannot + "the folder " + folder + " does not exist.");
  }
  if (::access(exists ? path.c_str() : folder.c_str(), W_OK) != 0) throw std::runtime_error(cannot + "no permission.");
  if (exists && S_ISREG(found.st_mode) && !force) {
    throw std::runtime_error(path + " exists. Name another file, or replace it with --force.");
  }
}

void write_whole(const std::string& path, const std::string& content) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode)) {
    Output file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    file.write(content);
    file.close();
    return;
  }
  const std::string partial = path + ".partial-" + std::to_string(::getpid());
  Output file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  try {
    file.write(content);
    file.sync();
    file.close();
    Output::require(std::rename(partial.c_str(), path.c_str()) == 0);
  } catch (...) {
    ::unlink(partial.c_str());
    throw;
  }
}

void print(std::FILE* to, const std::string& text) {
  const bool is_whole = std::fwrite(text.data(), 1, text.size(), to) == text.size();
  if (!is_whole && to == stdout && first_problem == 0) first_problem = errno;
}

int flushed(int status, bool in_files) {
  errno = 0;
  const bool is_whole = std::fflush(stdout) == 0 && !std::ferror(stdout);
  if (is_whole) return status;
  int problem = first_problem ? first_problem : errno;
  if ((::fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY) problem = EBADF;  // it was closed: see guard_streams
  if (in_files && problem == EBADF) return status;
  pollfd reader{STDOUT_FILENO, POLLOUT, 0};
  if (problem == EPIPE || (::poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR) != 0)) return kNobodyReads;
  const std::string reason = problem ? std::strerror(problem) : "the device refused it";
  print(stderr, "error: The output could not be written: " + reason + ".\n");
  return 1;
}

}  // namespace tools
