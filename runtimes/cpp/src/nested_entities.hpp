// Entities in entities: "&amp;amp;amp;lt;". A pass resolves one level of them, so that each pass is not taken singly.
#pragma once

#include <string>
#include <string_view>

namespace sam3i_edge::detail {

/// One ampersand for any number of levels of "&amp;" or "&AMP;".
std::u32string without_nests(std::u32string_view text);

/// `after`; where all that a pass did to `before` is to resolve one level of each nest, without the levels that equal
/// passes would resolve. They go on until the least nest is nearly resolved: three levels stay, more than any fix looks
/// at.
std::u32string without_equal_passes(std::u32string_view before, std::u32string_view after);

}  // namespace sam3i_edge::detail
