#include "clean.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "html.hpp"
#include "unicode.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kLongestSegment = 1000000;  // ftfy's bound

/// What ftfy leaves out: control characters that nobody meant to write.
bool is_unwanted(char32_t point) {
  return point <= 0x08 || point == 0x0B || (point >= 0x0E && point <= 0x1F) || point == 0x7F ||
         (point >= 0x206A && point <= 0x206F) || point == 0xFEFF || (point >= 0xFFF9 && point <= 0xFFFC);
}

/// One character for another: C1 controls, curly quotes, line breaks.
char32_t replaced(char32_t point) {
  if (point >= 0x80 && point < 0xA0) point = of_windows_1252(point);
  if (point == 0x2BC || (point >= 0x2018 && point <= 0x201B)) return '\'';
  if (point >= 0x201C && point <= 0x201F) return '"';
  if (point == '\r' || point == 0x2028 || point == 0x2029) return '\n';  // "\r\n" gives two: one space in the end
  return point;
}

/// The escape sequence of a terminal ("\x1b[1;31m") that `text` begins with: its length, or 0.
std::size_t terminal_escape(std::u32string_view text) {
  if (text.size() < 3 || text[0] != 0x1B || text[1] != '[') return 0;
  std::size_t end = 2;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == ';')) ++end;
  return end < text.size() && (text[end] | 0x20) - 'a' < 26 ? end + 1 : 0;
}

std::u32string replace_characters(std::u32string_view text) {
  std::u32string found;
  found.reserve(text.size());
  const auto add = [&](char32_t point) { found += replaced(point); };
  for (const char32_t point : text) {
    if (const auto parts = taken_apart(point)) {
      std::for_each(parts->begin(), parts->end(), add);
    } else if (const auto standard = standard_width(point)) {
      std::for_each(standard->begin(), standard->end(), add);
    } else {
      add(point);
    }
  }
  return found;
}

std::u32string without_controls(std::u32string_view text) {
  std::u32string escaped, kept;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t skipped = terminal_escape(text.substr(i));
    if (skipped == 0) escaped += text[i];
    i += std::max<std::size_t>(skipped, 1);
  }
  std::copy_if(escaped.begin(), escaped.end(), std::back_inserter(kept), [](char32_t p) { return !is_unwanted(p); });
  return kept;
}

/// ftfy's fix of one line, which it repeats until nothing changes.
std::u32string fix_segment(std::u32string_view text, bool unescape) {
  std::u32string before, fixed(text);
  do {
    before = fixed;
    if (unescape) fixed = unescape_html_strictly(fixed);
    fixed = nfc(without_controls(replace_characters(fixed)));
  } while (fixed != before);
  return fixed;
}

std::u32string fix_text(std::u32string_view text) {
  std::u32string fixed;
  bool unescape = true;
  while (!text.empty()) {
    const std::size_t line = text.find(U'\n');
    const std::size_t end = std::min({line == std::u32string_view::npos ? text.size() : line + 1, kLongestSegment});
    const std::u32string_view segment = text.substr(0, end);
    // A "<" says that this is HTML itself, where entities are meant; from there on to the end of the text.
    unescape = unescape && segment.find(U'<') == std::u32string_view::npos;
    fixed += fix_segment(segment, unescape);
    text.remove_prefix(end);
  }
  return fixed;
}

/// One space for any white space within, and none at either end.
std::u32string collapsed(std::u32string_view text) {
  std::u32string found;
  for (const char32_t point : text) {
    if (!is_space(point)) {
      found += point;
    } else if (!found.empty() && found.back() != ' ') {
      found += ' ';
    }
  }
  if (!found.empty() && found.back() == ' ') found.pop_back();
  return found;
}

}  // namespace

std::u32string clean(std::u32string_view text) {
  return lower(collapsed(unescape_html(unescape_html(fix_text(text)))));
}

}  // namespace sam3i_edge::detail
