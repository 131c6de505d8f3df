#include "png_reader.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exif.h"
#include "picture_limits.h"

struct source {
  const unsigned char *next;
  size_t left;
  char *message;
};

static void take(png_structp png, png_bytep out, size_t count) {
  struct source *source = png_get_io_ptr(png);
  if (count > source->left) png_error(png, "it is damaged or cut short");
  memcpy(out, source->next, count);
  source->next += count;
  source->left -= count;
}

static void jump_back(png_structp png, png_const_charp text) {
  struct source *source = png_get_error_ptr(png);
  snprintf(source->message, SAM3I_PNG_MESSAGE, "%s", text);
  png_longjmp(png, 1);
}

static void say_nothing(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

/* To 8-bit RGB by dropping what is more: the low byte of 16 bits, and alpha. No gamma: the values are as they stand. */
static void to_rgb(png_structp png) {
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
}

/* Texts and profiles are nothing to us, and may be a few kilobytes that inflate to megabytes, a thousand times. */
static void skip_texts(png_structp png) {
#ifdef PNG_HANDLE_AS_UNKNOWN_SUPPORTED
  static const png_byte names[] = "iCCP\0iTXt\0sPLT\0tEXt\0zTXt";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, sizeof names / 5);
#endif
}

static int orientation_of(png_structp png, png_infop info) {
#ifdef PNG_eXIf_SUPPORTED
  png_bytep exif = NULL;
  png_uint_32 count = 0;
  if (png_get_eXIf_1(png, info, &count, &exif)) return sam3i_exif_orientation(exif, count);
#endif
  return 1;
}

unsigned char *sam3i_decode_png(const void *bytes, size_t count, int *width, int *height, int *orientation,
                                char message[SAM3I_PNG_MESSAGE]) {
  struct source source = {bytes, count, message};
  unsigned char *volatile pixels = NULL; /* written between setjmp and longjmp */
  png_infop info = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, jump_back, say_nothing);
  if (png) info = png_create_info_struct(png);
  if (!info) {
    snprintf(message, SAM3I_PNG_MESSAGE, "the memory ran out");
    png_destroy_read_struct(&png, NULL, NULL);
    return NULL;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    free(pixels);
    return NULL;
  }
  png_set_read_fn(png, &source, take);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours follow */
  skip_texts(png);
  png_read_info(png, info);
  *width = (int)png_get_image_width(png, info);
  *height = (int)png_get_image_height(png, info);
  if (sam3i_is_too_large(*width, *height)) png_error(png, "");
  to_rgb(png);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  size_t row = png_get_rowbytes(png, info);
  if (row != (size_t)*width * 3) png_error(png, "its pixels cannot be read as RGB");
  pixels = calloc((size_t)*height, row);
  if (!pixels) png_error(png, "the memory ran out");
  while (passes-- > 0) {
    for (int y = 0; y < *height; ++y) png_read_row(png, pixels + row * (size_t)y, NULL);
  }
  png_read_end(png, info); /* or one that lacks its end would pass */
  *orientation = orientation_of(png, info);
  png_destroy_read_struct(&png, &info, NULL);
  return pixels;
}
