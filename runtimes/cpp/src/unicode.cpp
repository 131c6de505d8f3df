#include "unicode.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sam3i_edge::detail {
namespace {

struct Range {
  char32_t first, last;
};
struct LowerRun {
  char32_t first, last, step;
  std::int32_t difference;
};
struct ClassRange {
  char32_t first, last;
  int value;
};
struct Decomposition {
  char32_t point, first, second;
  int composes;
};
struct Pair {
  char32_t point, first, second;
};
struct Triple {
  char32_t point, first, second, third;
};
struct Replacement {
  char32_t point, by;
};

#include "unicode_tables.inc"

/// The range that holds `point`, of those sorted in `table`; null if there is none.
template <typename T, std::size_t n>
const T* find_range(const T (&table)[n], char32_t point) {
  const T* found = std::lower_bound(std::begin(table), std::end(table), point,
                                    [](const T& range, char32_t value) { return range.last < value; });
  return found != std::end(table) && found->first <= point ? found : nullptr;
}

/// The row of `point`, of those sorted in `table`; null if there is none.
template <typename T, std::size_t n>
const T* find_row(const T (&table)[n], char32_t point) {
  const T* found = std::lower_bound(std::begin(table), std::end(table), point,
                                    [](const T& row, char32_t value) { return row.point < value; });
  return found != std::end(table) && found->point == point ? found : nullptr;
}

constexpr char32_t kCapitalSigma = 0x3A3, kSmallSigma = 0x3C3, kFinalSigma = 0x3C2, kCapitalDottedI = 0x130;

/// Whether the capital sigma at `i` ends a word: a letter before it, none behind; ignorable ones do not count.
bool is_final_sigma(std::u32string_view text, std::size_t i) {
  std::size_t before = i;
  while (before > 0 && find_range(CASE_IGNORABLE, text[before - 1])) --before;
  if (before == 0 || !find_range(CASED, text[before - 1])) return false;
  std::size_t behind = i + 1;
  while (behind < text.size() && find_range(CASE_IGNORABLE, text[behind])) ++behind;
  return behind == text.size() || !find_range(CASED, text[behind]);
}

char32_t lower_one(char32_t point) {
  // Runs of step 2 interleave, so the one that counts may be any of those that begin at or before the point.
  for (const LowerRun& run : LOWER) {
    if (run.first > point) break;
    if (point <= run.last && (point - run.first) % run.step == 0) return point + run.difference;
  }
  return point;
}

// Hangul syllables are put together by arithmetic, not by a table: lead, vowel, tail.
constexpr char32_t kSyllable = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr char32_t kLeads = 19, kVowels = 21, kTails = 28, kSyllables = kLeads * kVowels * kTails;

int combining_class(char32_t point) {
  const ClassRange* range = point < 0x300 ? nullptr : find_range(COMBINING, point);
  return range ? range->value : 0;
}

void decompose(char32_t point, std::u32string& to) {
  if (point - kSyllable < kSyllables) {
    const char32_t index = point - kSyllable;
    to += kLead + index / (kVowels * kTails);
    to += kVowel + index / kTails % kVowels;
    if (index % kTails) to += kTail + index % kTails;
  } else if (const Decomposition* row = point < 0xC0 ? nullptr : find_row(DECOMPOSITIONS, point)) {
    decompose(row->first, to);
    if (row->second) decompose(row->second, to);
  } else {
    to += point;
  }
}

std::uint64_t key_of(char32_t first, char32_t second) { return std::uint64_t{first} << 32 | second; }

const std::unordered_map<std::uint64_t, char32_t>& compositions() {
  static const auto* map = [] {
    auto* made = new std::unordered_map<std::uint64_t, char32_t>;  // never freed: used until the process ends
    for (const Decomposition& row : DECOMPOSITIONS) {
      if (row.composes) made->emplace(key_of(row.first, row.second), row.point);
    }
    return made;
  }();
  return *map;
}

/// Both as one character; 0 if there is none.
char32_t compose(char32_t first, char32_t second) {
  if (first - kLead < kLeads && second - kVowel < kVowels) {
    return kSyllable + ((first - kLead) * kVowels + (second - kVowel)) * kTails;
  }
  if (first - kSyllable < kSyllables && (first - kSyllable) % kTails == 0 && second - kTail - 1 < kTails - 1) {
    return first + (second - kTail);
  }
  const auto found = compositions().find(key_of(first, second));
  return found == compositions().end() ? 0 : found->second;
}

void sort_marks(std::u32string& text) {
  std::vector<std::pair<int, char32_t>> marks;  // of one run, with their classes: looked up once
  const auto flush = [&](std::size_t end) {
    std::stable_sort(marks.begin(), marks.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::transform(marks.begin(), marks.end(), text.begin() + static_cast<std::ptrdiff_t>(end - marks.size()),
                   [](const auto& mark) { return mark.second; });
    marks.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const int own = combining_class(text[i])) {
      marks.emplace_back(own, text[i]);
    } else {
      flush(i);
    }
  }
  flush(text.size());
}

/// Number of bytes of the sequence that begins with `lead`, and its bits of the code point; 0 if none begins so.
int sequence_length(unsigned char lead, char32_t& bits) {
  if (lead < 0x80) return bits = lead, 1;
  if (lead >= 0xC2 && lead < 0xE0) return bits = lead & 0x1F, 2;
  if (lead >= 0xE0 && lead < 0xF0) return bits = lead & 0x0F, 3;
  if (lead >= 0xF0 && lead < 0xF5) return bits = lead & 0x07, 4;
  return 0;
}

}  // namespace

