#include "tolerances.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "messages.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {

Tolerances tolerances_of(const std::string& precision) {
  constexpr double kInt8Loss = 6, kInt8Iou = 0.75, kInt8Change = 0.2;
  static const std::map<std::string, Tolerances> table = {{"fp32", {{1e-3, 60}, 25, 0.99, 2e-3}},
                                                          {"fp16", {{0.05, 40}, std::nullopt, 0.95, 0.02}},
                                                          {"bf16", {{0.25, 25}, std::nullopt, 0.85, 0.1}},
                                                          {"int8", {{1, 10}, kInt8Loss, kInt8Iou, kInt8Change}},
                                                          {"int8-bf16", {{1, 10}, kInt8Loss, kInt8Iou, kInt8Change}},
                                                          {"int8-fp16", {{1, 10}, kInt8Loss, kInt8Iou, kInt8Change}}};
  const auto found = table.find(precision);
  if (found != table.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, row] : table) known.push_back(name);
  throw BundleError(unknown_name("precision", precision, known));
}

std::string remedy_of(const Manifest& manifest, const std::string& device) {
  const bool is_fused = is_typed_half(manifest) && manifest.target.attention == "fused";
  if (!is_fused || device.rfind("TensorRT", 0) != 0) return "";
  return "Fused attention in half precision is wrong on some GPUs: export again with --attention unfused, and run "
         "verify";
}

Difference measure(const std::vector<float>& actual, const std::vector<float>& reference) {
  const Difference infinite = {std::numeric_limits<double>::infinity(), -kMostSqnr};
  if (actual.size() != reference.size()) return infinite;
  double noise = 0, signal = 0, worst = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double wanted = reference[i], error = actual[i] - wanted;
    noise += error * error;
    signal += wanted * wanted;
    worst = std::max(worst, std::abs(error));
  }
  if (!std::isfinite(noise)) return infinite;
  if (noise == 0) return {0, kMostSqnr};
  const double sqnr = signal > 0 ? 10 * std::log10(signal / noise) : -kMostSqnr;
  return {worst, std::clamp(sqnr, -kMostSqnr, kMostSqnr)};
}

}  // namespace sam3i_edge::detail
