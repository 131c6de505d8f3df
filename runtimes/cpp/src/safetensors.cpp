#include "safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "messages.hpp"
#include "schema.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kLengthBytes = 8;  // of the header's length, little-endian

/// Bytes of one value; 0 of a type that no bundle has.
std::size_t size_of(const std::string& dtype) {
  if (dtype == "U8" || dtype == "BOOL") return 1;
  return dtype == "I32" || dtype == "F32" ? 4 : 0;
}

struct Entry {
  std::string name;
  StoredTensor tensor;
  std::vector<std::int64_t> offsets;  // of its first byte and of the one after its last
};

/// The entries in the order of their bytes.
std::vector<Entry> read_header(const std::string& header) {
  std::vector<Entry> entries;
  read_map(parse_json(header), "header", [&](const std::string& key, const Json& value, const std::string& at) {
    if (key == "__metadata__") return;
    Entry& entry = entries.emplace_back();
    entry.name = key;
    read_object(value, at,
                {{"dtype", into(entry.tensor.dtype)},
                 {"shape", into(entry.tensor.shape)},
                 {"data_offsets", into(entry.offsets)}});
    if (entry.offsets.size() != 2 || entry.offsets[1] < entry.offsets[0]) {
      throw SafetensorsError("the bytes of " + key + " are no range");
    }
  });
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  return entries;
}

/// Whether `bytes` are as many as the shape says. Any number will do where the type cannot be read.
bool fits(const StoredTensor& tensor, std::size_t bytes) {
  std::size_t size = size_of(tensor.dtype);
  if (size == 0) return true;
  const auto least = std::min_element(tensor.shape.begin(), tensor.shape.end());
  if (least != tensor.shape.end() && *least <= 0) return *least == 0 && bytes == 0;
  for (const std::int64_t side : tensor.shape) {
    if (static_cast<std::size_t>(side) > bytes / size) return false;  // it also keeps the product from overflowing
    size *= static_cast<std::size_t>(side);
  }
  return bytes == size;
}

template <typename T>
std::vector<float> converted(const std::vector<std::uint8_t>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return {values.begin(), values.end()};
}

}  // namespace

void check_size(const char* what, std::uint64_t size) {
  constexpr std::uint64_t kMost = 1 << 20;  // more than any bundle has
  if (size <= kMost) return;
  throw SafetensorsError(std::string(what) + " " + std::to_string(size) + " bytes, more than " + std::to_string(kMost));
}

std::vector<float> StoredTensor::floats() const {
  if (dtype == "F32") return converted<float>(bytes);
  if (dtype == "I32") return converted<std::int32_t>(bytes);
  if (size_of(dtype) == 1) return {bytes.begin(), bytes.end()};
  throw SafetensorsError("a tensor is of type " + in_quotes(dtype));
}

std::map<std::string, StoredTensor> read_safetensors(const std::string& content) {
  std::uint64_t length = 0;
  if (content.size() >= kLengthBytes) std::memcpy(&length, content.data(), kLengthBytes);
  if (content.size() < kLengthBytes || length > content.size() - kLengthBytes) {
    throw SafetensorsError("the file is cut short");
  }
  check_size("the header has", length);
  const std::string_view data = std::string_view(content).substr(kLengthBytes + length);
  std::map<std::string, StoredTensor> tensors;
  std::size_t at = 0;
  try {
    for (Entry& entry : read_header(content.substr(kLengthBytes, length))) {
      const auto start = static_cast<std::size_t>(entry.offsets[0]), end = static_cast<std::size_t>(entry.offsets[1]);
      if (start != at) throw SafetensorsError("the bytes of " + entry.name + " do not follow those before");
      if (end > data.size()) throw SafetensorsError("the file is cut short");
      if (!fits(entry.tensor, end - start)) throw SafetensorsError(entry.name + " has another size than its shape");
      entry.tensor.bytes.assign(data.begin() + start, data.begin() + end);
      tensors[entry.name] = std::move(entry.tensor);
      at = end;
    }
  } catch (const SchemaError& error) {
    throw SafetensorsError(error.what());
  }
  if (at != data.size()) throw SafetensorsError("the file has bytes of no tensor");
  return tensors;
}

}  // namespace sam3i_edge::detail
