// Deflate (RFC 1951), read: what golden cases and tokenizer are compressed with. Not where speed counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sam3i_edge::detail {

/// Compressed bytes that are damaged.
class InflateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A number of at most four bytes, the lowest first.
std::uint32_t little_endian(std::string_view bytes);

/// What was compressed, exactly `size` bytes. Throws InflateError where it is not, or is more or less.
std::vector<std::uint8_t> inflate(std::string_view compressed, std::size_t size);

/// What a gzip file (RFC 1952) of one member, without a name or a comment, holds. Throws InflateError where it is none,
/// or holds more than `most` bytes.
std::string gunzip(std::string_view file, std::size_t most);

}  // namespace sam3i_edge::detail
