// Whatever a file of golden tensors holds, or its header: they are read, or it is refused.
#include <cstdint>
#include <string>
#include <vector>

#include "golden.hpp"
#include "safetensors.hpp"

namespace {

void read(const std::string& content) {
  try {
    for (const auto& [name, tensor] : sam3i_edge::detail::read_safetensors(content)) tensor.floats();
  } catch (const sam3i_edge::detail::SafetensorsError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string content(reinterpret_cast<const char*>(data), size);
  read(content);
  read(golden::safetensors(content, 12));
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds = {R"({"a": {"dtype": "I32", "shape": [1, 3], "data_offsets": [0, 12]}})",
                                    R"({"__metadata__": {}, "a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
                                        "b": {"dtype": "BOOL", "shape": [2, 2], "data_offsets": [0, 4]},
                                        "c": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}})"};
  for (std::size_t i = 0; i < 2; ++i) seeds.push_back(golden::safetensors(seeds[i], 12));
  return seeds;
}
