// Whatever a manifest or a route.json holds: it is read or refused.
#include <cstdint>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "golden.hpp"
#include "route.hpp"
#include "sam3i_edge/errors.hpp"
#include "schema.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string content(reinterpret_cast<const char*>(data), size);
  try {
    sam3i_edge::detail::parse_manifest(content, "bundle/manifest.json");
  } catch (const sam3i_edge::BundleError&) {
  }
  try {
    sam3i_edge::detail::RouteClassifier::parse(content).route({49406, 320, 49407, 0});
  } catch (const sam3i_edge::detail::SchemaError&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds = {R"({"format": "sam3i-edge-bundle", "format_version": "2.7", "runtime":
                                    {"graphs": {"sound": 1}, "engines": [{"graph": "sound"}]}})",
                                    "[[[[", "{}",
                                    R"({"format": "sam3i-edge-route", "format_version": 1, "note": "",
                                    "weights": {"concept": "AQI=", "simple": "/wA=", "complex": "f4A="}})"};
  if (golden::folder().empty()) return seeds;
  for (const auto& [name, path] : golden::bundles()) {
    auto manifest = golden::read_json(path / "manifest.json");
    for (const char* version : {"2.0", "2.7"}) {
      manifest["format_version"] = version;
      seeds.push_back(manifest.dump());
    }
  }
  return seeds;
}
