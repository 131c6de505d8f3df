#include "base64.hpp"

#include <algorithm>
#include <string_view>

#include "messages.hpp"
#include "schema.hpp"

namespace sam3i_edge::detail {

std::vector<std::uint8_t> decode_base64(const std::string& text, const std::string& name) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t padding = text.size() - std::min(text.size(), text.find_last_not_of('=') + 1);
  if (text.size() % 4 || padding > 2) throw SchemaError(name + " is not base64: its length or padding is wrong.");
  std::vector<std::uint8_t> bytes;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t value = i < text.size() - padding ? kAlphabet.find(text[i]) : 0;
    if (value == kAlphabet.npos) {
      throw SchemaError(name + " is not base64: it holds " + in_quotes(text.substr(i, 1)) + ".");
    }
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (i % 4 == 3) {
      for (const int shift : {16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(bits >> shift & 0xFF));
    }
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

}  // namespace sam3i_edge::detail
