// What becomes of a text before it is cut into words.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace sam3i_edge::detail {

/// The beginning of a normalized text. If it is not the whole, the text may go on within its last word.
struct Head {
  std::u32string text;
  bool is_whole;
};

/// As `heads` of the Python side: repairs what was mistyped or copied badly, resolves HTML entities (twice), collapses
/// white space, lower-cases. Of ftfy's repairs one is missing: mojibake ("fianc√©") stays as it is.
///
/// Of a long text only the beginning is read: `take` gets beginnings, each longer than the one before, until it returns
/// true or has had the whole.
void read_heads(std::u32string_view text, const std::function<bool(const Head&)>& take);

/// The whole of a normalized text.
std::u32string normalize(std::u32string_view text);

/// Whether it is all that is left of `text`.
bool normalizes_to(std::u32string_view text, std::u32string_view normalized);

/// Whether nothing of it is left.
bool is_blank(std::u32string_view text);

}  // namespace sam3i_edge::detail
