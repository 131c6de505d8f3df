#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "exif.h"
#include "picture_limits.h"

_Static_assert(SAM3I_JPEG_MESSAGE >= JMSG_LENGTH_MAX + 32, "libjpeg's messages need more room");

struct failure {
  struct jpeg_error_mgr base; /* first, so that libjpeg's pointer is also ours */
  jmp_buf back;
  int is_damage;      /* that libjpeg would only warn of */
  const char *reason; /* ours, where libjpeg has none */
};

static void jump_back(j_common_ptr info) { longjmp(((struct failure *)info->err)->back, 1); }

static void refuse_damage(j_common_ptr info, int level) {
  if (level >= 0) return; /* a trace */
  ((struct failure *)info->err)->is_damage = 1;
  jump_back(info);
}

static void refuse(j_common_ptr info, const char *reason) {
  ((struct failure *)info->err)->reason = reason;
  jump_back(info);
}

/* Each scan costs a pass over the whole image. */
static void count_scans(j_common_ptr info) {
  if (((j_decompress_ptr)info)->input_scan_number > SAM3I_MOST_SCANS) refuse(info, "it has more than 100 scans");
}

static void say(struct jpeg_decompress_struct *info, char message[SAM3I_JPEG_MESSAGE]) {
  char reason[JMSG_LENGTH_MAX];
  const struct failure *failure = (struct failure *)info->err;
  info->err->format_message((j_common_ptr)info, reason);
  snprintf(message, SAM3I_JPEG_MESSAGE, failure->is_damage ? "it is damaged or cut short (%s)" : "%s",
           failure->reason ? failure->reason : reason);
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
  struct jpeg_progress_mgr progress;
  unsigned char *volatile pixels = NULL; /* written between setjmp and longjmp */
  info.err = jpeg_std_error(&failure.base);
  failure.base.error_exit = jump_back;
  failure.base.emit_message = refuse_damage;
  failure.is_damage = 0;
  failure.reason = NULL;
  if (setjmp(failure.back)) {
    say(&info, message);
    jpeg_destroy_decompress(&info);
    free(pixels);
    return NULL;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, count);
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF); /* EXIF's */
  progress.progress_monitor = count_scans;
  info.progress = &progress;
  jpeg_read_header(&info, TRUE);
  *width = (int)info.image_width;
  *height = (int)info.image_height;
  if (sam3i_is_too_large(*width, *height)) refuse((j_common_ptr)&info, "");
  if (info.num_components == 4) refuse((j_common_ptr)&info, "it is in CMYK; save it in RGB");
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
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return pixels;
}
