// Whatever a manifest or a route.json holds: it is read or refused.
#include <cstdint>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "golden.hpp"
#include "sam3i_edge/errors.hpp"
#include "schema.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    sam3i_edge::detail::parse_manifest({reinterpret_cast<const char*>(data), size}, "bundle/manifest.json");
  } catch (const sam3i_edge::BundleError&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds = {R"({"format": "sam3i-edge-bundle", "format_version": 1})", "[[[[", "{}"};
  if (golden::folder().empty()) return seeds;
  for (const auto& [name, path] : golden::bundles()) {
    seeds.push_back(sam3i_edge::detail::read_file(path / "manifest.json"));
  }
  return seeds;
}
