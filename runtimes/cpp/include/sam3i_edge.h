/* sam3i-edge in C11, for other languages to bind.
 *
 * Ownership: what a function writes to `out` belongs to the caller, who frees it with the `_free` function of its type;
 * all of those take NULL. Pointers inside a struct that is given are read during the call only; pointers inside one
 * that is returned live as long as the handle they came from.
 *
 * Errors: a function that can fail returns a status. If it is not SAM3I_OK, `out` is untouched and sam3i_last_error()
 * says, on the same thread, what to do. No call ends the process.
 *
 * Threads: handles may be shared, and used by several threads at the same time; free one when nobody uses it any more.
 *
 * Later versions only add: functions, fields at the end of the structs that begin with `struct_size`, enumerators. */
#ifndef SAM3I_EDGE_H
#define SAM3I_EDGE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SAM3I_API __attribute__((visibility("default")))
#else
#define SAM3I_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sam3i_status {
  SAM3I_OK = 0,
  SAM3I_BUNDLE_ERROR = 1,  /* a bundle is damaged, incomplete or too new; or a graph fails */
  SAM3I_IMAGE_ERROR = 2,   /* an image has no pixels (its data is NULL), too many, no such format, or no such stride */
  SAM3I_PROMPT_ERROR = 3,  /* a text (NULL, too), route, box or threshold cannot prompt the model */
  SAM3I_UNAVAILABLE = 4,   /* a runtime, device or number of threads is not to be had here; or the segmenter is closed */
  SAM3I_ARGUMENT_ERROR = 5, /* another pointer is NULL that must not be; an index or struct_size is none */
  SAM3I_OTHER_ERROR = 6    /* memory ran out, or a fault of the library's own */
} sam3i_status;

typedef enum sam3i_format { /* the order of a pixel's bytes */
  SAM3I_RGB = 0,
  SAM3I_BGR = 1,
  SAM3I_RGBA = 2,
  SAM3I_BGRA = 3,
  SAM3I_GREY = 4
} sam3i_format;

typedef enum sam3i_mask_format {
  SAM3I_MASK_BYTES = 0, /* one byte per pixel, 0 or 1 */
  SAM3I_MASK_BITS = 1,  /* one bit per pixel, the leftmost highest; each row begins on a byte */
  SAM3I_MASK_NONE = 2
} sam3i_mask_format;

typedef enum sam3i_mask_size {
  SAM3I_MASK_IMAGE = 0, /* of the image's size */
  SAM3I_MASK_GRAPH = 1  /* as the model made them */
} sam3i_mask_size;

typedef struct sam3i_segmenter sam3i_segmenter;
typedef struct sam3i_frame sam3i_frame;
typedef struct sam3i_results sam3i_results;

typedef struct sam3i_load_options {
  size_t struct_size; /* sizeof(sam3i_load_options) */
  const char *device; /* NULL: that of the bundle's target; or a name of the runtime's, as "CPU" */
  const char *runtime; /* NULL: that of the bundle's target; or "openvino", "onnxruntime", "tensorrt", "tensorrt-rtx" */
  double threshold;    /* instances scoring above this, in 0..1, are returned */
  int threads;         /* processor threads, 0..65536, 0: the runtime's own choice; -1: the target's */
} sam3i_load_options;

typedef struct sam3i_image {
  const uint8_t *data; /* the first byte of the top row */
  int width, height;   /* in pixels */
  sam3i_format format;
  ptrdiff_t stride; /* bytes from a row to the next, negative for a picture upside down; 0: rows are packed */
} sam3i_image;

typedef struct sam3i_box { /* in pixels of the image, x0 < x1 and y0 < y1 */
  double x0, y0, x1, y1;
} sam3i_box;

typedef struct sam3i_prompt {
  const char *text;  /* UTF-8, zero-terminated */
  const char *route; /* NULL or "auto", "concept", "simple", "complex" */
  const sam3i_box *boxes;
  size_t box_count;
  const sam3i_box *negative_boxes;
  size_t negative_box_count;
} sam3i_prompt;

typedef struct sam3i_segment_options {
  size_t struct_size; /* sizeof(sam3i_segment_options) */
  sam3i_mask_format format;
  sam3i_mask_size size;
} sam3i_segment_options;

