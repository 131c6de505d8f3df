// OpenVINO's blobs, the compiled graphs that it keeps in a folder: it loads one that a bad disk changed without a word.
// Beside each NAME.blob stands NAME.blob.sha256, as on the Python side, which keeps its blobs in the same folders.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <utility>

namespace sam3i_edge::detail {

/// Names, and when each was written.
using Blobs = std::set<std::pair<std::string, std::filesystem::file_time_type>>;

Blobs blobs_in(const std::filesystem::path& folder);

/// Removes every blob that is not as it was vouched for, with a warning, and every one that nobody vouched for.
/// False if one could not be removed: then the folder is not to be used.
bool drop_damaged(const std::filesystem::path& folder);

/// Writes the SHA-256 of every blob that is not among `before`. One that cannot be written is no error: the next load
/// compiles anew.
void vouch_for(const std::filesystem::path& folder, const Blobs& before);

}  // namespace sam3i_edge::detail
