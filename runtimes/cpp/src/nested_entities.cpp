#include "nested_entities.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kMostZeros = 20;  // no more fit into the 24 characters that a reference may have

bool begins_with(std::u32string_view text, std::u32string_view part) { return text.substr(0, part.size()) == part; }

/// The length of "amp;", "AMP;", "#38;" or "#x26;" at the beginning of `text`, which stand for an ampersand behind
/// another one; 0 if there is none.
std::size_t ampersand(std::u32string_view text, bool only_named) {
  if (begins_with(text, U"amp;") || begins_with(text, U"AMP;")) return 4;
  if (only_named || text.size() < 2 || text[0] != '#') return 0;
  const bool is_hex = (text[1] | 0x20) == 'x';
  const std::size_t start = is_hex ? 2 : 1;
  const std::size_t digits = text.find_first_not_of(U'0', start);
  if (digits == std::u32string_view::npos || digits - start > kMostZeros) return 0;
  return begins_with(text.substr(digits), is_hex ? U"26;" : U"38;") ? digits + 3 : 0;
}

struct Nest {
  std::size_t levels = 0;
  std::size_t length = 0;  ///< of all levels, without the first ampersand
};

/// The nest behind an ampersand, or its first levels.
Nest read_nest(std::u32string_view text, bool only_named = false,
               std::size_t most = std::numeric_limits<std::size_t>::max()) {
  Nest nest;
  while (nest.levels < most) {
    const std::size_t length = ampersand(text.substr(nest.length), only_named);
    if (length == 0) break;
    nest.length += length;
    ++nest.levels;
  }
  return nest;
}

/// `text` with so many levels less in each nest of two or more.
std::u32string less_nested(std::u32string_view text, std::size_t levels) {
  std::u32string found;
  for (std::size_t i = 0; i < text.size();) {
    found += text[i++];
    if (found.back() == '&' && read_nest(text.substr(i), false, 2).levels == 2) {
      i += read_nest(text.substr(i), false, levels).length;
    }
  }
  return found;
}

/// The levels of the least nest of two or more; 0 if there is none.
std::size_t least_levels(std::u32string_view text) {
  std::size_t least = 0;
  for (std::size_t at = text.find(U'&'); at != std::u32string_view::npos; at = text.find(U'&', at + 1)) {
    const std::size_t levels = read_nest(text.substr(at + 1)).levels;
    if (levels >= 2) least = least ? std::min(least, levels) : levels;
  }
  return least;
}

}  // namespace

std::u32string without_nests(std::u32string_view text) {
  std::u32string found;
  for (std::size_t i = 0; i < text.size();) {
    found += text[i++];
    if (found.back() == '&') i += read_nest(text.substr(i), true).length;
  }
  return found;
}

std::u32string without_equal_passes(std::u32string_view before, std::u32string_view after) {
  const std::size_t levels = least_levels(before);
  if (levels <= 4 || less_nested(before, 1) != after) return std::u32string(after);
  return less_nested(after, levels - 4);
}

}  // namespace sam3i_edge::detail
