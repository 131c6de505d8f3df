// How far an output may be from the float model's: the numbers of sam3i_edge/compare.py.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "bundle.hpp"

namespace sam3i_edge::detail {

constexpr double kMostSqnr = 200;  // stands for "no difference at all"

/// Both must hold: the worst value, relative to the larger of 1 and the reference's peak, and the SQNR.
struct Tolerance {
  double max_abs = 0, min_sqnr_db = 0;
};

/// What a precision may cost.
struct Tolerances {
  Tolerance output;
  std::optional<double> loss_db;  ///< of the SQNR that was reached at export, a device may lose so much
  double min_mask_iou = 0, max_score_change = 0;
};

/// Throws BundleError where the precision is unknown.
Tolerances tolerances_of(const std::string& precision);

struct Difference {
  double max_abs = 0, sqnr_db = 0;
};

/// The largest absolute difference and the signal-to-quantization-noise ratio. Values of another number, or that are
/// not finite, are infinitely far apart.
Difference measure(const std::vector<float>& actual, const std::vector<float>& reference);

/// What to try where a device may be wrong in a known way; empty if nothing is known.
std::string remedy_of(const Manifest& manifest, const std::string& device);

}  // namespace sam3i_edge::detail
