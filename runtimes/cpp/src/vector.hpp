// Hot loops, compiled once more for processors with AVX2; the right copy is chosen when the library is loaded.
#pragma once

// The sanitizers instrument the code that chooses, before they are ready to run.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define SAM3I_EDGE_HOT __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define SAM3I_EDGE_HOT
#endif
