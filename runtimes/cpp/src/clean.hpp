// What becomes of a text before it is cut into words.
#pragma once

#include <string>
#include <string_view>

namespace sam3i_edge::detail {

/// As `clean` of the Python tokenizer: repair what was mistyped or copied badly, resolve HTML entities (twice),
/// collapse white space, lower-case. Of ftfy's repairs one is missing: mojibake ("fianc√©") stays as it is.
std::u32string clean(std::u32string_view text);

}  // namespace sam3i_edge::detail
