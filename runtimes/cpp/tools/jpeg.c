#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

_Static_assert(SAM3I_JPEG_MESSAGE >= JMSG_LENGTH_MAX, "libjpeg's messages need more room");

struct failure {
  struct jpeg_error_mgr base; /* first, so that libjpeg's pointer is also ours */
  jmp_buf back;
};

static void jump_back(j_common_ptr info) { longjmp(((struct failure *)info->err)->back, 1); }

static void say_nothing(j_common_ptr info) { (void)info; }

unsigned char *sam3i_decode_jpeg(const void *bytes, size_t count, int *width, int *height,
                                 char message[SAM3I_JPEG_MESSAGE]) {
  struct jpeg_decompress_struct info;
  struct failure failure;
  unsigned char *volatile pixels = NULL; /* written between setjmp and longjmp */
  info.err = jpeg_std_error(&failure.base);
  failure.base.error_exit = jump_back;
  failure.base.output_message = say_nothing;
  if (setjmp(failure.back)) {
    failure.base.format_message((j_common_ptr)&info, message);
    jpeg_destroy_decompress(&info);
    free(pixels);
    return NULL;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, count);
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  size_t row = (size_t)info.output_width * 3;
  pixels = malloc(row * info.output_height);
  if (!pixels) {
    snprintf(message, SAM3I_JPEG_MESSAGE, "the memory ran out");
    jpeg_destroy_decompress(&info);
    return NULL;
  }
  while (info.output_scanline < info.output_height) {
    JSAMPROW next = pixels + row * info.output_scanline;
    jpeg_read_scanlines(&info, &next, 1);
  }
  *width = (int)info.output_width;
  *height = (int)info.output_height;
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return pixels;
}
