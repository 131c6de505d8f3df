// Deflate (RFC 1951), read: what NumPy compresses the golden cases with. Only to read, and not where speed counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace sam3i_edge::detail {

/// Compressed bytes that are damaged.
class InflateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What was compressed, exactly `size` bytes. Throws InflateError where it is not, or is more or less.
std::vector<std::uint8_t> inflate(std::string_view compressed, std::size_t size);

}  // namespace sam3i_edge::detail
