#include "postprocess.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "vector.hpp"

namespace sam3i_edge::detail {
namespace {

/// Where each pixel of a side lies between two of the mask's, as OpenCV places them.
struct Places {
  std::vector<int> first, second;
  std::vector<float> weight;  // of the second
};

Places make_places(int from, int to) {
  const double scale = 1.0 / (static_cast<double>(to) / from);
  Places places;
  for (int i = 0; i < to; ++i) {
    float at = static_cast<float>((i + 0.5) * scale - 0.5);
    const int first = static_cast<int>(std::floor(at));
    at -= static_cast<float>(first);
    const bool is_inside = first >= 0 && first < from - 1;
    places.first.push_back(std::clamp(first, 0, from - 1));
    places.second.push_back(is_inside ? first + 1 : places.first.back());
    places.weight.push_back(is_inside ? at : 0.0f);
  }
  return places;
}

SAM3I_EDGE_HOT void blend(const float* a, const float* b, float weight, int count, std::uint8_t* out) {
  const float other = 1.0f - weight;
  for (int x = 0; x < count; ++x) out[x] = a[x] * other + b[x] * weight > 0.0f;
}

void pack(const std::uint8_t* bytes, int count, std::uint8_t* out) {
  for (int x = 0; x < count; x += 8) {
    unsigned bits = 0;
    for (int k = 0; k < 8; ++k) bits = bits << 1 | (x + k < count ? bytes[x + k] : 0u);
    out[x / 8] = static_cast<std::uint8_t>(bits);
  }
}

/// The rows of one mask, stretched to the image's width as they are needed: each only once, going down.
class Stretched {
 public:
  Stretched(const float* mask, int side, const Places& places) : mask_(mask), side_(side), places_(places) {
    for (auto& row : rows_) row.resize(places.first.size());
  }

  const float* row(int y) {
    auto& kept = rows_[y & 1];  // two neighbours never share a place
    int& number = numbers_[y & 1];
    if (number != y) {
      const float* from = mask_ + static_cast<std::ptrdiff_t>(y) * side_;
      for (std::size_t x = 0; x < kept.size(); ++x) {
        const float a = from[places_.first[x]], b = from[places_.second[x]], weight = places_.weight[x];
        kept[x] = a * (1.0f - weight) + b * weight;
      }
      number = y;
    }
    return kept.data();
  }

  /// Whether anything in a row of the mask is above 0: where neither neighbour has it, no pixel between them has.
  bool has_any(int y) const {
    const float* from = mask_ + static_cast<std::ptrdiff_t>(y) * side_;
    return std::any_of(from, from + side_, [](float value) { return value > 0; });
  }

 private:
  const float* mask_;
  int side_;
  const Places& places_;
  std::vector<float> rows_[2];
  int numbers_[2] = {-1, -1};
};

void draw(const float* logits, int side, const Places& across, const Places& down, const Masks& masks,
          std::uint8_t* out) {
  Stretched stretched(logits, side, across);
  std::vector<char> has_any;
  for (int y = 0; y < side; ++y) has_any.push_back(stretched.has_any(y));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(masks.format == MaskFormat::bits ? masks.width : 0));
  for (int y = 0; y < masks.height; ++y, out += masks.stride) {
    const auto row = static_cast<std::size_t>(y);
    const int first = down.first[row], second = down.second[row];
    if (!has_any[static_cast<std::size_t>(first)] && !has_any[static_cast<std::size_t>(second)]) {
      std::memset(out, 0, masks.stride);
      continue;
    }
    std::uint8_t* target = bytes.empty() ? out : bytes.data();
    const float* above = stretched.row(first);
    blend(above, stretched.row(second), down.weight[row], masks.width, target);
    if (!bytes.empty()) pack(bytes.data(), masks.width, out);
  }
}

float sigmoid(float x) { return 0.5f * (1.0f + std::tanh(0.5f * x)); }

Masks draw_all(const Outputs& outputs, const std::vector<int>& order, int width, int height,
               const SegmentOptions& options, Memory& memory) {
  Masks masks;
  masks.format = options.format;
  if (options.format == MaskFormat::none) return masks;
  masks.width = options.size == MaskSize::image ? width : outputs.mask_side;
  masks.height = options.size == MaskSize::image ? height : outputs.mask_side;
  const auto row = static_cast<std::size_t>(masks.width);
  masks.stride = options.format == MaskFormat::bits ? (row + 7) / 8 : row;
  const std::size_t size = masks.stride * static_cast<std::size_t>(masks.height);
  if (order.empty()) return masks;
  const auto pixels = memory.take("masks", size * order.size());
  const Places across = make_places(outputs.mask_side, masks.width),
               down = make_places(outputs.mask_side, masks.height);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::ptrdiff_t area = std::ptrdiff_t{outputs.mask_side} * outputs.mask_side;
    draw(outputs.masks + order[i] * area, outputs.mask_side, across, down, masks, pixels.get() + i * size);
  }
  masks.data = pixels;
  return masks;
}

