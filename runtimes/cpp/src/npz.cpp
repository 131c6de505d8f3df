#include "npz.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "inflate.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // of all arrays: no image that may be asked for has more
constexpr std::string_view kEnd("PK\5\6", 4), kEntry("PK\1\2", 4), kFile("PK\3\4", 4), kNumPy("\x93NUMPY", 6);

/// `count` bytes of `from`, all of which must be there.
std::string_view part(std::string_view from, std::size_t start, std::size_t count) {
  if (start > from.size() || count > from.size() - start) throw NpzError("the archive ends too early");
  return from.substr(start, count);
}

/// A number of `count` bytes, the lowest first.
std::size_t number(std::string_view from, std::size_t start, std::size_t count) {
  return little_endian(part(from, start, count));
}

/// What stands between two texts of an array's header, which is a literal of Python's.
std::string between(std::string_view header, std::string_view before, char end) {
  const std::size_t start = header.find(before);
  if (start == header.npos) throw NpzError("an array's header lacks " + std::string(before));
  const std::string_view rest = header.substr(start + before.size());
  const std::size_t length = rest.find(end);
  if (length == rest.npos) throw NpzError("an array's header is cut short");
  return std::string(rest.substr(0, length));
}

std::vector<std::int64_t> read_shape(const std::string& text) {
  std::vector<std::int64_t> shape;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == ' ' || text[at] == ',') continue;
    std::int64_t side = 0;
    const std::size_t start = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      side = std::min<std::int64_t>(10 * side + (text[at] - '0'), kMostBytes + 1);
    }
    if (at == start) throw NpzError("an array's shape is (" + text + ")");
    shape.push_back(side);
  }
  return shape;
}

std::size_t size_of(const std::string& dtype) {
  if (dtype == "|u1") return 1;
  if (dtype == "<f4" || dtype == "<i4") return 4;
  throw NpzError("an array is of type '" + dtype + "'");
}

NpzArray read_array(const std::vector<std::uint8_t>& file) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  if (part(bytes, 0, 6) != kNumPy) throw NpzError("a file of the archive is no array");
  const std::size_t sized = number(bytes, 6, 1) == 1 ? 2 : 4;  // bytes of the header's length, by the version
  const std::size_t start = 8 + sized, length = number(bytes, 8, sized);
  const std::string_view header = part(bytes, start, length);
  NpzArray array{between(header, "'descr': '", '\''), read_shape(between(header, "'shape': (", ')')), {}};
  if (header.find("'fortran_order': False") == header.npos) throw NpzError("an array is laid out column by column");
  std::size_t size = size_of(array.dtype);
  for (const std::int64_t side : array.shape) {
    if (side && size > kMostBytes / static_cast<std::size_t>(side)) throw NpzError("an array is too large");
    size *= static_cast<std::size_t>(side);
  }
  const std::string_view data = bytes.substr(start + length);
  if (data.size() != size) throw NpzError("an array has another size than its shape");
  array.bytes.assign(data.begin(), data.end());
  return array;
}

/// The bytes, at most `room`, of a file that the central directory describes at `entry`.
std::vector<std::uint8_t> read_entry(std::string_view content, std::string_view entry, std::size_t room) {
  const std::size_t method = number(entry, 10, 2), packed = number(entry, 20, 4), size = number(entry, 24, 4);
  const std::size_t header = number(entry, 42, 4);
  if ((method == 0 ? packed : size) > room) throw NpzError("an array is too large");
  if (part(content, header, 4) != kFile) throw NpzError("the archive's directory is wrong");
  const std::size_t start = header + 30 + number(content, header + 26, 2) + number(content, header + 28, 2);
  const std::string_view bytes = part(content, start, packed);
  if (method == 0) return {bytes.begin(), bytes.end()};
  if (method != 8) throw NpzError("an array is compressed by method " + std::to_string(method));
  return inflate(bytes, size);
}

}  // namespace

std::vector<float> NpzArray::floats() const {
  std::vector<float> values(bytes.size() / size_of(dtype));
  if (dtype == "<f4") {
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  } else if (dtype == "|u1") {
    std::copy(bytes.begin(), bytes.end(), values.begin());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::int32_t value = 0;
      std::memcpy(&value, bytes.data() + 4 * i, sizeof value);
      values[i] = static_cast<float>(value);
    }
  }
  return values;
}

std::map<std::string, NpzArray> read_npz(const std::string& content) {
  const std::size_t end = content.rfind(kEnd);
  if (end == content.npos) throw NpzError("it is no ZIP archive");
  const std::string_view whole = content;
  part(whole, end, 22);  // all of it: a copy that was cut short is none
  std::size_t at = number(whole, end + 16, 4);
  std::map<std::string, NpzArray> arrays;
  std::size_t room = kMostBytes;  // a few compressed bytes may say that they are many
  try {
    for (std::size_t left = number(whole, end + 10, 2); left > 0; --left) {
      const std::string_view entry = part(whole, at, 46);
      if (entry.substr(0, 4) != kEntry) throw NpzError("the archive's directory is wrong");
      const std::size_t name_length = number(entry, 28, 2);
      std::string name(part(whole, at + 46, name_length));
      if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0) name.resize(name.size() - 4);
      const std::vector<std::uint8_t> file = read_entry(whole, entry, room);
      room -= file.size();
      arrays[name] = read_array(file);
      at += 46 + name_length + number(entry, 30, 2) + number(entry, 32, 2);
    }
  } catch (const InflateError& error) {
    throw NpzError(std::string("an array is damaged: ") + error.what());
  }
  return arrays;
}

}  // namespace sam3i_edge::detail
