// Pictures are resized as Pillow does it, from any layout; masks are written as COCO does it.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "golden.hpp"
#include "postprocess.hpp"
#include "resize.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

using golden::folder;
using golden::read_array;
using golden::read_json;

class Picture : public golden::Golden {};

TEST_F(Picture, ResizedBitByBitAsPillow) {
  const auto cases = read_json(folder() / "resize.json");
  EXPECT_GT(cases.size(), 60u);
  for (const auto& one : cases) {
    const auto image = read_array(folder(), one.at("image")), expected = read_array(folder(), one.at("pixels"));
    const int side = one.at("side");
    std::vector<std::uint8_t> pixels(expected.bytes.size());
    resize(golden::view_of(image), side, side, pixels.data());
    EXPECT_TRUE(pixels == expected.bytes) << one.dump();
  }
}

/// A picture of any layout, with rows `stride` bytes apart, from RGB.
std::vector<std::uint8_t> lay_out(const golden::Array& image, const std::vector<int>& channels, std::ptrdiff_t stride) {
  const int height = image.shape[0], width = image.shape[1];
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(height * stride), 0xAA);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (std::size_t k = 0; k < channels.size(); ++k) {
        if (channels[k] < 0) continue;
        bytes[static_cast<std::size_t>(y * stride) + static_cast<std::size_t>(x) * channels.size() + k] =
            image.bytes[static_cast<std::size_t>((y * width + x) * 3 + channels[k])];
      }
    }
  }
  return bytes;
}

TEST_F(Picture, EveryLayoutGivesTheSame) {
  const auto cases = read_json(folder() / "resize.json");
  const auto one = *std::find_if(cases.begin(), cases.end(), [](const auto& item) {
    return item.at("image").at("file") == "resize_333x517.raw" && item.at("side") == 224;
  });
  const auto image = read_array(folder(), one.at("image")), expected = read_array(folder(), one.at("pixels"));
  const int width = image.shape[1], height = image.shape[0];
  const std::vector<std::pair<PixelFormat, std::vector<int>>> layouts = {{PixelFormat::rgb, {0, 1, 2}},
                                                                         {PixelFormat::bgr, {2, 1, 0}},
                                                                         {PixelFormat::rgba, {0, 1, 2, -1}},
                                                                         {PixelFormat::bgra, {2, 1, 0, -1}}};
  for (const auto& [format, channels] : layouts) {
    const auto packed = static_cast<std::ptrdiff_t>(channels.size()) * width;
    for (const std::ptrdiff_t stride : {packed, packed + 13}) {
      const auto bytes = lay_out(image, channels, stride);
      std::vector<std::uint8_t> pixels(expected.bytes.size());
      resize({bytes.data(), width, height, format, stride}, 224, 224, pixels.data());
      EXPECT_TRUE(pixels == expected.bytes) << static_cast<int>(format) << ", stride " << stride;
    }
  }
  // Upside down in memory: begins at the last row, and goes up.
  std::vector<std::uint8_t> turned, pixels(expected.bytes.size());
  for (int y = height - 1; y >= 0; --y) {
    turned.insert(turned.end(), image.bytes.begin() + y * width * 3, image.bytes.begin() + (y + 1) * width * 3);
  }
  resize({turned.data() + (height - 1) * width * 3, width, height, PixelFormat::rgb, -width * 3}, 224, 224,
         pixels.data());
  EXPECT_TRUE(pixels == expected.bytes);
}

TEST(Resize, GreyIsRepeated) {
  const std::vector<std::uint8_t> grey = {10, 200, 30, 40, 50, 60};
  std::vector<std::uint8_t> rgb, from_grey(4 * 4 * 3), from_rgb(4 * 4 * 3);
  for (const std::uint8_t value : grey) rgb.insert(rgb.end(), 3, value);
  resize({grey.data(), 3, 2, PixelFormat::grey}, 4, 4, from_grey.data());
  resize({rgb.data(), 3, 2}, 4, 4, from_rgb.data());
  EXPECT_EQ(from_grey, from_rgb);
}

TEST(Resize, ImagesThatAreNone) {
  const std::uint8_t pixel[3] = {};
  const std::vector<std::pair<ImageView, std::string>> cases = {
      {{nullptr, 1, 1}, "The image is 1 wide and 1 high, without data. It has no pixels."},
      {{pixel, 0, 1}, "The image is 0 wide and 1 high. It has no pixels."},
      {{pixel, 1, -1}, "The image is 1 wide and -1 high. It has no pixels."},
      {{pixel, 1 << 15, 1 << 14},
       "The image is 32768 wide and 16384 high: more than 268 million pixels. Crop it or scale it down first."},
      {{pixel, 2, 2, PixelFormat::rgba, 7}, "The image's stride is 7 bytes; a row has 8."},
      {{pixel, 2, 2, PixelFormat::rgb, -5}, "The image's stride is -5 bytes; a row has 6."},
      {{pixel, 2, 2, PixelFormat::rgb, std::numeric_limits<std::ptrdiff_t>::min()},
       "The image's stride is -9223372036854775808 bytes; a row has 6."},
      {{pixel, 2, 3, PixelFormat::rgb, std::numeric_limits<std::ptrdiff_t>::max() / 2},
       "The image's stride is 4611686018427387903 bytes; a row has 6."},
      {{pixel, 1, 1, static_cast<PixelFormat>(9)}, "The pixel format is 9; use one of PixelFormat's."}};
  for (const auto& [view, message] : cases) {
    EXPECT_EQ(golden::refusal<ImageError>([&, &view = view] { check_image(view); }), message);
  }
}

