#include "images.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>

#include "output.hpp"
#include "sam3i_edge/errors.hpp"

extern "C" {
#include "jpeg.h"
#include "picture_limits.h"
#include "png_reader.h"
}

namespace tools {
namespace {

using sam3i_edge::ImageError;

std::string read_bytes(const std::string& path) {
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  const bool is_folder = type == std::filesystem::file_type::directory;  // it could be opened
  if (std::filesystem::exists(path, ignored) && !is_folder && type != std::filesystem::file_type::regular) {
    throw ImageError("The image " + path + " is no regular file but a pipe or a device. Give the path of a file.");
  }
  std::ifstream file(path, std::ios::binary);
  if (is_folder || !file) {
    const int problem = is_folder ? EISDIR : errno;
    throw ImageError("Cannot read the image " + path + ": " + std::strerror(problem) + ".");
  }
  const auto size = std::filesystem::file_size(path, ignored);
  if (!ignored && size > SAM3I_MOST_BYTES) {
    throw ImageError("The image " + path + " has " + std::to_string(size) + " bytes; at most " +
                     std::to_string(SAM3I_MOST_BYTES) + " are read.");
  }
  std::string bytes(ignored ? 0 : static_cast<std::size_t>(size), '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  if (bytes.empty()) file.peek();  // what is said to have 0 bytes may be unreadable
  if (file.bad()) throw ImageError("Cannot read the image " + path + ": " + std::strerror(errno) + ".");
  if (bytes.empty()) throw ImageError("The image " + path + " is empty (0 bytes).");
  return bytes;
}

void check_size(long long width, long long height, const std::string& path) {
  if (!sam3i_is_too_large(width, height)) return;
  throw ImageError("The image " + path + " is " + std::to_string(width) + " wide and " + std::to_string(height) +
                   " high: more than 268 million pixels. Crop it or scale it down first.");
}

/// The header of a PNM file: its next number, comments skipped; -1 if there is none.
long next_number(std::istream& text) {
  while (text >> std::ws && text.peek() == '#') text.ignore(1 << 16, '\n');
  long number = -1;
  return text >> number ? number : -1;
}

Picture read_pnm(const std::string& bytes, const std::string& path) {
  std::istringstream text(bytes.substr(2, 1 << 12));
  const long width = next_number(text), height = next_number(text), most = next_number(text);
  const std::size_t channels = bytes[1] == '6' ? 3 : 1;
  constexpr long kMostSide = std::numeric_limits<int>::max();
  if (width < 1 || height < 1 || width > kMostSide || height > kMostSide || most != 255) {
    throw ImageError("The image " + path + " is no PPM or PGM of 8 bits.");
  }
  check_size(width, height, path);
  if (text.eof()) throw ImageError("The image " + path + " is cut short.");  // its header ends it
  const std::size_t start = 2 + static_cast<std::size_t>(text.tellg()) + 1;
  Picture picture{{}, static_cast<int>(width), static_cast<int>(height)};
  const std::size_t count = static_cast<std::size_t>(width * height);
  if (bytes.size() < start + count * channels) throw ImageError("The image " + path + " is cut short.");
  for (std::size_t i = 0; i < count * channels; ++i) {
    picture.rgb.insert(picture.rgb.end(), channels == 1 ? 3 : 1, static_cast<std::uint8_t>(bytes[start + i]));
  }
  return picture;
}

/// Turned and mirrored from EXIF's `orientation` to upright.
Picture upright(Picture picture, int orientation) {
  if (orientation == 1) return picture;
  const bool is_turned = orientation >= 5;  // columns are rows
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Picture made{{}, is_turned ? picture.height : picture.width, is_turned ? picture.width : picture.height};
  made.rgb.reserve(picture.rgb.size());
  for (int y = 0; y < made.height; ++y) {
    for (int x = 0; x < made.width; ++x) {
      const int column = is_turned ? y : x, row = is_turned ? x : y;
      const std::ptrdiff_t at = std::ptrdiff_t{from_below ? picture.height - 1 - row : row} * picture.width +
                                (from_right ? picture.width - 1 - column : column);
      made.rgb.insert(made.rgb.end(), picture.rgb.begin() + 3 * at, picture.rgb.begin() + 3 * at + 3);
    }
  }
  return made;
}

/// What one of the decoders in C makes of `bytes`.
template <std::size_t kMessage, typename Decode>
Picture decoded(const std::string& bytes, const std::string& path, const Decode& decode) {
  Picture picture;
  int orientation = 1;
  char message[kMessage];
  unsigned char* pixels = decode(bytes.data(), bytes.size(), &picture.width, &picture.height, &orientation, message);
  if (!pixels) check_size(picture.width, picture.height, path);
  if (!pixels) throw ImageError("The image " + path + " cannot be decoded: " + message + ".");
  picture.rgb.assign(pixels, pixels + std::size_t{3} * static_cast<std::size_t>(picture.width) *
                                          static_cast<std::size_t>(picture.height));
  std::free(pixels);
  return upright(std::move(picture), orientation);
}

}  // namespace

Picture read_picture(const std::string& path) {
  const std::string bytes = read_bytes(path);
  const auto begins_with = [&](const char* magic) { return bytes.compare(0, std::strlen(magic), magic) == 0; };
  if (begins_with("P6") || begins_with("P5")) return read_pnm(bytes, path);
#ifdef SAM3I_EDGE_WITH_PNG
  if (begins_with("\x89PNG")) return decoded<SAM3I_PNG_MESSAGE>(bytes, path, sam3i_decode_png);
#endif
#ifdef SAM3I_EDGE_WITH_JPEG
  if (begins_with("\xff\xd8\xff")) return decoded<SAM3I_JPEG_MESSAGE>(bytes, path, sam3i_decode_jpeg);
#endif
  throw ImageError(path +
                   " is no image that this build reads: PPM and PGM always, PNG and JPEG where CMake found libpng and "
                   "libjpeg.");
}

void write_picture(const std::string& path, const Picture& picture) {
  std::string content = "P6\n" + std::to_string(picture.width) + " " + std::to_string(picture.height) + "\n255\n";
  content.append(reinterpret_cast<const char*>(picture.rgb.data()), picture.rgb.size());
  try {
    write_whole(path, content);
  } catch (const std::runtime_error& error) {
    throw ImageError("Cannot write " + path + ": " + error.what() + ".");
  }
}

}  // namespace tools
