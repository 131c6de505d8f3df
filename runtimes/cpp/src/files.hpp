// Files: read whole, hashed, and the cache of what was compiled for this device.
#pragma once

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sam3i_edge::detail {

/// The content of a file, or as much of it as `most` bytes. Throws std::runtime_error saying why it cannot be read.
std::string read_file(const std::filesystem::path& path, std::size_t most = SIZE_MAX);

/// What tells one state of a file from another without reading it: the file system writes the time of the last change
/// itself, and nobody can set it back. Throws std::runtime_error.
using Stamp = std::array<std::int64_t, 7>;
Stamp stamp_of(const std::filesystem::path& path);

/// The SHA-256 of a file's content, in hex. Throws std::runtime_error.
std::string sha256_of(const std::filesystem::path& path);

/// The SHA-256 of `content`, in hex.
std::string sha256_of_bytes(const std::string& content);

/// Writes a file whole or not at all, also on a full disk or when two processes write it. Throws std::runtime_error.
void write_whole(const std::filesystem::path& path, const std::string& content);

/// Removes the partial files of `write_whole`, here or in Python, whose process was killed while it wrote them.
void remove_left_behind(const std::filesystem::path& folder);

/// While it lives, a file that this thread writes beyond the process's limit is an error like another, not SIGXFSZ.
class LargeFiles {
 public:
  LargeFiles();
  ~LargeFiles();
  LargeFiles(const LargeFiles&) = delete;
  LargeFiles& operator=(const LargeFiles&) = delete;

 private:
  sigset_t before_;
};

/// Nobody else, in this process or another, C++ or Python, has the folder, made if need be, while it lives. Where
/// folders cannot be locked it does nothing.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int handle_;
};

/// A folder of that name in the user's cache, or in $SAM3I_EDGE_CACHE, made if need be: the Python side's.
/// Nothing if that variable is empty, or with a warning if there is no home folder or it cannot be written.
std::optional<std::filesystem::path> cache_folder(const std::string& name);

}  // namespace sam3i_edge::detail
