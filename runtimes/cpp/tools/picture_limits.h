/* What the tools read at most; sam3i_edge/image_files.py has the same. */
#ifndef SAM3I_EDGE_TOOLS_PICTURE_LIMITS_H
#define SAM3I_EDGE_TOOLS_PICTURE_LIMITS_H

#define SAM3I_MOST_PIXELS (1LL << 28) /* as the library takes */
#define SAM3I_MOST_BYTES (1LL << 31)  /* of a file */
#define SAM3I_MOST_SCANS 100          /* of a progressive JPEG; encoders write about ten */

static inline int sam3i_is_too_large(long long width, long long height) {
  return height > 0 && width > SAM3I_MOST_PIXELS / height;
}

#endif
