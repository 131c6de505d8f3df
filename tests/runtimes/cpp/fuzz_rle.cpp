// Any mask, written as run lengths and read back, is the same mask, from bytes and from bits.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "sam3i_edge/instances.hpp"

using namespace sam3i_edge;

namespace {

Instances make(MaskFormat format, int width, int height, const std::vector<bool>& pixels) {
  Instances found;
  found.scores = {1};
  const auto stride = static_cast<std::size_t>(format == MaskFormat::bits ? (width + 7) / 8 : width);
  std::shared_ptr<std::uint8_t[]> data(new std::uint8_t[stride * static_cast<std::size_t>(height) + 1]());
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (!pixels[static_cast<std::size_t>(y * width + x)]) continue;
      std::uint8_t* row = data.get() + static_cast<std::size_t>(y) * stride;
      if (format == MaskFormat::bits) {
        row[x / 8] = static_cast<std::uint8_t>(row[x / 8] | 0x80 >> x % 8);
      } else {
        row[x] = 1;
      }
    }
  }
  found.masks = {format, width, height, stride, data};
  return found;
}

/// COCO's run lengths, read: column by column.
std::vector<bool> read(const std::string& text, int width, int height) {
  std::vector<std::int64_t> runs;
  for (std::size_t i = 0; i < text.size();) {
    std::int64_t value = 0;
    int shift = 0;
    bool is_more = true;
    while (is_more) {
      const int bits = text.at(i++) - 48;
      value |= static_cast<std::int64_t>(bits & 0x1F) << shift;
      shift += 5;
      is_more = bits & 0x20;
      if (!is_more && bits & 0x10) value |= -(std::int64_t{1} << shift);
    }
    runs.push_back(runs.size() > 2 ? value + runs[runs.size() - 2] : value);
  }
  std::vector<bool> pixels(static_cast<std::size_t>(width * height));
  std::int64_t at = 0;
  for (std::size_t k = 0; k < runs.size(); ++k) {
    for (std::int64_t n = 0; n < runs[k]; ++n, ++at) {
      pixels.at(static_cast<std::size_t>(at % height * width + at / height)) = k % 2;
    }
  }
  return pixels;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const int width = data[0], height = data[1];
  std::vector<bool> pixels(static_cast<std::size_t>(width * height));
  for (std::size_t i = 0; i < pixels.size() && size > 2; ++i) pixels[i] = data[2 + i / 8 % (size - 2)] >> i % 8 & 1;
  const Instances bytes = make(MaskFormat::bytes, width, height, pixels);
  const std::string text = bytes.rle(0);
  if (text != make(MaskFormat::bits, width, height, pixels).rle(0)) std::abort();
  if (height > 0 && read(text, width, height) != pixels) std::abort();
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  return {std::string("\x05\x07\x00", 3), "\x40\x40\xff", "\xff\xff\x0f\xf0\x3c", std::string("\x00\x09\x01", 3)};
}
