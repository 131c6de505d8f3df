// Picture files of the tools: PPM and PGM always, PNG and JPEG where their libraries were found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sam3i_edge/image.hpp"

namespace tools {

struct Picture {
  std::vector<std::uint8_t> rgb;
  int width = 0, height = 0;

  sam3i_edge::ImageView view() const { return {rgb.data(), width, height}; }
};

/// As Python's read_image: alpha is dropped, of 16 bits the high byte stays, EXIF orientation is applied.
/// Throws sam3i_edge::ImageError.
Picture read_picture(const std::string& path);

/// As PPM, whole or not at all. Throws sam3i_edge::ImageError.
void write_picture(const std::string& path, const Picture& picture);

}  // namespace tools