/// The same mask as bits.
Masks packed(const Masks& bytes) {
  const auto stride = static_cast<std::size_t>((bytes.width + 7) / 8);
  std::shared_ptr<std::uint8_t[]> data(new std::uint8_t[stride * static_cast<std::size_t>(bytes.height)]());
  for (int i = 0; i < bytes.width * bytes.height; ++i) {
    const int x = i % bytes.width, y = i / bytes.width;
    if (bytes.data[i]) data[static_cast<std::size_t>(y) * stride + static_cast<std::size_t>(x / 8)] |= 0x80 >> x % 8;
  }
  return {MaskFormat::bits, bytes.width, bytes.height, stride, data};
}

TEST_F(Picture, RunLengthsAsCoco) {
  for (const auto& one : read_json(folder() / "masks.json")) {
    const auto mask = read_array(folder(), one.at("mask"));
    const int height = mask.shape[0], width = mask.shape[1];
    std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[mask.bytes.size()]);
    std::copy(mask.bytes.begin(), mask.bytes.end(), bytes.get());
    Instances found;
    found.scores = {1};
    found.masks = {MaskFormat::bytes, width, height, static_cast<std::size_t>(width), bytes};
    for (const bool as_bits : {false, true}) {
      if (as_bits) found.masks = packed(found.masks);
      EXPECT_EQ(found.rle(0), one.at("counts").get<std::string>());
      EXPECT_EQ(found.area(0), one.at("area").get<std::size_t>());
    }
  }
}

TEST(Postprocess, BestFirstEqualOnesInOrderAndNaNNever) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float logits[] = {0, nan, 3, 3, -3}, presence[] = {9}, boxes[20] = {0, 0, 1, 1, 0, 0, 0, 0, 0.5f, 0, 1, 1};
  const float masks[5 * 4] = {1, 1, 1, 1, 1, 1, 1, 1, -1, 1, -1, 1, -1, -1, -1, -1, 1, 1, 1, 1};
  Memory memory;
  const Instances found = postprocess({logits, presence, boxes, masks, 5, 2}, 9, 6, 0.3, 1, Route::Simple, {}, memory);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found.scores[0], found.scores[1]);
  EXPECT_LT(found.scores[2], 0.5f);
  EXPECT_EQ(found.boxes[0], (std::array<float, 4>{4.5f, 0, 9, 6}));
  EXPECT_EQ(found.area(0), 4u * 6);  // the right half: 0 in the middle column is not above 0
  EXPECT_EQ(found.area(1), 0u);
  EXPECT_EQ(found.area(2), 9u * 6);
}

TEST(Postprocess, FiniteIsEveryValue) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const auto ask = [](const std::vector<float>& values) { return is_finite(values.data(), values.size()); };
  EXPECT_TRUE(ask({}));
  EXPECT_TRUE(ask({-3e38f, 3e38f, 0, 1e-45f}));
  EXPECT_FALSE(ask({1, nan}));
  EXPECT_FALSE(ask({-inf, 1}));
  EXPECT_FALSE(ask({1, 2, inf}));
  EXPECT_FALSE(ask({1, -nan, 2}));
}

TEST(Postprocess, BitsAreTheBytes) {
  const float logits[] = {3}, presence[] = {9}, boxes[4] = {0, 0, 1, 1}, masks[] = {-1, 2, 3, -4};
  Memory memory;
  const Outputs outputs{logits, presence, boxes, masks, 1, 2};
  const auto ask = [&](MaskFormat format, MaskSize size) {
    return postprocess(outputs, 13, 11, 0.5, 1, Route::Simple, {format, size}, memory);
  };
  const Instances bytes = ask(MaskFormat::bytes, MaskSize::image), bits = ask(MaskFormat::bits, MaskSize::image);
  EXPECT_EQ(bits.masks.stride, 2u);
  for (int y = 0; y < 11; ++y) {
    for (int x = 0; x < 13; ++x) EXPECT_EQ(bytes.contains(0, x, y), bits.contains(0, x, y));
  }
  EXPECT_EQ(bytes.rle(0), bits.rle(0));
  EXPECT_EQ(ask(MaskFormat::bytes, MaskSize::graph).area(0), 2u);
  EXPECT_EQ(ask(MaskFormat::none, MaskSize::image).masks.data, nullptr);
}

TEST(Memory, BlocksComeBackAndOutliveIt) {
  std::shared_ptr<std::uint8_t[]> kept;
  {
    Memory memory;
    kept = memory.take("a", 100);
    const std::uint8_t* first = kept.get();
    EXPECT_NE(memory.take("a", 100).get(), first);
    kept.reset();
    kept = memory.take("a", 50);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(kept.get()) % 64, 0u);
  }
  kept[49] = 1;
}

}  // namespace
}  // namespace sam3i_edge::detail
