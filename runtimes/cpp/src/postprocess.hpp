// The grounding graph's outputs to instances.
#pragma once

#include <cstdint>
#include <string>

#include "memory.hpp"
#include "sam3i_edge/instances.hpp"

namespace sam3i_edge::detail {

/// One prompt's outputs.
struct Outputs {
  const float* logits;    ///< (count,)
  const float* presence;  ///< (1,)
  const float* boxes;     ///< (count, 4) x0 y0 x1 y1 as fractions of the image
  const float* masks;     ///< (count, mask_side, mask_side) logits
  int count, mask_side;
};

/// Whether every logit and the presence are numbers: a score of NaN is above no threshold, and would go without a word.
bool is_finite(const Outputs& outputs);

/// A score is sigmoid(logit) x sigmoid(presence); what scores above `threshold` stays, best first. A mask is its
/// logits resized to the image, `width` x `height` pixels (bilinear), above 0.
Instances postprocess(const Outputs& outputs, int width, int height, double threshold, const std::string& route,
                      const SegmentOptions& options, Memory& memory);

}  // namespace sam3i_edge::detail
