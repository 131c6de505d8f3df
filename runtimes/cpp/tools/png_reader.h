/* libpng reports errors by a long jump, as libjpeg does (jpeg.h). */
#ifndef SAM3I_EDGE_TOOLS_PNG_READER_H
#define SAM3I_EDGE_TOOLS_PNG_READER_H

#include <stddef.h>

#define SAM3I_PNG_MESSAGE 256

/* (height, width, 3) RGB, to be freed; or NULL and a message. Of 16 bits the high byte stays, alpha is dropped, gamma
 * is not applied: as Python reads it. `orientation` is EXIF's. Of an image that is too large (picture_limits.h) the
 * size is set, and no memory taken. */
unsigned char *sam3i_decode_png(const void *bytes, size_t count, int *width, int *height, int *orientation,
                                char message[SAM3I_PNG_MESSAGE]);

#endif
