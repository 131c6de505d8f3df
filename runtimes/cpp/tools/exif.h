/* How a camera was held, of what it wrote beside the pixels. */
#ifndef SAM3I_EDGE_TOOLS_EXIF_H
#define SAM3I_EDGE_TOOLS_EXIF_H

#include <stddef.h>

/* EXIF's orientation, 1 to 8; 1, upright, where it says none. `tiff` begins with the byte order, "II" or "MM". */
int sam3i_exif_orientation(const unsigned char *tiff, size_t count);

#endif
