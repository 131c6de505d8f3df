#include "draw.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace tools {
namespace {

using Colour = std::array<std::uint8_t, 3>;

constexpr std::array<Colour, 8> kPalette = {{{255, 56, 38},
                                             {38, 128, 255},
                                             {38, 255, 74},
                                             {255, 201, 38},
                                             {219, 38, 255},
                                             {38, 255, 255},
                                             {147, 255, 38},
                                             {255, 38, 147}}};
constexpr double kApart = 60;           ///< least difference of a colour from what it covers
constexpr std::size_t kSampled = 2000;  ///< pixels of a mask that are looked at

/// Digits of 3 x 5 dots, a row in three bits, the uppermost first; then the point.
constexpr std::array<std::array<std::uint8_t, 5>, 11> kDigits = {{{7, 5, 5, 5, 7},
                                                                  {2, 6, 2, 2, 7},
                                                                  {7, 1, 7, 4, 7},
                                                                  {7, 1, 7, 1, 7},
                                                                  {5, 5, 7, 1, 1},
                                                                  {7, 4, 7, 1, 7},
                                                                  {7, 4, 7, 5, 7},
                                                                  {7, 1, 1, 2, 2},
                                                                  {7, 5, 7, 5, 7},
                                                                  {7, 5, 7, 1, 7},
                                                                  {0, 0, 0, 0, 2}}};

struct Rectangle {
  int x0, y0, x1, y1;  ///< the last ones do not belong to it
};

std::uint8_t* at(Picture& picture, int x, int y) {
  return &picture.rgb[(static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
                       static_cast<std::size_t>(x)) *
                      3];
}

/// Difference in hue and, by half, in brightness: bright red on dark red is still red on red.
double difference(const std::uint8_t* pixel, const Colour& colour) {
  const double red = pixel[0] - colour[0], green = pixel[1] - colour[1], blue = pixel[2] - colour[2];
  const double luma = 0.299 * red + 0.587 * green + 0.114 * blue;
  return std::sqrt(0.25 * luma * luma + std::pow(red - luma, 2) + std::pow(blue - luma, 2));
}

/// What a fifth of the mask's pixels may be as near to as that.
double nearest(Picture& picture, const sam3i_edge::Instances& found, std::size_t i, const Colour& colour) {
  const std::size_t step = std::max<std::size_t>(1, found.area(i) / kSampled);
  std::vector<double> differences;
  std::size_t count = 0;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      if (found.contains(i, x, y) && count++ % step == 0) differences.push_back(difference(at(picture, x, y), colour));
    }
  }
  if (differences.empty()) return kApart;
  const auto fifth = differences.begin() + static_cast<std::ptrdiff_t>(differences.size() / 5);
  std::nth_element(differences.begin(), fifth, differences.end());
  return *fifth;
}

/// For each instance, of the colours that stand out, the one that was taken least often.
std::vector<Colour> colours(Picture& picture, const sam3i_edge::Instances& found) {
  std::vector<Colour> chosen;
  std::array<int, kPalette.size()> taken{};
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::array<double, kPalette.size()> apart;
    for (std::size_t k = 0; k < apart.size(); ++k) apart[k] = nearest(picture, found, i, kPalette[k]);
    const double least = std::min(kApart, *std::max_element(apart.begin(), apart.end()));
    std::size_t best = kPalette.size();
    for (std::size_t k = 0; k < apart.size(); ++k) {
      if (apart[k] >= least && (best == kPalette.size() || taken[k] < taken[best])) best = k;
    }
    ++taken[best];
    chosen.push_back(kPalette[best]);
  }
  return chosen;
}

void fill(Picture& picture, const Rectangle& area, const Colour& colour) {
  for (int y = std::max(0, area.y0); y < std::min(picture.height, area.y1); ++y) {
    for (int x = std::max(0, area.x0); x < std::min(picture.width, area.x1); ++x) {
      std::copy(colour.begin(), colour.end(), at(picture, x, y));
    }
  }
}

