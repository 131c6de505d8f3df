#include "engine_cache.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "../files.hpp"
#include "../warning.hpp"

namespace sam3i_edge::detail {

namespace {

namespace fs = std::filesystem;

std::string engine_file(const EngineKey& key) { return key.stem() + ".engine"; }
std::string runtime_cache_file(const EngineKey& key) { return key.stem() + ".runtime"; }

}  // namespace

std::string EngineKey::to_json() const {
  const nlohmann::json content = {{"graph_sha256", graph_sha256}, {"tensorrt", tensorrt}, {"gpu", gpu},
                                  {"max_prompts", max_prompts},   {"settings", settings}, {"language", "C++"}};
  return content.dump();
}

std::string EngineKey::stem() const { return sha256_of_bytes(to_json()).substr(0, 32); }

std::string graph_sha256(const fs::path& graph, const std::string* content) {
  if (content) return sha256_of_bytes(sha256_of_bytes(*content));
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
  if (auto kept = read(engine_file(key))) return *kept;
  remove_left_behind(*folder_);
  std::string engine = build();
  write(engine_file(key), engine, key);
  return engine;
}

void EngineCache::drop(const EngineKey& key) const {
  std::error_code ignored;
  if (folder_) fs::remove(*folder_ / engine_file(key), ignored);
}

std::optional<std::string> EngineCache::runtime_cache(const EngineKey& key) const {
  return folder_ ? read(runtime_cache_file(key)) : std::nullopt;
}

void EngineCache::keep_runtime_cache(const EngineKey& key, const std::string& content) const {
  if (folder_) write(runtime_cache_file(key), content, key);
}

std::optional<std::string> EngineCache::read(const std::string& file) const {
  const fs::path path = *folder_ / file;
  if (!fs::is_regular_file(path) || !fs::is_regular_file(path.string() + ".json")) return std::nullopt;
  try {
    const auto about = nlohmann::json::parse(read_file(path.string() + ".json"));
    std::string content = read_file(path);
    if (about.at("sha256") == sha256_of_bytes(content)) return content;
    warn("The cached " + path.string() + " is damaged; it is made again.");
  } catch (const std::exception& error) {
    warn("The cached " + path.string() + " cannot be read (" + error.what() + "); it is made again.");
  }
  return std::nullopt;
}

void EngineCache::write(const std::string& file, const std::string& content, const EngineKey& key) const {
  const fs::path path = *folder_ / file;
  const nlohmann::json about = {{"key", nlohmann::json::parse(key.to_json())}, {"sha256", sha256_of_bytes(content)}};
  try {
    write_whole(path, content);
    write_whole(path.string() + ".json", about.dump(1));
  } catch (const std::runtime_error& error) {
    std::error_code ignored;
    fs::remove(path, ignored);  // without its JSON file it is never read, and would fill the disk further
    warn(path.string() + " could not be written (" + error.what() + "): the next load makes it again.");
  }
}

}  // namespace sam3i_edge::detail
