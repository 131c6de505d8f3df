// safetensors: the tensors of a bundle's golden cases. A JSON header says where each one's bytes lie.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace sam3i_edge::detail {

/// A file that is damaged, or a tensor of a type that bundles do not have.
class SafetensorsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct StoredTensor {
  std::string dtype;  ///< as the file names it: "U8", "BOOL", "I32", "F32", or one that cannot be read here
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> bytes;

  /// The values as float32. Throws SafetensorsError for other types than the four.
  std::vector<float> floats() const;
};

/// Refuses more bytes to parse than any bundle has. Throws SafetensorsError.
void check_size(const char* what, std::uint64_t size);

/// All tensors of a file's content, by name. Throws SafetensorsError.
std::map<std::string, StoredTensor> read_safetensors(const std::string& content);

}  // namespace sam3i_edge::detail
