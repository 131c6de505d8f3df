// The grounding graph's outputs to instances.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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

/// Masks of `count` square masks' logits, (count, side, side), at the size of an image (bilinear, above 0), to `out`,
/// (count, height, width), one byte a pixel.
void resize_masks(const float* logits, std::size_t count, int side, int width, int height, std::uint8_t* out);

/// Whether `count` values are numbers. Half precision overflows on single images, and what comes of it would look as if
/// nothing were there, or be a mask without a pixel.
bool is_finite(const float* values, std::size_t count);

/// Greedy mask NMS: those of `order`, the numbers of masks with the best first, that stay. One is left out if its IoU
/// with one that stays is greater than `nms`. The IoU is that of the masks as they are here, (count, pixels) logits
/// that are inside above 0, not of those resized to the image.
std::vector<int> without_duplicates(const float* masks, std::size_t pixels, const std::vector<int>& order, double nms);

/// A score is sigmoid(logit) x sigmoid(presence); what scores above `threshold` stays, best first, but for duplicates.
/// A mask is its logits resized to the image, `width` x `height` pixels (bilinear), above 0.
Instances postprocess(const Outputs& outputs, int width, int height, double threshold, double nms, Route route,
                      const SegmentOptions& options, Memory& memory);

}  // namespace sam3i_edge::detail
