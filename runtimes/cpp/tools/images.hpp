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

/// EXIF orientation is not applied. Throws sam3i_edge::ImageError.
Picture read_picture(const std::string& path);

/// As PPM. Throws sam3i_edge::ImageError.
void write_picture(const std::string& path, const Picture& picture);

}  // namespace tools
