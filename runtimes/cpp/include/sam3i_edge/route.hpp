// The levels of text that the model tells apart.
#pragma once

#include <string_view>

#include "sam3i_edge/export.hpp"

namespace sam3i_edge {

/// What reads a text. Capitalised, because `auto` and `concept` are keywords.
enum class Route {
  Auto,     ///< the bundle's classifier chooses one of the others; results never hold it
  Concept,  ///< a short noun phrase
  Simple,   ///< a noun with attributes, place, relations
  Complex,  ///< no explicit noun: function, action, reasoning
};

/// The name of a route: "auto", "concept", "simple" or "complex".
SAM3I_EDGE_API const char* to_string(Route route);

/// The route of that name. Throws PromptError, with the known names and the closest of them.
SAM3I_EDGE_API Route parse_route(std::string_view name);

}  // namespace sam3i_edge
