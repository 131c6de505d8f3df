// Golden cases, as a bundle carries them: an image, prompts, and what the float model says of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "sam3i_edge/image.hpp"
#include "sam3i_edge/prompt.hpp"

namespace sam3i_edge::detail {

/// Of each output the file holds every `step`-th value.
struct Expected {
  std::vector<float> values;
  std::size_t step = 1;
};

struct Golden {
  std::vector<std::uint8_t> pixels;
  int width = 0, height = 0;
  std::vector<Prompt> prompts;
  std::map<std::string, Expected> expected;  ///< by "stage/output"
  std::vector<std::uint8_t> inside;  ///< of every mask which pixels lie inside, 8 to a byte; each begins with a new one

  ImageView image() const { return {pixels.data(), width, height}; }
};

/// Read the golden files of the bundle in the folder `bundle`. Throws BundleError.
Golden read_golden(const std::filesystem::path& bundle, const GoldenRecord& record);

}  // namespace sam3i_edge::detail