typedef struct sam3i_instances { /* of one prompt, best first; the results own all of it */
  const char *route;             /* the route that ran */
  size_t count;
  const float *scores;         /* (count,) in 0..1, descending */
  const float *boxes;          /* (count, 4) x0 y0 x1 y1 in pixels of the image */
  const uint8_t *masks;        /* (count, mask_height, mask_stride); NULL if there are none */
  int mask_width, mask_height; /* in pixels */
  size_t mask_stride;          /* bytes of a row */
} sam3i_instances;

/* What went wrong in this thread's last call that failed, at most 2047 bytes of UTF-8 (but for a path's own bytes);
 * never NULL, and valid until its next call that fails. */
SAM3I_API const char *sam3i_last_error(void);

/* The version of the library, as "0.1.0". */
SAM3I_API const char *sam3i_version(void);

/* What to do with warnings (a text too long, a cache that cannot be written) from now on, in the whole process: they
 * go to `handler`, from any thread and with `data` as it is; NULL silences them. At first they go to stderr. A thread that
 * warns just now may call the handler before once more: keep its `data`. */
typedef void (*sam3i_warning_handler)(const char *text, void *data);
SAM3I_API sam3i_status sam3i_set_warning_handler(sam3i_warning_handler handler, void *data);

/* Fill in the defaults, to be changed before they are passed; where options are NULL, the defaults stand. `struct_size`
 * is the caller's sizeof: a library whose struct is longer writes no more than that. */
SAM3I_API sam3i_status sam3i_default_load_options(sam3i_load_options *out, size_t struct_size);
SAM3I_API sam3i_status sam3i_default_segment_options(sam3i_segment_options *out, size_t struct_size);

/* Check a bundle and open its graphs. */
SAM3I_API sam3i_status sam3i_segmenter_load(const char *bundle, const sam3i_load_options *options,
                                            sam3i_segmenter **out);
SAM3I_API void sam3i_segmenter_free(sam3i_segmenter *segmenter);

/* Free the graphs at once; frames and further calls then give SAM3I_UNAVAILABLE. */
SAM3I_API sam3i_status sam3i_segmenter_close(sam3i_segmenter *segmenter);

SAM3I_API sam3i_status sam3i_segmenter_set_threshold(sam3i_segmenter *segmenter, double threshold);

/* What really runs the graphs, in the runtime's words: valid as long as the segmenter. */
SAM3I_API sam3i_status sam3i_segmenter_device(sam3i_segmenter *segmenter, const char **out);

/* Replay a bundle's golden cases on this device, with the float model's answers: 1 to `passed` if all are within their
 * tolerance, else 0 and what is off to `problem`, to be freed with sam3i_string_free. Either may be NULL. */
SAM3I_API sam3i_status sam3i_verify(const char *bundle, const sam3i_load_options *options, int *passed, char **problem);

/* Run the vision graph on an image. The frame stays valid when the segmenter is freed. */
SAM3I_API sam3i_status sam3i_segmenter_encode(const sam3i_segmenter *segmenter, const sam3i_image *image,
                                              sam3i_frame **out);
SAM3I_API void sam3i_frame_free(sam3i_frame *frame);

/* Ask `count` prompts at once; `options` may be NULL. The results hold one entry for each, in their order. */
SAM3I_API sam3i_status sam3i_frame_segment(const sam3i_frame *frame, const sam3i_prompt *prompts, size_t count,
                                           const sam3i_segment_options *options, sam3i_results **out);
SAM3I_API void sam3i_results_free(sam3i_results *results);

SAM3I_API size_t sam3i_results_count(const sam3i_results *results);
SAM3I_API sam3i_status sam3i_results_get(const sam3i_results *results, size_t prompt, sam3i_instances *out);

/* Mask `instance` of a prompt as COCO's compressed run lengths, to be freed with sam3i_string_free. */
SAM3I_API sam3i_status sam3i_results_rle(const sam3i_results *results, size_t prompt, size_t instance, char **out);
SAM3I_API void sam3i_string_free(char *text);

#ifdef __cplusplus
}
#endif

#endif /* SAM3I_EDGE_H */
