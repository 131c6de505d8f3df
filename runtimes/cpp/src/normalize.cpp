#include "normalize.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>

#include "html.hpp"
#include "nested_entities.hpp"
#include "unicode.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kLongestSegment = 1000000;  // ftfy's bound
constexpr std::size_t kFirstLength = 2048;        // of the first head; each further one is four times as long

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

/// How much of the beginning of `text` is lines on which nothing is to be seen.
std::size_t blank_lines(std::u32string_view text) {
  const auto is_seen = [](char32_t point) { return point == 0x85 || !(is_unwanted(point) || is_space(point)); };
  const auto seen = std::find_if(text.begin(), text.end(), is_seen);
  const std::size_t last = text.substr(0, static_cast<std::size_t>(seen - text.begin())).rfind(U'\n');
  return last == std::u32string_view::npos ? 0 : last + 1;
}

bool is_ascii(std::u32string_view text) {
  return std::all_of(text.begin(), text.end(), [](char32_t point) { return point < 0x80; });
}

/// Whether no fix changes a character, wherever it stands among others of these.
bool is_untouched(char32_t point) {
  const auto within = [point](char32_t first, char32_t last) { return point - first <= last - first; };
  if (point < 0x80) return (within(' ', '~') && point != '&') || point == '\t' || point == '\n' || point == '\f';
  return within(0x3041, 0x3096) || within(0x30A1, 0x30FA) || within(0x3400, 0x9FFF) || within(0xAC00, 0xD7A3) ||
         within(0x1F300, 0x1FAFF);
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

std::u32string fix_once(std::u32string_view text) { return nfc(without_controls(replace_characters(text))); }

std::u32string fix_until_stable(std::u32string_view text) {
  std::u32string before, fixed(text);
  do {
    before = fixed;
    fixed = fix_once(before);
  } while (fixed != before);
  return fixed;
}

/// The same where entities are resolved, too; nothing where `only_ascii` does not hold.
std::optional<std::u32string> unescape_until_stable(std::u32string_view text, bool only_ascii) {
  std::u32string before, fixed(text);
  while (true) {
    before = fixed;
    fixed = fix_once(unescape_html_strictly(before));
    if (only_ascii && !is_ascii(fixed)) return std::nullopt;
    if (fixed == before) return fixed;
    fixed = without_equal_passes(before, fixed);
  }
}

/// ftfy's fix of one line, which it repeats until nothing changes.
std::u32string fix_segment(std::u32string_view text, bool unescape) {
  if (std::all_of(text.begin(), text.end(), is_untouched)) return std::u32string(text);
  if (!unescape) return fix_until_stable(text);
  const auto has = [&](std::u32string_view part) { return text.find(part) != std::u32string_view::npos; };
  if (is_ascii(text) && !has(U"#") && !has(U"num;") && !has(U"\x1b")) {
    // No two of the rules that apply here meet in a character, so that their order does not matter: all levels of
    // nested entities are resolved first. It holds as long as no entity brings in what is not ASCII.
    if (auto fixed = unescape_until_stable(without_nests(text), true)) return *fixed;
  }
  return *unescape_until_stable(text, false);
}

/// The parts of a text as ftfy fixes them, one line at a time; of many blank lines one.
class Segments {
 public:
  explicit Segments(std::u32string_view text) : rest_(text) {}

  std::optional<std::u32string> next() {
    if (rest_.empty()) return std::nullopt;
    if (const std::size_t blank = blank_lines(rest_)) {
      rest_.remove_prefix(blank);
      return U"\n";
    }
    const std::u32string_view longest = rest_.substr(0, kLongestSegment);
    const std::size_t line = longest.find(U'\n');
    const std::u32string_view segment = longest.substr(0, line == std::u32string_view::npos ? line : line + 1);
    // A "<" says that this is HTML itself, where entities are meant; from there on to the end of the text.
    unescape_ = unescape_ && segment.find(U'<') == std::u32string_view::npos;
    rest_.remove_prefix(segment.size());
    return fix_segment(segment, unescape_);
  }

 private:
  std::u32string_view rest_;
  bool unescape_ = true;
};

/// One space for any white space within, and none at the beginning.
std::u32string collapsed(std::u32string_view text) {
  std::u32string found;
  for (const char32_t point : text) {
    if (!is_space(point)) {
      found += point;
    } else if (!found.empty() && found.back() != ' ') {
      found += ' ';
    }
  }
  return found;
}

std::u32string finished(std::u32string_view fixed) { return collapsed(unescape_html(unescape_html(fixed))); }

/// What the normalized text begins with, whatever follows `fixed`: it ends before an entity that may go on, or a sigma
/// that may yet be the last letter of a word.
std::u32string beginning(std::u32string_view fixed) {
  const std::size_t last = fixed.find_last_of(U"\t\n\f ") + 1;  // no entity crosses these; npos + 1 is 0
  std::u32string lowered = lower(finished(fixed.substr(0, fixed.find(U'&', last))));
  const std::size_t sigma = lowered.find_last_of(U"\u03c3\u03c2");
  if (sigma != std::u32string::npos && lowered.find(U' ', sigma) == std::u32string::npos) lowered.resize(sigma);
  return lowered;
}

}  // namespace

void read_heads(std::u32string_view text, const std::function<bool(const Head&)>& take) {
  Segments segments(text);
  std::u32string fixed;
  std::size_t wanted = kFirstLength;
  while (const auto segment = segments.next()) {
    fixed += *segment;
    for (; fixed.size() > wanted; wanted *= 4) {
      if (take({beginning(std::u32string_view(fixed).substr(0, wanted)), false})) return;
    }
  }
  std::u32string whole = finished(fixed);
  if (!whole.empty() && whole.back() == ' ') whole.pop_back();
  take({lower(whole), true});
}

std::u32string normalize(std::u32string_view text) {
  std::u32string whole;
  read_heads(text, [&](const Head& head) {
    if (head.is_whole) whole = head.text;
    return false;
  });
  return whole;
}

bool normalizes_to(std::u32string_view text, std::u32string_view normalized) {
  bool is_same = false;
  read_heads(text, [&](const Head& head) {
    is_same = head.is_whole && head.text == normalized;
    return head.text.size() > normalized.size() + 1;  // white space may follow
  });
  return is_same;
}

bool is_blank(std::u32string_view text) {
  bool is_seen = false;
  read_heads(text, [&](const Head& head) { return is_seen = !head.text.empty(); });
  return !is_seen;
}

}  // namespace sam3i_edge::detail
