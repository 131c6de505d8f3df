#include "sam3i_edge/instances.hpp"

#include <algorithm>
#include <bitset>
#include <numeric>

namespace sam3i_edge {
namespace {

/// COCO's way to write a number: five bits a character, the lowest first, a sixth that says whether more follow.
void append_number(std::string& text, std::int64_t value) {
  bool is_more = true;
  while (is_more) {
    std::int64_t bits = value & 0x1F;
    value >>= 5;
    is_more = bits & 0x10 ? value != -1 : value != 0;
    if (is_more) bits |= 0x20;
    text += static_cast<char>(bits + 48);
  }
}

}  // namespace

bool Instances::contains(std::size_t i, int x, int y) const {
  const std::uint8_t* row = masks[i] + static_cast<std::size_t>(y) * masks.stride;
  return masks.format == MaskFormat::bits ? row[x / 8] >> (7 - x % 8) & 1 : row[x] != 0;
}

std::size_t Instances::area(std::size_t i) const {
  if (masks.format == MaskFormat::none) return 0;
  const std::uint8_t* first = masks[i];
  const std::uint8_t* last = first + masks.stride * static_cast<std::size_t>(masks.height);
  if (masks.format == MaskFormat::bytes)
    return static_cast<std::size_t>(last - first - std::count(first, last, std::uint8_t{0}));
  return std::accumulate(first, last, std::size_t{0},  // what fills up a row's last byte is 0
                         [](std::size_t sum, std::uint8_t byte) { return sum + std::bitset<8>(byte).count(); });
}

std::string Instances::rle(std::size_t i) const {
  if (masks.format == MaskFormat::none) return "";
  std::vector<std::int64_t> runs(1, 0);  // the first is of pixels outside, and may be empty
  bool inside = false;
  for (int x = 0; x < masks.width; ++x) {
    for (int y = 0; y < masks.height; ++y) {
      if (contains(i, x, y) != inside) {
        inside = !inside;
        runs.push_back(0);
      }
      ++runs.back();
    }
  }
  std::string text;
  for (std::size_t k = 0; k < runs.size(); ++k) append_number(text, k > 2 ? runs[k] - runs[k - 2] : runs[k]);
  return text;
}

}  // namespace sam3i_edge
