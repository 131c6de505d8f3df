#include "exif.h"

enum { ORIENTATION = 0x0112, ENTRY = 12 };

/* A number of `size` bytes, in the byte order that the first byte names. */
static size_t number(const unsigned char *tiff, size_t at, int size) {
  size_t value = 0;
  for (int i = 0; i < size; ++i) value = value << 8 | tiff[at + (size_t)(tiff[0] == 'M' ? i : size - 1 - i)];
  return value;
}

int sam3i_exif_orientation(const unsigned char *tiff, size_t count) {
  if (count < 8) return 1;
  size_t at = number(tiff, 4, 4);
  if (at > count - 2) return 1;
  size_t entries = number(tiff, at, 2);
  for (at += 2; entries-- > 0 && at <= count && count - at >= ENTRY; at += ENTRY) {
    if (number(tiff, at, 2) != ORIENTATION) continue;
    size_t value = number(tiff, at + 8, 2);
    return value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}
