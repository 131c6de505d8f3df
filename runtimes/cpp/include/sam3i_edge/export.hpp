// Which symbols leave the shared library: all others are hidden.
#pragma once

#if defined(__GNUC__)
#define SAM3I_EDGE_API __attribute__((visibility("default")))
#else
#define SAM3I_EDGE_API
#endif
