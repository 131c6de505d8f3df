// Prompts: checked, and as the graphs take them.
#pragma once

#include <string>
#include <vector>

#include "sam3i_edge/prompt.hpp"
#include "session.hpp"

namespace sam3i_edge::detail {

/// Throws PromptError unless it is a number in 0..1.
double check_threshold(double threshold);

/// Throws PromptError unless it is a number above 0 and at most 1.
double check_nms(double nms);

/// Throws PromptError where a route is not one of the enumerators.
void check_route(Route route);

/// The characters of a text. Throws PromptError where it is empty or not UTF-8.
std::u32string check_text(const std::string& text);

/// Throws PromptError where a text says that boxes alone decide, and there are none.
void check_boxes_alone(const Prompt& prompt);

/// Throws PromptError where text or route is wrong, or a box is missing, not finite or empty.
void check(const Prompt& prompt);

/// The model's one-hot route gates (N, 3) float32; no route may be `Auto`.
Tensor gates(const std::vector<Route>& routes);

struct PackedBoxes {
  Tensor boxes;   ///< (N, B, 4) float32, centre, width and height as fractions of the image
  Tensor labels;  ///< (N, B) int32: 1 positive, 0 negative, -1 unused
};

/// Throws PromptError: a box is missing, not finite, empty or outside the image, or there are too many.
PackedBoxes pack_boxes(const std::vector<Prompt>& prompts, int width, int height, std::int64_t max_boxes);

}  // namespace sam3i_edge::detail
