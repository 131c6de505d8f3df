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
  std::string graph_sha256;
  std::string tensorrt;  ///< the library and its version
  std::string gpu;       ///< its name and compute capability
  std::int64_t max_prompts = 0;
  std::string settings;

  std::string to_json() const;
  std::string stem() const;  ///< of the names of its files
};

/// Of a graph file and the weights beside it; or of its content, which has none beside it.
std::string graph_sha256(const std::filesystem::path& graph, const std::string* content = nullptr);

/// A folder of engines and of runtime caches, each with a JSON file that says what it was made for. Those of the Python
/// side are others: neither reads the other's. A damaged file is a warning, and is made again; so is one that cannot be
/// written: the next load takes as long.
class EngineCache {
 public:
  explicit EngineCache(std::optional<std::filesystem::path> folder) : folder_(std::move(folder)) {}

  /// The kept engine, or else a new one, which is kept.
  std::string get(const EngineKey& key, const std::function<std::string()>& build) const;

  /// Forget an engine that TensorRT refuses.
  void drop(const EngineKey& key) const;

  /// What TensorRT-RTX compiled for this GPU when it ran the engine before.
  std::optional<std::string> runtime_cache(const EngineKey& key) const;
  void keep_runtime_cache(const EngineKey& key, const std::string& content) const;

 private:
  std::optional<std::string> read(const std::string& file) const;
  void write(const std::string& file, const std::string& content, const EngineKey& key) const;

  std::optional<std::filesystem::path> folder_;
};

}  // namespace sam3i_edge::detail
