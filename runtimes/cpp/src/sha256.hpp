// SHA-256 (FIPS 180-4), which every file of a bundle is checked by.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace sam3i_edge::detail {

class Sha256 {
 public:
  /// With the processor's own instructions where it has them, unless told otherwise.
  explicit Sha256(bool use_instructions = true) : use_instructions_(use_instructions) {}

  void update(const void* bytes, std::size_t count);
  /// Ends the message, and gives its digest in hex.
  std::string hex();

 private:
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> rest_{};
  std::size_t rest_size_ = 0;
  std::uint64_t total_ = 0;
  bool use_instructions_;
};

}  // namespace sam3i_edge::detail
