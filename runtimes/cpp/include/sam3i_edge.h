/* sam3i-edge in C11, for other languages to bind. What each statement below says holds for every function, unless the
 * function says otherwise.
 *
 * Structs: all but sam3i_box begin with `struct_size`, which the caller sets to the sizeof of the struct it was
 * compiled with, in every call and in every element of an array. Later versions add fields at the end: those that an
 * older caller lacks keep their default, and those that this library does not know must be 0. docs/cpp.md has the whole
 * policy.
 *
 * Ownership: what a function writes to `out` belongs to the caller, who frees it with the `_free` function of its type.
 * What a caller passes stays the caller's, and is read during the call only.
 *
 * Errors: a function that can fail returns a status. If it is not SAM3I_OK, `out` is untouched and sam3i_last_error()
 * says, on the same thread, what to do. Any of them may return SAM3I_ARGUMENT_ERROR or SAM3I_OTHER_ERROR; other
 * statuses are named at the function. No call ends the process.
 *
 * Threads: every function may be called by any thread at any time, with handles that others use at the same time. Only
 * the `_free` functions want a handle that nobody else uses any more. */
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
  SAM3I_BUNDLE_ERROR = 1,   /* a bundle is damaged, incomplete or too new; or a graph fails */
  SAM3I_IMAGE_ERROR = 2,    /* an image has no pixels (its data is NULL), too many, no such format, or no such stride */
  SAM3I_PROMPT_ERROR = 3,   /* a text (NULL, too), route, box, threshold or nms cannot prompt the model */
  SAM3I_UNAVAILABLE = 4,    /* a runtime, device or number of threads is not available; or the segmenter is closed */
  SAM3I_ARGUMENT_ERROR = 5, /* another pointer is NULL that must not be; an index, enumerator or struct_size is wrong */
  SAM3I_OTHER_ERROR = 6     /* memory ran out, or a fault of the library's own */
} sam3i_status;

typedef enum sam3i_route {                    /* what reads a text */
                           SAM3I_AUTO = 0,    /* the bundle's classifier chooses one of the others */
                           SAM3I_CONCEPT = 1, /* a short noun phrase */
                           SAM3I_SIMPLE = 2,  /* a noun with attributes, place, relations */
                           SAM3I_COMPLEX = 3  /* no explicit noun: function, action, reasoning */
} sam3i_route;

typedef enum sam3i_format { /* the order of a pixel's bytes */
                            SAM3I_RGB = 0,
                            SAM3I_BGR = 1,
                            SAM3I_RGBA = 2,
                            SAM3I_BGRA = 3,
                            SAM3I_GREY = 4
} sam3i_format;

typedef enum sam3i_integrity { /* how a bundle's files are held to its manifest before they are read */
                               SAM3I_INTEGRITY_FULL = 0, /* names, sizes and SHA-256: a changed byte is found */
                               SAM3I_INTEGRITY_SIZE =
                                   1 /* names and sizes: faster to load, for a bundle that was checked */
} sam3i_integrity;

typedef enum sam3i_mask_format {
  SAM3I_MASK_BYTES = 0, /* one byte per pixel, 0 or 1 */
  SAM3I_MASK_BITS = 1,  /* one bit per pixel, the leftmost highest; each row begins on a byte */
  SAM3I_MASK_NONE = 2
} sam3i_mask_format;

typedef enum sam3i_mask_size {
  SAM3I_MASK_IMAGE = 0, /* of the image's size */
  SAM3I_MASK_GRAPH = 1  /* as the model made them */
} sam3i_mask_size;

typedef struct sam3i_segmenter sam3i_segmenter; /* an open bundle */
typedef struct sam3i_frame sam3i_frame;         /* an encoded image */
typedef struct sam3i_results sam3i_results;     /* what the prompts of one call found */

