// Bytes that stand as text in JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sam3i_edge::detail {

/// The bytes of `text`. Throws SchemaError, which begins with `name`, where it is not base64.
std::vector<std::uint8_t> decode_base64(const std::string& text, const std::string& name);

}  // namespace sam3i_edge::detail
