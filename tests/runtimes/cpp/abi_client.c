/* A program of some version of sam3i_edge.h: the test compiles it against that header, and runs it with the library of
 * this one. It uses no field that any of them lacks; guards behind every struct show reads and writes beyond its end.
 */
#include <stdio.h>
#include <string.h>

#include "sam3i_edge.h"

#define GUARDED(type)  \
  struct {             \
    type value;        \
    uint8_t guard[64]; \
  }
#define PREPARE(guarded)                                 \
  do {                                                   \
    memset(&(guarded), 0xA5, sizeof(guarded));           \
    memset(&(guarded).value, 0, sizeof(guarded).value);  \
    (guarded).value.struct_size = sizeof(guarded).value; \
  } while (0)
#define CHECK_GUARD(guarded)                                                             \
  for (size_t k = 0; k < sizeof(guarded).guard; ++k) {                                   \
    if ((guarded).guard[k] != 0xA5) return fprintf(stderr, "%s overrun\n", #guarded), 2; \
  }
#define TRY(call)                                                                            \
  do {                                                                                       \
    sam3i_status status = (call);                                                            \
    if (status) return fprintf(stderr, "%s: %d %s\n", #call, status, sam3i_last_error()), 1; \
  } while (0)

int main(int argc, char **argv) {
  static uint8_t pixels[48 * 64 * 3];
  GUARDED(sam3i_load_options) load;
  GUARDED(sam3i_image) image;
  GUARDED(sam3i_segment_options) how;
  GUARDED(sam3i_instances) found;
  struct {
    sam3i_prompt value[3];
    uint8_t guard[64];
  } prompts;
  const sam3i_box box = {4, 5, 40, 30};
  sam3i_segmenter *segmenter = NULL;
  sam3i_frame *frame = NULL;
  sam3i_results *results = NULL;

  if (argc != 2) return 3;
  for (size_t i = 0; i < sizeof pixels; ++i) pixels[i] = (uint8_t)(i * 7919 >> 5);
  PREPARE(load);
  TRY(sam3i_default_load_options(&load.value));
  CHECK_GUARD(load);
  TRY(sam3i_segmenter_load(argv[1], &load.value, &segmenter));

  PREPARE(image);
  image.value.data = pixels;
  image.value.width = 64;
  image.value.height = 48;
  TRY(sam3i_segmenter_encode(segmenter, &image.value, &frame));

  PREPARE(how);
  TRY(sam3i_default_segment_options(&how.value));
  CHECK_GUARD(how);
  how.value.format = SAM3I_MASK_BITS;
  memset(&prompts, 0xA5, sizeof prompts);
  memset(prompts.value, 0, sizeof prompts.value);
  const char *texts[] = {"mug", "hammer", "the red mug"};
  for (size_t i = 0; i < 3; ++i) {
    prompts.value[i].struct_size = sizeof prompts.value[i];
    prompts.value[i].text = texts[i];
    prompts.value[i].route = (sam3i_route)(1 + i);
    prompts.value[i].boxes = &box;
    prompts.value[i].box_count = i > 0;
  }
  TRY(sam3i_frame_segment(frame, prompts.value, 3, &how.value, &results));
  for (size_t i = 0; i < sam3i_results_count(results); ++i) {
    PREPARE(found);
    memset((char *)&found.value + sizeof(size_t), 0xA5, sizeof found.value - sizeof(size_t));
    TRY(sam3i_results_get(results, i, &found.value));
    CHECK_GUARD(found);
    printf("%d %zu %d x %d", (int)found.value.route, found.value.count, found.value.mask_width,
           found.value.mask_height);
    for (size_t k = 0; k < found.value.count; ++k) printf(" %.4f", found.value.scores[k]);
    printf("\n");
#ifdef LATER
    if (found.value.later) return fprintf(stderr, "what the library does not know is not 0\n"), 4;
#endif
  }
  sam3i_results_free(results);
#ifdef LATER
  sam3i_segmenter *other = NULL;
  sam3i_frame *another = NULL;
  load.value.later = image.value.later = how.value.later = prompts.value[2].later = 1;
  if (sam3i_segmenter_load(argv[1], &load.value, &other) != SAM3I_ARGUMENT_ERROR) return 5;
  if (sam3i_segmenter_encode(segmenter, &image.value, &another) != SAM3I_ARGUMENT_ERROR) return 6;
  if (sam3i_frame_segment(frame, prompts.value, 3, NULL, &results) != SAM3I_ARGUMENT_ERROR) return 7;
  if (sam3i_frame_segment(frame, prompts.value, 1, &how.value, &results) != SAM3I_ARGUMENT_ERROR) return 8;
  fprintf(stderr, "%s\n", sam3i_last_error());
#endif
  sam3i_frame_free(frame);
  sam3i_segmenter_free(segmenter);
  return 0;
}