typedef struct sam3i_load_options {
  size_t struct_size;
  const char *device;  /* NULL: that of the bundle's target; or a name of the runtime's, as "CPU" */
  const char *runtime; /* NULL: that of the bundle's target; or "openvino", "onnxruntime", "tensorrt", "tensorrt-rtx" */
  int threads;         /* processor threads, 0..1024, 0: the runtime's own choice; -1: the target's (default) */
  sam3i_integrity integrity;
  double threshold; /* instances scoring above this, in 0..1, are returned; -1: above the bundle's own threshold of the
                       prompt's route, 0.5 for most (default) */
  const char *expect; /* the fingerprint that the bundle must have; NULL: any (default) */
  double nms;         /* of two masks with a greater IoU one is left out; 1: none is; -1: the bundle's own (default) */
} sam3i_load_options;

typedef struct sam3i_image {
  size_t struct_size;
  const uint8_t *data; /* the first byte of the top row */
  int width, height;   /* in pixels */
  sam3i_format format;
  ptrdiff_t stride; /* bytes from a row to the next, negative for an image upside down; 0: rows are packed */
} sam3i_image;

typedef struct sam3i_box { /* in pixels of the image, x0 < x1 and y0 < y1; a plain value, which will never change */
  double x0, y0, x1, y1;
} sam3i_box;

typedef struct sam3i_prompt { /* in an array, `struct_size` is also how far it is from one element to the next */
  size_t struct_size;
  const char *text; /* UTF-8, zero-terminated */
  sam3i_route route;
  const sam3i_box *boxes; /* examples of what is meant */
  size_t box_count;
  const sam3i_box *negative_boxes; /* examples of what is not meant */
  size_t negative_box_count;
} sam3i_prompt;

typedef struct sam3i_segment_options {
  size_t struct_size;
  sam3i_mask_format format;
  sam3i_mask_size size;
  double threshold; /* as sam3i_load_options has it, for this call; -1: those that were loaded with (default) */
} sam3i_segment_options;

typedef struct sam3i_instances { /* of one prompt, best first; the results own what the pointers lead to */
  size_t struct_size;
  sam3i_route route; /* the one that ran, never SAM3I_AUTO */
  int mask_width;    /* in pixels */
  int mask_height;   /* in pixels */
  size_t count;
  const float *scores;  /* (count,) in 0..1, descending */
  const float *boxes;   /* (count, 4) x0 y0 x1 y1 in pixels of the image; NULL if there are none */
  const uint8_t *masks; /* (count, mask_height, mask_stride); NULL if there are none */
  size_t mask_stride;   /* bytes of a row */
} sam3i_instances;

/* What went wrong in this thread's last call that failed.
 *
 * Returns at most 2047 bytes of UTF-8 (but for a path's own bytes), never NULL: "no error" before the first. The
 * library owns it; it is valid until this thread's next call that fails. */
SAM3I_API const char *sam3i_last_error(void);

/* The version of the library, as "0.1.0". The library owns it; it is valid forever. */
SAM3I_API const char *sam3i_version(void);

/* Choose what happens to warnings (a text too long, a cache that cannot be written), in the whole process.
 *
 * handler: called with each warning, from any thread; NULL silences them. Until the first call they go to stderr.
 * data: passed on to `handler` as it is. A thread that warns just now may call the handler before once more: keep its
 *     `data` alive. */
typedef void (*sam3i_warning_handler)(const char *text, void *data);
SAM3I_API sam3i_status sam3i_set_warning_handler(sam3i_warning_handler handler, void *data);

/* Fill in the defaults, to be changed before they are passed. Where options are NULL, the defaults stand.
 *
 * out: has its `struct_size` set; no byte behind that is written. */
SAM3I_API sam3i_status sam3i_default_load_options(sam3i_load_options *out);
SAM3I_API sam3i_status sam3i_default_segment_options(sam3i_segment_options *out);

/* Check a bundle and open its graphs. This takes seconds, or minutes where an engine is built.
 *
 * bundle: the folder that `sam3i-edge export` wrote.
 * options: may be NULL.
 * out: free it with sam3i_segmenter_free.
 * Returns SAM3I_BUNDLE_ERROR; SAM3I_UNAVAILABLE: the runtime is not in this build, or the device not in this machine;
 *     SAM3I_PROMPT_ERROR: the threshold or nms is out of range. */
