#include "messages.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <iterator>

#include "sam3i_edge/errors.hpp"
#include "unicode.hpp"

namespace sam3i_edge {

// Their addresses are the classes' identities: one copy of each lives here, or a catch in another library would miss
// it.
Error::~Error() = default;
BundleError::~BundleError() = default;
ImageError::~ImageError() = default;
PromptError::~PromptError() = default;
RuntimeUnavailableError::~RuntimeUnavailableError() = default;

namespace detail {
namespace {

constexpr std::size_t kMostShown = 80, kLongestCompared = 200;
constexpr double kNear = 0.4;

/// Lower-case characters of a name, no more than are worth comparing.
std::u32string folded(std::string_view text) {
  const auto points = from_utf8(text);
  return lower(points.value_or(std::u32string(text.begin(), text.end()))).substr(0, kLongestCompared);
}

/// Characters that two texts have in common: the longest common run, and again to its left and right.
std::size_t common(std::u32string_view a, std::u32string_view b) {
  std::size_t best = 0, at_a = 0, at_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < b.size(); ++j) {
      std::size_t length = 0;
      while (i + length < a.size() && j + length < b.size() && a[i + length] == b[j + length]) ++length;
      if (length > best) best = length, at_a = i, at_b = j;
    }
  }
  if (best == 0) return 0;
  return best + common(a.substr(0, at_a), b.substr(0, at_b)) + common(a.substr(at_a + best), b.substr(at_b + best));
}

/// 1 for equal texts, 0 for those that share nothing.
double likeness(std::u32string_view a, std::u32string_view b) {
  return a.empty() && b.empty() ? 1
                                : 2.0 * static_cast<double>(common(a, b)) / static_cast<double>(a.size() + b.size());
}

/// Control and format characters and line breaks, of Unicode's categories Cc, Cf, Zl and Zp: they act, unseen.
constexpr char32_t kUnseen[][2] = {{0x0, 0x1F},        {0x7F, 0x9F},       {0xAD, 0xAD},       {0x600, 0x605},
                                   {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},
                                   {0x8E2, 0x8E2},     {0x180E, 0x180E},   {0x200B, 0x200F},   {0x2028, 0x202E},
                                   {0x2060, 0x2064},   {0x2066, 0x206F},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},
                                   {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},
                                   {0x1D173, 0x1D17A}, {0xE0001, 0xE0001}, {0xE0020, 0xE007F}};

bool is_unseen(char32_t point) {
  return std::any_of(std::begin(kUnseen), std::end(kUnseen),
                     [&](const auto& range) { return range[0] <= point && point <= range[1]; });
}

/// As Python writes it: \x1b, \u202e, \U000e0001.
void append_escape(std::string& to, char32_t point) {
  if (point == '\n' || point == '\r' || point == '\t') {
    to += point == '\n' ? "\\n" : point == '\r' ? "\\r" : "\\t";
    return;
  }
  std::array<char, 12> text;
  const char* format = point < 0x100 ? "\\x%02x" : point < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(text.data(), text.size(), format, static_cast<unsigned>(point));
  to += text.data();
}

/// At most `most` bytes of `text`, no character cut in two.
std::string cut(const std::string& text, std::size_t most) {
  std::size_t end = std::min(most, text.size());
  while (end > 0 && end < text.size() && (text[end] & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

std::string in_quotes(std::string_view text) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string found(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') found += '\\';
    found += c;
  }
  return printable(found + quote);
}

std::string shown(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 400> digits;
  const double size = std::abs(value);
  const bool is_plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = is_plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, format).ptr;
  std::string text(digits.data(), end);
  return is_plain && text.find('.') == text.npos ? text + ".0" : text;
}

std::string joined(const std::vector<std::string>& parts, const std::string& separator) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) text += (i ? separator : "") + parts[i];
  return text;
}

std::string unknown_name(const std::string& kind, std::string_view value, const std::vector<std::string>& known) {
  const std::string as_shown = in_quotes(value);
  const std::string name = as_shown.size() <= kMostShown ? as_shown : cut(as_shown, kMostShown) + "...";
  const std::string text = "Unknown " + kind + " " + name + ". Known: " + joined(known) + ".";
  double best = kNear;
  const std::string* closest = nullptr;
  const std::u32string wanted = folded(value);
  for (const std::string& candidate : known) {
    const double near = likeness(folded(candidate), wanted);
    if (near > best || (near == best && (!closest || candidate > *closest))) best = near, closest = &candidate;
  }
  return closest ? text + " Did you mean " + in_quotes(*closest) + "?" : text;
}

}  // namespace detail

std::string printable(std::string_view text) {
  std::string shown;
  const auto points = detail::from_utf8(text);
  if (!points) {  // what is no UTF-8 could be shown nowhere as it is
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte >= 0x7F) {
        detail::append_escape(shown, byte);
      } else {
        shown += c;
      }
    }
    return shown;
  }
  for (const char32_t point : *points) {
    if (detail::is_unseen(point)) {
      detail::append_escape(shown, point);
    } else {
      detail::append_utf8(shown, point);
    }
  }
  return shown;
}

}  // namespace sam3i_edge
