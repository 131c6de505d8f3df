// Golden cases, as a bundle carries them: an image, prompts, and what the float model says of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sam3i_edge/image.hpp"
#include "sam3i_edge/prompt.hpp"

namespace sam3i_edge::detail {

struct Recorded {
  std::vector<std::uint8_t> pixels;
  int width = 0, height = 0;
  std::vector<Prompt> prompts;
  std::map<std::string, std::vector<float>> expected;  ///< by "stage/output", sampled as below
  std::vector<std::uint8_t> inside;  ///< of every mask which pixels lie inside, 8 to a byte; each begins with a new one

  ImageView image() const { return {pixels.data(), width, height}; }
};

/// Of `size` values every how-manieth is kept, so that no more than 2^14 are; it shares no divisor with `size`.
std::size_t sample_step(std::size_t size);

/// Read the golden files of a bundle. Throws BundleError.
Recorded read_recorded(const std::filesystem::path& bundle);

}  // namespace sam3i_edge::detail
