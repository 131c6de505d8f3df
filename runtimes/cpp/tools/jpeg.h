/* libjpeg reports errors by a long jump, which C++ objects would not survive: so this much is C. */
#ifndef SAM3I_EDGE_TOOLS_JPEG_H
#define SAM3I_EDGE_TOOLS_JPEG_H

#include <stddef.h>

#define SAM3I_JPEG_MESSAGE 256

/* (height, width, 3) RGB, to be freed; or NULL and a message, also where libjpeg would only warn, and fill up with grey
 * what is missing. `orientation` is EXIF's. Of an image that is too large (picture_limits.h) the size is set, and no
 * memory taken. */
unsigned char *sam3i_decode_jpeg(const void *bytes, size_t count, int *width, int *height, int *orientation,
                                 char message[SAM3I_JPEG_MESSAGE]);

#endif
