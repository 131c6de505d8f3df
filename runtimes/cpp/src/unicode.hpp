// What the tokenizer needs of Unicode, exactly as the Python side has it: the tables are made by it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sam3i_edge::detail {

/// Text as code points, or nothing where it is no UTF-8 (surrogates and overlong forms are none).
std::optional<std::u32string> from_utf8(std::string_view text);
std::string to_utf8(std::u32string_view text);
void append_utf8(std::string& to, char32_t point);

bool is_letter(char32_t point);  ///< \p{L} of the tokenizer's pattern, which ignores case
bool is_number(char32_t point);  ///< \p{N}
bool is_other(char32_t point);   ///< [^\s\p{L}\p{N}]
bool is_space(char32_t point);   ///< as Python's str.isspace

/// As Python's str.lower: a capital sigma at the end of a word becomes a final one.
std::u32string lower(std::u32string_view text);
/// Unicode's normalization form C.
std::u32string nfc(std::u32string_view text);

/// ftfy's replacements of single characters; nothing where there is none.
std::optional<std::u32string> standard_width(char32_t point);
std::optional<std::u32string> taken_apart(char32_t ligature);
char32_t of_windows_1252(char32_t c1_control);

}  // namespace sam3i_edge::detail
