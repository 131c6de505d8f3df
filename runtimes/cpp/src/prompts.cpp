#include "prompts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "messages.hpp"
#include "normalize.hpp"
#include "route.hpp"
#include "sam3i_edge/errors.hpp"
#include "unicode.hpp"

namespace sam3i_edge::detail {
namespace {

std::string shown(const Box& box) {
  return "Box(x0=" + detail::shown(box.x0) + ", y0=" + detail::shown(box.y0) + ", x1=" + detail::shown(box.x1) +
         ", y1=" + detail::shown(box.y1) + ")";
}

void check(const Box& box) {
  for (const double value : {box.x0, box.y0, box.x1, box.y1}) {
    if (!std::isfinite(value)) throw PromptError(shown(box) + ": the coordinates must be finite.");
  }
  if (box.x0 >= box.x1 || box.y0 >= box.y1) {
    throw PromptError(shown(box) + " is empty or inverted: Box takes (x0, y0, x1, y1) with x0 < x1 and y0 < y1.");
  }
}

/// Centre, width and height as fractions of the image.
std::array<double, 4> normalized(const Box& box, int width, int height) {
  if (box.x0 < 0 || box.y0 < 0 || box.x1 > width || box.y1 > height) {
    throw PromptError(shown(box) + " reaches outside the image, which is " + std::to_string(width) + " wide and " +
                      std::to_string(height) +
                      " high. Clip it to the image, or check that it is in pixels of this image.");
  }
  return {(box.x0 + box.x1) / 2 / width, (box.y0 + box.y1) / 2 / height, (box.x1 - box.x0) / width,
          (box.y1 - box.y0) / height};
}

}  // namespace

double check_threshold(double threshold) {
  if (threshold >= 0 && threshold <= 1) return threshold;
  throw PromptError("The threshold is " + detail::shown(threshold) + "; it must be a number between 0 and 1.");
}

double check_nms(double nms) {
  if (nms > 0 && nms <= 1) return nms;
  throw PromptError("nms is " + detail::shown(nms) +
                    "; it must be a number above 0 and at most 1, which suppresses nothing.");
}

void check_route(Route route) {
  if (route >= Route::Auto && route <= Route::Complex) return;
  throw PromptError("The route is " + std::to_string(static_cast<int>(route)) + "; use one of its enumerators.");
}

std::u32string check_text(const std::string& text) {
  auto points = from_utf8(text);
  if (!points) throw PromptError("The prompt's text is not valid UTF-8.");
  if (!is_blank(*points)) return std::move(*points);
  throw PromptError(
      "The prompt's text is empty. Say what to segment, for example 'the red mug'; if boxes alone should decide, use "
      "the text 'visual'.");
}

void check_boxes_alone(const Prompt& prompt) {
  if (!prompt.boxes.empty() || !prompt.negative_boxes.empty()) return;
  const auto points = from_utf8(prompt.text);
  if (!points || !normalizes_to(*points, U"visual")) return;
  throw PromptError(
      "The text 'visual' lets boxes alone decide, and the prompt has none. Give it boxes, or say what to segment, for "
      "example 'the red mug'.");
}

void check(const Prompt& prompt) {
  check_text(prompt.text);
  check_boxes_alone(prompt);
  check_route(prompt.route);
  for (const auto* list : {&prompt.boxes, &prompt.negative_boxes}) {
    for (const Box& box : *list) check(box);
  }
}

Tensor gates(const std::vector<Route>& routes) {
  Tensor made = make_tensor(DType::float32, {static_cast<std::int64_t>(routes.size()), 3});
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const auto which = std::find(kLevels.begin(), kLevels.end(), routes[i]) - kLevels.begin();
    made.as<float>()[3 * i + static_cast<std::size_t>(which)] = 1;
  }
  return made;
}

PackedBoxes pack_boxes(const std::vector<Prompt>& prompts, int width, int height, std::int64_t max_boxes) {
  const auto count = static_cast<std::int64_t>(prompts.size());
  PackedBoxes packed{make_tensor(DType::float32, {count, max_boxes, 4}), make_tensor(DType::int32, {count, max_boxes})};
  float* boxes = packed.boxes.as<float>();
  auto* labels = packed.labels.as<std::int32_t>();
  std::fill(labels, labels + count * max_boxes, -1);
  for (const Prompt& prompt : prompts) {
    check_boxes_alone(prompt);
    for (const auto* list : {&prompt.boxes, &prompt.negative_boxes}) {
      for (const Box& box : *list) check(box);
    }
    const std::size_t given = prompt.boxes.size() + prompt.negative_boxes.size();
    if (given > static_cast<std::size_t>(max_boxes)) {
      throw PromptError("The prompt " + in_quotes(prompt.text) + " has " + std::to_string(given) +
                        " boxes; this bundle takes " + std::to_string(max_boxes) + ".");
    }
    std::size_t column = 0;
    for (const bool is_positive : {true, false}) {
      for (const Box& box : is_positive ? prompt.boxes : prompt.negative_boxes) {
        const auto values = normalized(box, width, height);
        std::transform(values.begin(), values.end(), boxes + 4 * column,
                       [](double value) { return static_cast<float>(value); });
        labels[column++] = is_positive;
      }
    }
    boxes += 4 * max_boxes;
    labels += max_boxes;
  }
  return packed;
}

}  // namespace sam3i_edge::detail
