#include "inflate.hpp"

#include <algorithm>
#include <array>

namespace sam3i_edge::detail {
namespace {

constexpr int kLongest = 15;              // bits of a code
constexpr int kEndOfBlock = 256;          // literals below, lengths above
constexpr std::size_t kMostRatio = 1032;  // nothing can be compressed further
constexpr std::string_view kGzipMagic("\x1f\x8b\x08\0", 4);  // deflate, and none of the parts that a header may have
constexpr std::size_t kGzipHeader = 10;

/// Bits, the lowest of each byte first.
class Bits {
 public:
  explicit Bits(std::string_view bytes) : bytes_(bytes) {}

  unsigned take(int count) {
    unsigned value = 0;
    for (int i = 0; i < count; ++i) {
      const std::size_t byte = at_ / 8;
      if (byte >= bytes_.size()) throw InflateError("the compressed data ends too early");
      value |= (static_cast<unsigned char>(bytes_[byte]) >> at_ % 8 & 1u) << i;
      ++at_;
    }
    return value;
  }

  /// The next whole bytes.
  std::string_view take_bytes(std::size_t count) {
    const std::size_t start = (at_ + 7) / 8;
    if (start > bytes_.size() || count > bytes_.size() - start) throw InflateError("a stored block ends too early");
    at_ = 8 * (start + count);
    return bytes_.substr(start, count);
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

/// A canonical Huffman code: codes of one length follow each other, shorter ones come first.
class Code {
 public:
  explicit Code(const std::vector<int>& lengths) {
    for (const int length : lengths) ++count_[static_cast<std::size_t>(length)];
    count_[0] = 0;
    std::array<int, kLongest + 2> next{};
    int left = 1;
    for (std::size_t length = 1; length <= kLongest; ++length) {
      left = 2 * left - count_[length];
      if (left < 0) throw InflateError("a Huffman code has too many words");
      next[length + 1] = next[length] + count_[length];
    }
    symbols_.resize(static_cast<std::size_t>(next[kLongest + 1]));
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
      const auto length = static_cast<std::size_t>(lengths[symbol]);
      if (length) symbols_[static_cast<std::size_t>(next[length]++)] = static_cast<int>(symbol);
    }
  }

  int take(Bits& bits) const {
    int code = 0, first = 0, index = 0;
    for (std::size_t length = 1; length <= kLongest; ++length) {
      code |= static_cast<int>(bits.take(1));
      const int count = count_[length];
      if (code - first < count) return symbols_[static_cast<std::size_t>(index + code - first)];
      index += count;
      first = 2 * (first + count);
      code *= 2;
    }
    throw InflateError("a Huffman code has no such word");
  }

 private:
  std::array<int, kLongest + 1> count_{};  // of words, by length
  std::vector<int> symbols_;               // by length, then by value
};

struct Codes {
  Code literals, distances;
};

Codes fixed_codes() {
  std::vector<int> lengths(288, 8);
  std::fill(lengths.begin() + 144, lengths.begin() + 256, 9);
  std::fill(lengths.begin() + 256, lengths.begin() + 280, 7);
  return {Code(lengths), Code(std::vector<int>(30, 5))};
}

/// The lengths of both codes, themselves coded.
Codes read_codes(Bits& bits) {
  constexpr std::array<std::size_t, 19> kOrder = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  const std::size_t literals = bits.take(5) + 257, distances = bits.take(5) + 1, coded = bits.take(4) + 4;
  if (literals > 286 || distances > 30) throw InflateError("a block has too many codes");
  std::vector<int> lengths(kOrder.size());
  for (std::size_t i = 0; i < coded; ++i) lengths[kOrder[i]] = static_cast<int>(bits.take(3));
  const Code code(lengths);
  lengths.clear();
  while (lengths.size() < literals + distances) {
    const int symbol = code.take(bits);
    if (symbol < 16) {
      lengths.push_back(symbol);
      continue;
    }
    if (symbol == 16 && lengths.empty()) throw InflateError("a length repeats none");
    const int value = symbol == 16 ? lengths.back() : 0;
    const unsigned times = symbol == 16 ? 3 + bits.take(2) : symbol == 17 ? 3 + bits.take(3) : 11 + bits.take(7);
    lengths.insert(lengths.end(), times, value);
  }
  if (lengths.size() != literals + distances) throw InflateError("a length repeats too often");
  const auto split = lengths.begin() + static_cast<std::ptrdiff_t>(literals);
  return {Code({lengths.begin(), split}), Code({split, lengths.end()})};
}

void require_room(const std::vector<std::uint8_t>& to, std::size_t size, std::size_t more) {
  if (more > size - to.size()) throw InflateError("it is more than its size says");
}

/// Literals and copies of what came before, up to the end of a block.
void read_block(Bits& bits, const Codes& codes, std::size_t size, std::vector<std::uint8_t>& to) {
  constexpr std::array<std::size_t, 29> kLength = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                                   31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  constexpr std::array<int, 29> kLengthBits = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                               2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  constexpr std::array<std::size_t, 30> kDistance = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                                     33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                                     1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  while (true) {
    const int symbol = codes.literals.take(bits);
    if (symbol == kEndOfBlock) return;
    if (symbol < kEndOfBlock) {
      require_room(to, size, 1);
      to.push_back(static_cast<std::uint8_t>(symbol));
      continue;
    }
    const auto row = static_cast<std::size_t>(symbol - kEndOfBlock - 1);
    if (row >= kLength.size()) throw InflateError("a length is none");
    const std::size_t length = kLength[row] + bits.take(kLengthBits[row]);
    const auto column = static_cast<std::size_t>(codes.distances.take(bits));
    const std::size_t distance = kDistance.at(column) + bits.take(std::max(0, static_cast<int>(column) / 2 - 1));
    if (distance > to.size()) throw InflateError("a copy begins before the data");
    require_room(to, size, length);
    for (std::size_t i = 0; i < length; ++i) to.push_back(to[to.size() - distance]);
  }
}

void read_stored(Bits& bits, std::size_t size, std::vector<std::uint8_t>& to) {
  const std::string_view sizes = bits.take_bytes(4);
  const std::size_t length = little_endian(sizes.substr(0, 2));
  if ((length ^ 0xFFFF) != little_endian(sizes.substr(2))) throw InflateError("a length is damaged");
  require_room(to, size, length);
  const std::string_view bytes = bits.take_bytes(length);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

}  // namespace

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::vector<std::uint8_t> inflate(std::string_view compressed, std::size_t size) {
  if (size / kMostRatio > compressed.size()) throw InflateError("it is less than its size says");
  std::vector<std::uint8_t> made;
  made.reserve(size);
  Bits bits(compressed);
  bool is_last = false;
  while (!is_last) {
    is_last = bits.take(1);
    switch (bits.take(2)) {
      case 0:
        read_stored(bits, size, made);
        break;
      case 1:
        read_block(bits, fixed_codes(), size, made);
        break;
      case 2:
        read_block(bits, read_codes(bits), size, made);
        break;
      default:
        throw InflateError("a block is of no kind");
    }
  }
  if (made.size() != size) throw InflateError("it is less than its size says");
  return made;
}

std::string gunzip(std::string_view file, std::size_t most) {
  if (file.size() < kGzipHeader + 8 || file.substr(0, 4) != kGzipMagic) throw InflateError("it is no plain gzip file");
  const std::string_view end = file.substr(file.size() - 8);
  const std::size_t size = little_endian(end.substr(4));
  if (size > most) throw InflateError("it holds more than " + std::to_string(most) + " bytes");
  const auto bytes = inflate(file.substr(kGzipHeader, file.size() - kGzipHeader - 8), size);
  std::string content(bytes.begin(), bytes.end());
  if (crc32(content) != little_endian(end.substr(0, 4))) throw InflateError("its checksum is wrong");
  return content;
}

}  // namespace sam3i_edge::detail
