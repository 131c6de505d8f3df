// Whatever an archive of golden cases holds: its arrays are read, or it is refused.
#include <cstdint>
#include <string>
#include <vector>

#include "golden.hpp"
#include "npz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const auto& [name, array] : sam3i_edge::detail::read_npz({reinterpret_cast<const char*>(data), size})) {
      array.floats();
    }
  } catch (const sam3i_edge::detail::NpzError&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds = {"PK\5\6"};
  if (golden::folder().empty()) return seeds;
  const auto words = golden::read_json(golden::folder() / "words.json");
  for (const auto& archive : words.at("archives")) {
    seeds.push_back(sam3i_edge::detail::read_file(golden::folder() / archive.at("file").get<std::string>()));
  }
  return seeds;
}