/// A bit for each pixel inside. Not seen outside, as those below: a function of several versions of itself would be
/// exported.
SAM3I_EDGE_HOT void pack_inside(const float* logits, std::size_t pixels, std::uint64_t* words) {
  for (std::size_t i = 0; i < pixels; i += 64) {
    const std::size_t count = std::min<std::size_t>(64, pixels - i);
    std::uint64_t word = 0;
    for (std::size_t k = 0; k < count; ++k) word |= std::uint64_t{logits[i + k] > 0} << k;
    words[i / 64] = word;
  }
}

SAM3I_EDGE_HOT std::int64_t shared_bits(const std::uint64_t* a, const std::uint64_t* b, std::size_t count) {
  std::int64_t bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits += __builtin_popcountll(a[i] & b[i]);
  return bits;
}

SAM3I_EDGE_HOT bool all_finite(const float* values, std::size_t count) {
  constexpr std::uint32_t kExponent = 0x7F800000;  // all ones in what is infinite or not a number
  std::uint32_t is_wrong = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof(bits));
    is_wrong |= (bits & kExponent) == kExponent ? 1u : 0u;
  }
  return is_wrong == 0;
}

}  // namespace

void resize_masks(const float* logits, std::size_t count, int side, int width, int height, std::uint8_t* out) {
  Masks masks;
  masks.format = MaskFormat::bytes;
  masks.width = width;
  masks.height = height;
  masks.stride = static_cast<std::size_t>(width);
  const Places across = make_places(side, width), down = make_places(side, height);
  for (std::size_t i = 0; i < count; ++i) {
    draw(logits + i * static_cast<std::size_t>(side) * side, side, across, down, masks,
         out + i * masks.stride * static_cast<std::size_t>(height));
  }
}

bool is_finite(const float* values, std::size_t count) { return all_finite(values, count); }

std::vector<int> without_duplicates(const float* masks, std::size_t pixels, const std::vector<int>& order, double nms) {
  const std::size_t words = (pixels + 63) / 64;
  std::vector<std::uint64_t> inside(order.size() * words);  // of those that stay, and of the one that is looked at
  std::vector<std::int64_t> areas;
  std::vector<int> kept;
  for (const int i : order) {
    std::uint64_t* const one = inside.data() + kept.size() * words;
    pack_inside(masks + static_cast<std::size_t>(i) * pixels, pixels, one);
    const std::int64_t area = shared_bits(one, one, words);
    bool is_duplicate = false;
    for (std::size_t k = 0; k < kept.size() && !is_duplicate; ++k) {
      const std::int64_t both = shared_bits(one, inside.data() + k * words, words);
      // As Python does: IoU > nms without a division by the union, which may be nothing.
      is_duplicate = static_cast<double>(both) > nms * static_cast<double>(areas[k] + area - both);
    }
    if (is_duplicate) continue;
    kept.push_back(i);
    areas.push_back(area);
  }
  return kept;
}

Instances postprocess(const Outputs& outputs, int width, int height, double threshold, double nms, Route route,
                      const SegmentOptions& options, Memory& memory) {
  const float presence = sigmoid(outputs.presence[0]);
  std::vector<float> scores;
  std::vector<int> order;
  for (int i = 0; i < outputs.count; ++i) {
    scores.push_back(sigmoid(outputs.logits[i]) * presence);
    if (scores.back() > static_cast<float>(threshold)) order.push_back(i);  // in float32, as NumPy compares
  }
  const auto score = [&](int i) { return scores[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return score(a) > score(b); });
  if (nms < 1) {
    const auto side = static_cast<std::size_t>(outputs.mask_side);
    order = without_duplicates(outputs.masks, side * side, order, nms);
  }
  Instances found;
  found.route = route;
  const float w = static_cast<float>(width), h = static_cast<float>(height);
  for (const int i : order) {
    const float* box = outputs.boxes + 4 * i;
    found.scores.push_back(score(i));
    found.boxes.push_back({box[0] * w, box[1] * h, box[2] * w, box[3] * h});
  }
  found.masks = draw_all(outputs, order, width, height, options, memory);
  return found;
}

}  // namespace sam3i_edge::detail
