/* Compiles as strict C11, and every function of the header is there; what can be asked without a bundle is. */
#include <stdio.h>
#include <string.h>

#include "sam3i_edge.h"

static int failures = 0;

static void expect(int is_right, const char *what) {
  if (!is_right) {
    fprintf(stderr, "failed: %s (%s)\n", what, sam3i_last_error());
    ++failures;
  }
}

int main(void) {
  sam3i_segmenter *segmenter = NULL;
  sam3i_frame *frame = NULL;
  sam3i_results *results = NULL;
  sam3i_instances instances;
  const char *device = NULL;
  char *text = NULL;
  sam3i_load_options options;
  sam3i_segment_options masks;

  expect(strcmp(sam3i_version(), "0.1.0") == 0, "version");
  expect(sam3i_default_load_options(&options, sizeof options) == SAM3I_OK, "default load options");
  expect(sam3i_default_segment_options(&masks, sizeof masks) == SAM3I_OK, "default segment options");
  expect(options.threshold == 0.5 && options.struct_size == sizeof options, "load options");
  expect(masks.struct_size == sizeof masks, "segment options");
  expect(sam3i_segmenter_load("no such folder", &options, &segmenter) == SAM3I_BUNDLE_ERROR, "no bundle");
  expect(strstr(sam3i_last_error(), "no such folder does not exist") != NULL, "its message");
  expect(segmenter == NULL, "out untouched");
  options.threshold = 2;
  expect(sam3i_segmenter_load("no such folder", &options, &segmenter) == SAM3I_PROMPT_ERROR, "threshold");
  sam3i_default_load_options(&options, sizeof options);
  options.threads = -7;
  expect(sam3i_segmenter_load("no such folder", &options, &segmenter) == SAM3I_UNAVAILABLE, "threads");
  expect(sam3i_set_warning_handler(NULL, NULL) == SAM3I_OK, "warning handler");
  expect(sam3i_segmenter_load(NULL, NULL, &segmenter) == SAM3I_ARGUMENT_ERROR, "NULL bundle");
  expect(sam3i_segmenter_close(NULL) == SAM3I_ARGUMENT_ERROR, "close NULL");
  expect(sam3i_segmenter_set_threshold(NULL, 0) == SAM3I_ARGUMENT_ERROR, "threshold of NULL");
  expect(sam3i_segmenter_device(NULL, &device) == SAM3I_ARGUMENT_ERROR, "device of NULL");
  expect(sam3i_segmenter_encode(NULL, NULL, &frame) == SAM3I_ARGUMENT_ERROR, "encode NULL");
  expect(sam3i_verify("no such folder", NULL, NULL, NULL) == SAM3I_BUNDLE_ERROR, "verify no bundle");
  expect(sam3i_frame_segment(NULL, NULL, 0, NULL, &results) == SAM3I_ARGUMENT_ERROR, "segment NULL");
  expect(sam3i_results_count(NULL) == 0, "count of NULL");
  expect(sam3i_results_get(NULL, 0, &instances) == SAM3I_ARGUMENT_ERROR, "get NULL");
  expect(sam3i_results_rle(NULL, 0, 0, &text) == SAM3I_ARGUMENT_ERROR, "rle of NULL");
  sam3i_segmenter_free(NULL);
  sam3i_frame_free(NULL);
  sam3i_results_free(NULL);
  sam3i_string_free(NULL);
  return failures != 0;
}
