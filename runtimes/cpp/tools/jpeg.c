#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "exif.h"

_Static_assert(SAM3I_JPEG_MESSAGE >= JMSG_LENGTH_MAX + 32, "libjpeg's messages need more room");

struct failure {
  struct jpeg_error_mgr base; /* first, so that libjpeg's pointer is also ours */
  jmp_buf back;
  int is_damage; /* that libjpeg would only warn of */
};

static void jump_back(j_common_ptr info) { longjmp(((struct failure *)info->err)->back, 1); }

static void refuse_damage(j_common_ptr info, int level) {
  if (level >= 0) return; /* a trace */
  ((struct failure *)info->err)->is_damage = 1;
  jump_back(info);
}

static void say(struct jpeg_decompress_struct *info, char message[SAM3I_JPEG_MESSAGE]) {
  char reason[JMSG_LENGTH_MAX];
  info->err->format_message((j_common_ptr)info, reason);
  int is_damage = ((struct failure *)info->err)->is_damage;
  snprintf(message, SAM3I_JPEG_MESSAGE, is_damage ? "it is damaged or cut short (%s)" : "%s", reason);
}

static int orientation_of(const struct jpeg_decompress_struct *info) {
  for (jpeg_saved_marker_ptr marker = info->marker_list; marker; marker = marker->next) {
    if (marker->data_length < 6 || memcmp(marker->data, "Exif\0", 6) != 0) continue;
    return sam3i_exif_orientation(marker->data + 6, marker->data_length - 6);
  }
  return 1;
}

unsigned char *sam3i_decode_jpeg(const void *bytes, size_t count, int *width, int *height, int *orientation,
                                 char message[SAM3I_JPEG_MESSAGE]) {
  struct jpeg_decompress_struct info;
  struct failure failure;
  unsigned char *volatile pixels = NULL; /* written between setjmp and longjmp */
  info.err = jpeg_std_error(&failure.base);
  failure.base.error_exit = jump_back;
  failure.base.emit_message = refuse_damage;
  failure.is_damage = 0;
  if (setjmp(failure.back)) {
    say(&info, message);
    jpeg_destroy_decompress(&info);
    free(pixels);
    return NULL;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, count);
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF); /* EXIF's */
  jpeg_read_header(&info, TRUE);
  *orientation = orientation_of(&info);
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