std::optional<std::u32string> from_utf8(std::string_view text) {
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  std::u32string points;
  points.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    char32_t point = 0;
    const int length = sequence_length(static_cast<unsigned char>(text[i]), point);
    if (length == 0 || text.size() - i < static_cast<std::size_t>(length)) return std::nullopt;
    for (int k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]);
      if ((byte & 0xC0) != 0x80) return std::nullopt;
      point = point << 6 | (byte & 0x3F);
    }
    if (point < kLeast[length] || point > 0x10FFFF || point - 0xD800 < 0x800) return std::nullopt;
    points += point;
    i += static_cast<std::size_t>(length);
  }
  return points;
}

void append_utf8(std::string& to, char32_t point) {
  const auto byte = [&](char32_t value) { to += static_cast<char>(static_cast<unsigned char>(value)); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) {
    byte(0xC0 | point >> 6);
  } else {
    if (point < 0x10000) {
      byte(0xE0 | point >> 12);
    } else {
      byte(0xF0 | point >> 18);
      byte(0x80 | (point >> 12 & 0x3F));
    }
    byte(0x80 | (point >> 6 & 0x3F));
  }
  byte(0x80 | (point & 0x3F));
}

std::string to_utf8(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t point : text) append_utf8(bytes, point);
  return bytes;
}

bool is_letter(char32_t point) { return find_range(LETTERS, point) != nullptr; }
bool is_number(char32_t point) { return find_range(DIGITS, point) != nullptr; }
bool is_other(char32_t point) { return find_range(OTHERS, point) != nullptr; }
bool is_space(char32_t point) { return find_range(SPACES, point) != nullptr; }

std::u32string lower(std::u32string_view text) {
  std::u32string lowered;
  lowered.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t point = text[i];
    if (point == kCapitalSigma) {
      lowered += is_final_sigma(text, i) ? kFinalSigma : kSmallSigma;
    } else if (point == kCapitalDottedI) {
      lowered += U"i\u0307";
    } else {
      lowered += lower_one(point);
    }
  }
  return lowered;
}

std::u32string nfc(std::u32string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t point) { return point < 0x300; })) return std::u32string(text);
  std::u32string apart;
  for (const char32_t point : text) decompose(point, apart);
  sort_marks(apart);
  std::u32string composed;
  std::size_t starter = std::u32string::npos;
  int last_class = 0;
  for (const char32_t point : apart) {
    const int own_class = combining_class(point);
    // A mark reaches its starter if nothing of its own class or a higher one, and no other starter, stands between.
    const bool is_reached = starter != std::u32string::npos &&
                            (starter + 1 == composed.size() || (last_class != 0 && last_class < own_class));
    const char32_t joined = is_reached ? compose(composed[starter], point) : 0;
    if (joined) {
      composed[starter] = joined;
      continue;
    }
    if (own_class == 0) starter = composed.size();
    last_class = own_class;
    composed += point;
  }
  return composed;
}

std::optional<std::u32string> standard_width(char32_t point) {
  const Pair* row = point < 0x3000 ? nullptr : find_row(WIDTHS, point);
  if (!row) return std::nullopt;
  return row->second ? std::u32string{row->first, row->second} : std::u32string{row->first};
}

std::optional<std::u32string> taken_apart(char32_t ligature) {
  const Triple* row = ligature < 0x100 ? nullptr : find_row(LIGATURES, ligature);
  if (!row) return std::nullopt;
  std::u32string parts{row->first, row->second};
  if (row->third) parts += row->third;
  return parts;
}

char32_t of_windows_1252(char32_t c1_control) {
  const Replacement* row = find_row(WINDOWS_1252, c1_control);
  return row ? row->by : c1_control;
}

}  // namespace sam3i_edge::detail
