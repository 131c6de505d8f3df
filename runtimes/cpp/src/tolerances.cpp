#include "tolerances.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {

const Tolerances& tolerances_of(const Manifest& manifest, const std::string& precision) {
  const auto found = manifest.tolerances.find(precision);
  if (found != manifest.tolerances.end()) return found->second;
  throw BundleError("The manifest has no tolerances for " + precision +
                    ", which the bundle is computed in here. Export the bundle again.");
}

const Tolerance& tolerance_of(const Tolerances& tolerances, const std::string& output) {
  const auto found = tolerances.outputs.find(output);
  if (found != tolerances.outputs.end()) return found->second;
  throw BundleError("The manifest has no tolerance for " + output + ". Export the bundle again.");
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
