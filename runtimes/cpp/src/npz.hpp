// NumPy's .npz: a ZIP archive of arrays, as a bundle's golden cases are kept.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace sam3i_edge::detail {

/// An archive that cannot be read, or has an array of a kind that bundles do not have.
class NpzError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct NpzArray {
  std::string dtype;  ///< as NumPy writes it: "<f4", "|u1", "<i4"
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> bytes;

  /// The values as float32. Throws NpzError for a type that is none of the three.
  std::vector<float> floats() const;
};

/// All arrays of an archive's content, by name. Throws NpzError.
std::map<std::string, NpzArray> read_npz(const std::string& content);

}  // namespace sam3i_edge::detail
