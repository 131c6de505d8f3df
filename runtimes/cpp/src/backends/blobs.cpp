#include "blobs.hpp"

#include <mutex>
#include <optional>
#include <stdexcept>

#include "../files.hpp"
#include "../warning.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

/// The blobs that this process found sound. A bundle has three graphs: without, each would be hashed for all of them.
class Sound {
 public:
  bool has(const fs::path& path, fs::file_time_type time) {
    const std::lock_guard lock(mutex_);
    return found_.count({path.string(), time}) > 0;
  }
  void add(const fs::path& path, fs::file_time_type time) {
    const std::lock_guard lock(mutex_);
    found_.emplace(path.string(), time);
  }

 private:
  std::mutex mutex_;
  Blobs found_;
};

Sound& sound() {
  static auto* kept = new Sound;  // never freed: threads may load while the process ends
  return *kept;
}

fs::path sum_of(const fs::path& blob) { return blob.string() + ".sha256"; }

/// What somebody vouched for; nothing where nobody did.
std::optional<std::string> wanted_sum(const fs::path& blob) {
  try {
    std::string text = read_file(sum_of(blob));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

std::string found_sum(const fs::path& blob) {
  try {
    return sha256_of(blob);
  } catch (const std::runtime_error&) {  // a bad disk, or another process replaces it just now
    return "";
  }
}

bool erase(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  return !error;
}

}  // namespace

Blobs blobs_in(const fs::path& folder) {
  Blobs found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".blob") continue;
    const auto time = entry.last_write_time(error);
    if (!error) found.emplace(entry.path().filename().string(), time);  // or another process replaces it just now
  }
  return found;
}

bool drop_damaged(const fs::path& folder) {
  bool is_clean = true;
  for (const auto& [name, time] : blobs_in(folder)) {
    const fs::path blob = folder / name;
    if (sound().has(blob, time)) continue;
    const auto wanted = wanted_sum(blob);
    if (wanted && *wanted == found_sum(blob)) {
      sound().add(blob, time);
      continue;
    }
    if (wanted) warn("OpenVINO's cached " + name + " is damaged; compiling anew.");
    is_clean = erase(blob) && is_clean;
    erase(sum_of(blob));
  }
  return is_clean;
}

void vouch_for(const fs::path& folder, const Blobs& before) {
  for (const auto& written : blobs_in(folder)) {
    if (before.count(written)) continue;
    const fs::path blob = folder / written.first;
    try {
      write_whole(sum_of(blob), sha256_of(blob));
      sound().add(blob, written.second);
    } catch (const std::runtime_error&) {
      erase(sum_of(blob));  // of an older blob of that name
    }
  }
}

}  // namespace sam3i_edge::detail
