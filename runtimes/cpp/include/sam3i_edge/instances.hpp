// What was found: masks, boxes and scores of one prompt.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sam3i_edge/export.hpp"
#include "sam3i_edge/route.hpp"

namespace sam3i_edge {

/// How masks are laid out.
enum class MaskFormat {
  bytes,  ///< one byte per pixel, 0 or 1
  bits,   ///< one bit per pixel, the leftmost highest; each row begins on a byte
  none,   ///< no masks: boxes and scores only
};

/// What size masks have.
enum class MaskSize {
  image,  ///< the image's
  graph,  ///< as the model made them, for example 64 x 64: nothing is resized
};

struct SegmentOptions {
  MaskFormat format = MaskFormat::bytes;
  MaskSize size = MaskSize::image;
  std::optional<double> threshold = std::nullopt;  ///< in 0..1, on all routes, instead of those loaded with
};

/// The masks of n instances. A copy shares the pixels; nobody writes to them once they are made.
struct Masks {
  MaskFormat format = MaskFormat::none;
  int width = 0;                               ///< in pixels
  int height = 0;                              ///< in pixels
  std::size_t stride = 0;                      ///< bytes of a row: width, or (width + 7) / 8 of bits
  std::shared_ptr<const std::uint8_t[]> data;  ///< (n, height, stride)

  /// The first row of mask `i`.
  const std::uint8_t* operator[](std::size_t i) const {
    return data.get() + i * stride * static_cast<std::size_t>(height);
  }
};

/// The instances of one prompt, best first.
struct SAM3I_EDGE_API Instances {
  Route route = Route::Auto;                ///< the one that ran, never `Auto`
  std::vector<float> scores;                ///< (n,) in 0..1, descending
  std::vector<std::array<float, 4>> boxes;  ///< (n,) x0 y0 x1 y1 in pixels; they may reach a little beyond the image
  Masks masks;                              ///< (n,)

  std::size_t size() const { return scores.size(); }

  /// Whether pixel (x, y) of the masks belongs to instance `i`. Nothing is checked.
  bool contains(std::size_t i, int x, int y) const;
  /// The pixels of mask `i`.
  std::size_t area(std::size_t i) const;
  /// Mask `i` as COCO's compressed run-length encoding, column by column: the `counts` of pycocotools.
  std::string rle(std::size_t i) const;
};

}  // namespace sam3i_edge
