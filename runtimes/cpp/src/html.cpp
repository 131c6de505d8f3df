#include "html.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>

namespace sam3i_edge::detail {
namespace {

struct Entity {
  const char* name;
  char32_t first, second = 0, third = 0;
};
struct Replacement {
  char32_t point, by;
};

#include "html_entities.inc"

constexpr std::size_t kLongestName = 32, kLongestStrictName = 24;
constexpr char32_t kReplacement = 0xFFFD;

bool is_digit(char32_t point) { return point >= '0' && point <= '9'; }
bool is_hex_digit(char32_t point) { return is_digit(point) || (point | 0x20) - 'a' < 6; }
bool is_alphanumeric(char32_t point) { return is_digit(point) || (point | 0x20) - 'a' < 26; }
bool may_be_in_name(char32_t point) { return std::u32string_view(U"\t\n\f <&#;").find(point) == std::u32string::npos; }

/// The characters of the entity `name`, of those sorted in `table`.
template <std::size_t n>
std::optional<std::u32string> find_entity(const Entity (&table)[n], std::u32string_view name) {
  std::string plain;
  for (const char32_t point : name) {
    if (point >= 0x80) return std::nullopt;
    plain += static_cast<char>(point);
  }
  const Entity* found =
      std::lower_bound(std::begin(table), std::end(table), plain,
                       [](const Entity& entity, const std::string& key) { return entity.name < key; });
  if (found == std::end(table) || found->name != plain) return std::nullopt;
  std::u32string characters{found->first};
  if (found->second) characters += found->second;
  if (found->third) characters += found->third;
  return characters;
}

/// What the number of a reference stands for, by HTML's own rules; it may be nothing.
std::u32string of_number(std::u32string_view digits, char32_t base) {
  char32_t number = 0;
  for (const char32_t digit : digits) {
    number = std::min<char32_t>(number * base + (is_digit(digit) ? digit - '0' : (digit | 0x20) - 'a' + 10), 0x110000);
  }
  const Replacement* found = std::lower_bound(std::begin(NUMBERS), std::end(NUMBERS), number,
                                              [](const Replacement& row, char32_t key) { return row.point < key; });
  if (found != std::end(NUMBERS) && found->point == number) {
    return found->by ? std::u32string{found->by} : std::u32string();
  }
  return {number - 0xD800 < 0x800 || number > 0x10FFFF ? kReplacement : number};
}

struct Number {
  std::u32string meaning;
  std::size_t length;  ///< of "#65" or "#x41", without a semicolon
};

/// The reference by number that `text`, which begins behind the ampersand, begins with.
std::optional<Number> read_number(std::u32string_view text) {
  if (text.empty() || text[0] != '#') return std::nullopt;
  const bool is_hex = text.size() > 1 && (text[1] | 0x20) == 'x';
  const std::size_t start = is_hex ? 2 : 1;
  std::size_t end = start;
  while (end < text.size() && (is_hex ? is_hex_digit(text[end]) : is_digit(text[end]))) ++end;
  if (end == start) return std::nullopt;
  return Number{of_number(text.substr(start, end - start), is_hex ? 16 : 10), end};
}

/// Replaces the reference by name at the beginning of `text`, if it is one, and says how much of it was read.
std::size_t replace_name(std::u32string_view text, std::u32string& to) {
  std::size_t end = 0;
  while (end < text.size() && end < kLongestName && may_be_in_name(text[end])) ++end;
  if (end == 0) return to += '&', 0;
  if (end < text.size() && text[end] == ';') ++end;
  for (std::size_t length = end; length == end || length >= 2; --length) {
    if (const auto found = find_entity(HTML5, text.substr(0, length))) {
      to += *found;
      to += text.substr(length, end - length);
      return end;
    }
  }
  to += '&';
  to += text.substr(0, end);
  return end;
}

/// As `replace_name`, for any reference that ends in a semicolon.
std::size_t replace_strictly(std::u32string_view text, std::u32string& to) {
  const std::size_t start = !text.empty() && text[0] == '#' ? 1 : 0;
  std::size_t end = start;
  while (end < text.size() && end - start < kLongestStrictName && is_alphanumeric(text[end])) ++end;
  to += '&';
  if (end == start || end == text.size() || text[end] != ';') return 0;
  std::optional<std::u32string> meaning;
  if (start == 0) {
    meaning = find_entity(HTML5, text.substr(0, end + 1));
    if (!meaning) meaning = find_entity(CAPITALS, text.substr(0, end + 1));
  } else if (const auto number = read_number(text.substr(0, end))) {
    if (number->length == end && number->meaning != U";") meaning = number->meaning;
  }
  if (!meaning) return 0;
  to.pop_back();
  to += *meaning;
  return end + 1;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) {
  std::u32string unescaped;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '&') {
      unescaped += text[i++];
      continue;
    }
    const std::u32string_view rest = text.substr(++i);
    if (const auto number = read_number(rest)) {
      unescaped += number->meaning;
      i += number->length;
      if (i < text.size() && text[i] == ';') ++i;
    } else {
      i += replace_name(rest, unescaped);
    }
  }
  return unescaped;
}

std::u32string unescape_html_strictly(std::u32string_view text) {
  std::u32string unescaped;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '&') {
      unescaped += text[i++];
    } else {
      ++i;
      i += replace_strictly(text.substr(i), unescaped);
    }
  }
  return unescaped;
}

}  // namespace sam3i_edge::detail