SAM3I_API sam3i_status sam3i_segmenter_load(const char *bundle, const sam3i_load_options *options,
                                            sam3i_segmenter **out);

/* Free a segmenter, NULL too. Its frames and results stay valid. */
SAM3I_API void sam3i_segmenter_free(sam3i_segmenter *segmenter);

/* Free the graphs once the calls that run are over. Encoding, and segmenting its frames, then is SAM3I_UNAVAILABLE.
 * Closing again does nothing. */
SAM3I_API sam3i_status sam3i_segmenter_close(sam3i_segmenter *segmenter);

/* What really runs the graphs, in the runtime's words.
 *
 * out: owned by the segmenter and valid as long as that.
 * Returns SAM3I_UNAVAILABLE: it is closed. */
SAM3I_API sam3i_status sam3i_segmenter_device(const sam3i_segmenter *segmenter, const char **out);

/* The bundle's fingerprint: the SHA-256 of its manifest.json, which stands for all of its bytes, in hexadecimal.
 *
 * out: owned by the segmenter and valid as long as that. */
SAM3I_API sam3i_status sam3i_segmenter_fingerprint(const sam3i_segmenter *segmenter, const char **out);

/* Replay a bundle's golden cases on this device and compare with the float model.
 *
 * bundle, options: as for sam3i_segmenter_load. Threshold and nms play no part.
 * passed: 1 if everything is within its tolerance, else 0; may be NULL.
 * problem: what is off, or ""; free it with sam3i_string_free; may be NULL.
 * Returns as sam3i_segmenter_load. Values that are off are no error: look at `passed`. */
SAM3I_API sam3i_status sam3i_verify(const char *bundle, const sam3i_load_options *options, int *passed, char **problem);

/* Run the vision graph on an image: the heavy step, once per image.
 *
 * out: free it with sam3i_frame_free.
 * Returns SAM3I_IMAGE_ERROR; SAM3I_BUNDLE_ERROR: the graph fails; SAM3I_UNAVAILABLE: the segmenter is closed. */
SAM3I_API sam3i_status sam3i_segmenter_encode(const sam3i_segmenter *segmenter, const sam3i_image *image,
                                              sam3i_frame **out);

/* Free a frame, NULL too. Its results stay valid. */
SAM3I_API void sam3i_frame_free(sam3i_frame *frame);

/* Find what each prompt means, in one batch.
 *
 * prompts: `count` of them, all of the first one's `struct_size`; NULL if `count` is 0.
 * options: may be NULL.
 * out: one entry for each prompt, in their order; free it with sam3i_results_free.
 * Returns SAM3I_PROMPT_ERROR; SAM3I_BUNDLE_ERROR: a graph fails, or computes values that are not finite;
 *     SAM3I_UNAVAILABLE: the frame's segmenter is closed. */
SAM3I_API sam3i_status sam3i_frame_segment(const sam3i_frame *frame, const sam3i_prompt *prompts, size_t count,
                                           const sam3i_segment_options *options, sam3i_results **out);

/* Free results, NULL too, and all that sam3i_results_get gave of them. */
SAM3I_API void sam3i_results_free(sam3i_results *results);

/* How many prompts the results are of; 0 of NULL. */
SAM3I_API size_t sam3i_results_count(const sam3i_results *results);

/* What one prompt found.
 *
 * prompt: its index.
 * out: has its `struct_size` set; no byte behind that is written, and what this library does not know becomes 0. Its
 *     pointers lead into the results and are valid as long as those. */
SAM3I_API sam3i_status sam3i_results_get(const sam3i_results *results, size_t prompt, sam3i_instances *out);

/* One mask as COCO's compressed run lengths, the `counts` of pycocotools.
 *
 * prompt, instance: their indices.
 * out: "" where masks were not asked for; free it with sam3i_string_free. */
SAM3I_API sam3i_status sam3i_results_rle(const sam3i_results *results, size_t prompt, size_t instance, char **out);

/* Free a string that the library gave, NULL too. */
SAM3I_API void sam3i_string_free(char *text);

#ifdef __cplusplus
}
#endif

#endif /* SAM3I_EDGE_H */
