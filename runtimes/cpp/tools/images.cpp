#include "images.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "sam3i_edge/errors.hpp"

#ifdef SAM3I_EDGE_WITH_PNG
#include <png.h>
#endif
#ifdef SAM3I_EDGE_WITH_JPEG
extern "C" {
#include "jpeg.h"
}
#include <cstdlib>
#endif

namespace tools {
namespace {

using sam3i_edge::ImageError;

constexpr long kMostSide = 1 << 16;

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ImageError("Cannot read the image " + path + ": " + std::strerror(errno) + ".");
  return {std::istreambuf_iterator<char>(file), {}};
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
  const std::size_t channels = bytes[1] == '6' ? 3 : 1, start = 2 + static_cast<std::size_t>(text.tellg()) + 1;
  if (width < 1 || height < 1 || width > kMostSide || height > kMostSide || most != 255) {
    throw ImageError("The image " + path + " is no PPM or PGM of 8 bits.");
  }
  Picture picture{{}, static_cast<int>(width), static_cast<int>(height)};
  const std::size_t count = static_cast<std::size_t>(width * height);
  if (bytes.size() < start + count * channels) throw ImageError("The image " + path + " is cut short.");
  for (std::size_t i = 0; i < count * channels; ++i) {
    picture.rgb.insert(picture.rgb.end(), channels == 1 ? 3 : 1, static_cast<std::uint8_t>(bytes[start + i]));
  }
  return picture;
}

#ifdef SAM3I_EDGE_WITH_PNG
Picture read_png(const std::string& bytes, const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) {
    throw ImageError("The image " + path + " cannot be decoded: " + image.message + ".");
  }
  image.format = PNG_FORMAT_RGB;
  Picture picture{std::vector<std::uint8_t>(PNG_IMAGE_SIZE(image)), static_cast<int>(image.width),
                  static_cast<int>(image.height)};
  const png_color black{};  // behind what is transparent
  if (!png_image_finish_read(&image, &black, picture.rgb.data(), 0, nullptr)) {
    throw ImageError("The image " + path + " cannot be decoded: " + image.message + ".");
  }
  return picture;
}
#endif

#ifdef SAM3I_EDGE_WITH_JPEG
Picture read_jpeg(const std::string& bytes, const std::string& path) {
  Picture picture;
  char message[SAM3I_JPEG_MESSAGE];
  unsigned char* pixels = sam3i_decode_jpeg(bytes.data(), bytes.size(), &picture.width, &picture.height, message);
  if (!pixels) throw ImageError("The image " + path + " cannot be decoded: " + message + ".");
  picture.rgb.assign(pixels, pixels + std::size_t{3} * static_cast<std::size_t>(picture.width) *
                                          static_cast<std::size_t>(picture.height));
  std::free(pixels);
  return picture;
}
#endif

}  // namespace

Picture read_picture(const std::string& path) {
  const std::string bytes = read_bytes(path);
  const auto begins_with = [&](const char* magic) { return bytes.compare(0, std::strlen(magic), magic) == 0; };
  if (begins_with("P6") || begins_with("P5")) return read_pnm(bytes, path);
#ifdef SAM3I_EDGE_WITH_PNG
  if (begins_with("\x89PNG")) return read_png(bytes, path);
#endif
#ifdef SAM3I_EDGE_WITH_JPEG
  if (begins_with("\xff\xd8\xff")) return read_jpeg(bytes, path);
#endif
  throw ImageError(path +
                   " is no image that this build reads: PPM and PGM always, PNG and JPEG where CMake found libpng and "
                   "libjpeg.");
}

void write_picture(const std::string& path, const Picture& picture) {
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << picture.width << ' ' << picture.height << "\n255\n";
  file.write(reinterpret_cast<const char*>(picture.rgb.data()), static_cast<std::streamsize>(picture.rgb.size()));
  file.flush();
  if (!file) throw ImageError("Cannot write " + path + ": " + std::strerror(errno) + ".");
}

}  // namespace tools
