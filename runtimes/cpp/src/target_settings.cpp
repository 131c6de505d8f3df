#include "target_settings.hpp"

#include <algorithm>
#include <vector>

#include "messages.hpp"
#include "schema.hpp"

namespace sam3i_edge::detail {
namespace {

/// The words that are allowed or, where there are none, the least and the greatest whole number.
struct Allowed {
  std::vector<std::string> words;
  std::int64_t least = 0, greatest = 0;
};
using Settings = std::map<std::string, Allowed>;

const std::vector<std::string> kYesNo = {"YES", "NO"};
const Settings kNvidia = {{"workspace_mb", {{}, 1, 1 << 20}}, {"builder_optimization_level", {{}, 0, 5}}};
const std::map<std::string, Settings> kSettings = {
    {"onnxruntime",
     {{"arena_extend_strategy", {{"kNextPowerOfTwo", "kSameAsRequested"}}},
      {"cudnn_conv_algo_search", {{"EXHAUSTIVE", "HEURISTIC", "DEFAULT"}}},
      {"cudnn_conv_use_max_workspace", {{}, 0, 1}},
      {"gpu_mem_limit", {{}, 1, std::int64_t{1} << 48}},
      {"use_tf32", {{}, 0, 1}}}},
    {"openvino",
     {{"ENABLE_CPU_PINNING", {kYesNo}},
      {"ENABLE_HYPER_THREADING", {kYesNo}},
      {"MODEL_PRIORITY", {{"LOW", "MEDIUM", "HIGH"}}},
      {"NPU_TURBO", {kYesNo}},
      {"NUM_STREAMS", {{}, 1, 1024}},
      {"PERFORMANCE_HINT", {{"LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT"}}},
      {"PERFORMANCE_HINT_NUM_REQUESTS", {{}, 1, 1024}},
      {"SCHEDULING_CORE_TYPE", {{"ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"}}}}},
    {"tensorrt", kNvidia},
    {"tensorrt-rtx", kNvidia}};

void check(const std::string& name, const std::string& value, const Allowed& allowed) {
  const std::string is = name + " is " + in_quotes(value) + "; it must be ";
  if (!allowed.words.empty()) {
    if (std::find(allowed.words.begin(), allowed.words.end(), value) != allowed.words.end()) return;
    throw SchemaError(is + "one of " + joined(allowed.words) + ".");
  }
  const bool is_number = !value.empty() && value.size() <= 15 &&
                         std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (is_number && std::stoll(value) >= allowed.least && std::stoll(value) <= allowed.greatest) return;
  throw SchemaError(is + "a whole number from " + std::to_string(allowed.least) + " to " +
                    std::to_string(allowed.greatest) + ".");
}

}  // namespace

bool is_setting(const std::string& runtime, const std::string& name) {
  const auto found = kSettings.find(runtime);
  return found == kSettings.end() || found->second.count(name) > 0;
}

void check_settings(const std::string& runtime, const std::map<std::string, std::string>& settings) {
  const auto found = kSettings.find(runtime);
  if (found == kSettings.end()) return;
  std::vector<std::string> known;
  for (const auto& [name, allowed] : found->second) known.push_back(name);
  for (const auto& [name, value] : settings) {
    const auto allowed = found->second.find(name);
    if (allowed == found->second.end()) throw SchemaError(unknown_name("setting of " + runtime, name, known));
    check("settings." + name, value, allowed->second);
  }
}

}  // namespace sam3i_edge::detail
