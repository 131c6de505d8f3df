// TensorRT's engines, kept on disk: an engine is built for one GPU and one version, and building takes minutes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace sam3i_edge::detail {

/// All that an engine depends on.
struct EngineKey {
  std::string graph_sha256, tensorrt;
  std::string gpu;  ///< its name and compute capability
  std::int64_t max_prompts = 0;
  std::string settings;

  std::string to_json() const;
  std::string file() const;  ///< the name of its file
};

/// Of a graph file and the weights beside it.
std::string graph_sha256(const std::filesystem::path& graph);

/// A folder of engines, each with a JSON file that says what it was built for. Engines of the Python side are others:
/// neither reads the other's.
class EngineCache {
 public:
  explicit EngineCache(std::optional<std::filesystem::path> folder) : folder_(std::move(folder)) {}

  /// The kept engine, or else a new one, which is kept. One whose file is damaged is built anew, and one that cannot be
  /// kept is a warning: the next load takes as long.
  std::string get(const EngineKey& key, const std::function<std::string()>& build) const;

  /// Forget an engine that TensorRT refuses.
  void drop(const EngineKey& key) const;

 private:
  std::optional<std::string> read(const EngineKey& key) const;

  std::optional<std::filesystem::path> folder_;
};

}  // namespace sam3i_edge::detail
