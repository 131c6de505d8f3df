// Images in: a view of pixels that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sam3i_edge {

/// The order of a pixel's bytes. Alpha is dropped, grey is repeated over the channels.
enum class PixelFormat { rgb, bgr, rgba, bgra, grey };

/// Pixels of 8 bits per channel, in rows from top to bottom; at most 268 megapixels (2^28).
///
/// The memory is only read, and only during the call that takes the view.
struct ImageView {
  const std::uint8_t* data = nullptr;  ///< the first byte of the top row
  int width = 0;                       ///< in pixels
  int height = 0;                      ///< in pixels
  PixelFormat format = PixelFormat::rgb;
  std::ptrdiff_t stride = 0;  ///< bytes from a row to the next, negative for a picture upside down; 0: rows are packed
};

}  // namespace sam3i_edge
