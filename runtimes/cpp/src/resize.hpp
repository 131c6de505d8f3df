// The resize that the model was trained with: antialiased bilinear on uint8, bit by bit as Pillow does it.
#pragma once

#include <cstdint>
#include <vector>

#include "sam3i_edge/image.hpp"

namespace sam3i_edge::detail {

/// Throws ImageError unless `image` has pixels, no more than 2^28, and a stride that its rows fit in.
void check_image(const ImageView& image);

/// A checked image, resized to (height, width, 3) RGB at `to`, ignoring the aspect ratio.
void resize(const ImageView& image, int width, int height, std::uint8_t* to);

}  // namespace sam3i_edge::detail
