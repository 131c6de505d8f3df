// Character references of HTML.
#pragma once

#include <string>
#include <string_view>

namespace sam3i_edge::detail {

/// As Python's html.unescape: also references without a semicolon, and the longest name that a text begins with.
std::u32string unescape_html(std::u32string_view text);

/// As ftfy's fixer: references that end in a semicolon only, also some names in capitals.
std::u32string unescape_html_strictly(std::u32string_view text);

}  // namespace sam3i_edge::detail
