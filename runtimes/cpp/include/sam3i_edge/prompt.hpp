// What to look for: a text, the route that reads it, and boxes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sam3i_edge/route.hpp"

namespace sam3i_edge {

/// A box in pixels of the image: x to the right, y down, x0 < x1 and y0 < y1.
struct Box {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

/// One question to the image: "hammer", or Prompt{"hammer", Route::Simple} where the route is known. It is checked
/// where it is asked: `segment` throws PromptError.
struct Prompt {
  Prompt(std::string what, Route by_route = Route::Auto, std::vector<Box> examples = {},  // NOLINT: a text is a prompt
         std::vector<Box> counterexamples = {})
      : text(std::move(what)),
        route(by_route),
        boxes(std::move(examples)),
        negative_boxes(std::move(counterexamples)) {}
  Prompt(const char* what) : Prompt(std::string(what)) {}  // NOLINT

  std::string text;                 ///< what to segment, in plain words, UTF-8. The model reads its first 32 tokens.
  Route route;                      ///< what reads the text
  std::vector<Box> boxes;           ///< examples of what is meant, in pixels of the image
  std::vector<Box> negative_boxes;  ///< examples of what is not meant
};

}  // namespace sam3i_edge
