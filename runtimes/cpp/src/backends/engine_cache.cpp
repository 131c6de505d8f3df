#include "engine_cache.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "../files.hpp"
#include "../warning.hpp"

namespace sam3i_edge::detail {

namespace fs = std::filesystem;

std::string EngineKey::to_json() const {
  const nlohmann::json content = {{"graph_sha256", graph_sha256}, {"tensorrt", tensorrt}, {"gpu", gpu},
                                  {"max_prompts", max_prompts},   {"settings", settings}, {"language", "C++"}};
  return content.dump();
}

std::string EngineKey::file() const { return sha256_of_bytes(to_json()).substr(0, 32) + ".engine"; }

std::string graph_sha256(const fs::path& graph) {
  std::string hashes = sha256_of(graph);
  const fs::path weights = graph.string() + ".data";  // beyond protobuf's limit
  if (fs::is_regular_file(weights)) hashes += sha256_of(weights);
  return sha256_of_bytes(hashes);
}

std::string EngineCache::get(const EngineKey& key, const std::function<std::string()>& build) const {
  if (!folder_) {
    warn("Building an engine that is not kept: there is no cache.");
    return build();
  }
  if (auto kept = read(key)) return *kept;
  const std::string engine = build();
  try {
    write_whole(*folder_ / key.file(), engine);
    const nlohmann::json about = {{"key", nlohmann::json::parse(key.to_json())}, {"sha256", sha256_of_bytes(engine)}};
    write_whole(*folder_ / (key.file() + ".json"), about.dump(1));
  } catch (const std::runtime_error& error) {
    drop(key);  // an engine without its JSON file is never read, and would fill the disk further
    warn("The engine could not be kept in " + folder_->string() + " (" + error.what() +
         "): the next load builds it again.");
  }
  return engine;
}

void EngineCache::drop(const EngineKey& key) const {
  std::error_code ignored;
  if (folder_) fs::remove(*folder_ / key.file(), ignored);
}

std::optional<std::string> EngineCache::read(const EngineKey& key) const {
  const fs::path path = *folder_ / key.file();
  if (!fs::is_regular_file(path) || !fs::is_regular_file(path.string() + ".json")) return std::nullopt;
  try {
    const auto about = nlohmann::json::parse(read_file(path.string() + ".json"));
    std::string engine = read_file(path);
    if (about.at("sha256") == sha256_of_bytes(engine)) return engine;
    warn("The kept engine " + path.string() + " is damaged; building it again.");
  } catch (const std::exception& error) {
    warn("The kept engine " + path.string() + " cannot be read (" + error.what() + "); building it again.");
  }
  return std::nullopt;
}

}  // namespace sam3i_edge::detail
