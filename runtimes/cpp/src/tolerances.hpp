// How far an output may be from the float model's: by what the bundle allows.
#pragma once

#include <string>
#include <vector>

#include "bundle.hpp"

namespace sam3i_edge::detail {

constexpr double kMostSqnr = 200;  // stands for "no difference at all"

/// What the bundle allows that precision. Throws BundleError, which asks for another export, where it says nothing of
/// it.
const Tolerances& tolerances_of(const Manifest& manifest, const std::string& precision);

/// Of one output, "stage/output". Throws BundleError likewise.
const Tolerance& tolerance_of(const Tolerances& tolerances, const std::string& output);

struct Difference {
  double max_abs = 0, sqnr_db = 0;
};

/// The largest absolute difference and the signal-to-quantization-noise ratio. Values of another number, or that are
/// not finite, are infinitely far apart.
Difference measure(const std::vector<float>& actual, const std::vector<float>& reference);

/// What to try where a device may be wrong in a known way; empty if nothing is known.
std::string remedy_of(const Manifest& manifest, const std::string& device);

}  // namespace sam3i_edge::detail