Rectangle within(const Picture& picture, const std::array<float, 4>& box) {
  const auto whole = [](float value, int size) {
    return static_cast<int>(std::lround(std::clamp(value, 0.F, static_cast<float>(size - 1))));
  };
  return {whole(box[0], picture.width), whole(box[1], picture.height), whole(box[2], picture.width),
          whole(box[3], picture.height)};
}

void outline(Picture& picture, const Rectangle& box, const Colour& colour, int thick) {
  fill(picture, {box.x0, box.y0, box.x1, box.y0 + thick}, colour);
  fill(picture, {box.x0, box.y1, box.x1 + thick, box.y1 + thick}, colour);
  fill(picture, {box.x0, box.y0, box.x0 + thick, box.y1}, colour);
  fill(picture, {box.x1, box.y0, box.x1 + thick, box.y1 + thick}, colour);
}

/// Above the box, below it or in it, or anywhere in the picture, where it covers no other label.
Rectangle place(const Picture& picture, int width, int height, const Rectangle& box,
                const std::vector<Rectangle>& placed) {
  std::vector<std::array<int, 2>> places = {{box.x0, box.y0 - height}, {box.x0, box.y1 + 1}, {box.x0, box.y0}};
  for (int y = 0; y + height <= picture.height; y += height) {
    for (int x = 0; x + width <= picture.width; x += width) places.push_back({x, y});
  }
  for (const auto& [x, y] : places) {
    const bool fits = x >= 0 && y >= 0 && x + width <= picture.width && y + height <= picture.height;
    const bool covers = std::any_of(placed.begin(), placed.end(), [x = x, y = y, width, height](const Rectangle& o) {
      return x < o.x1 && o.x0 < x + width && y < o.y1 && o.y0 < y + height;
    });
    if (fits && !covers) return {x, y, x + width, y + height};
  }
  return {box.x0, std::max(0, box.y0 - height), box.x0 + width, std::max(0, box.y0 - height) + height};
}

void write(Picture& picture, int left, int top, const std::string& text, const Colour& colour, int dot) {
  for (const char c : text) {
    if (c != ' ') {
      const auto& rows = kDigits[c == '.' ? 10 : static_cast<std::size_t>(c - '0')];
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < 3; ++x) {
          if (!(rows[static_cast<std::size_t>(y)] >> (2 - x) & 1)) continue;
          fill(picture, {left + x * dot, top + y * dot, left + (x + 1) * dot, top + (y + 1) * dot}, colour);
        }
      }
    }
    left += 4 * dot;
  }
}

}  // namespace

Picture draw(Picture picture, const sam3i_edge::Instances& found) {
  const std::vector<Colour> chosen = colours(picture, found);
  const int dot = std::max(2, std::max(picture.width, picture.height) / 320), thick = std::max(1, dot / 2);
  for (std::size_t i = found.size(); i-- > 0;) {
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        if (!found.contains(i, x, y)) continue;
        for (std::size_t k = 0; k < 3; ++k) {
          std::uint8_t& part = at(picture, x, y)[k];
          part = static_cast<std::uint8_t>((part + chosen[i][k]) / 2);
        }
      }
    }
    outline(picture, within(picture, found.boxes[i]), chosen[i], thick);
  }
  std::vector<Rectangle> placed;
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::array<char, 48> text;
    std::snprintf(text.data(), text.size(), "%zu %.2f", i + 1, static_cast<double>(found.scores[i]));
    const std::string label = text.data();
    const int width = static_cast<int>(label.size()) * 4 * dot + dot, height = 7 * dot;
    placed.push_back(place(picture, width, height, within(picture, found.boxes[i]), placed));
    fill(picture, placed.back(), chosen[i]);
    const bool is_bright = 0.299 * chosen[i][0] + 0.587 * chosen[i][1] + 0.114 * chosen[i][2] > 110;
    const std::uint8_t ink = is_bright ? 0 : 255;
    write(picture, placed.back().x0 + dot, placed.back().y0 + dot, label, {ink, ink, ink}, dot);
  }
  return picture;
}

}  // namespace tools
