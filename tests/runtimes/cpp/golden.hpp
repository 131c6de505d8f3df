// What golden.py wrote: JSON, and bare arrays.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "files.hpp"
#include "sam3i_edge/image.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace golden {

using Json = nlohmann::json;

inline std::filesystem::path folder() {
  const char* path = std::getenv("SAM3I_EDGE_GOLDEN");
  return path ? path : "";
}

inline Json read_json(const std::filesystem::path& path) { return Json::parse(sam3i_edge::detail::read_file(path)); }

struct Array {
  std::vector<std::uint8_t> bytes;
  std::vector<int> shape;
};

inline Array read_array(const std::filesystem::path& where, const Json& about) {
  const std::string content = sam3i_edge::detail::read_file(where / about.at("file").get<std::string>());
  return {{content.begin(), content.end()}, about.at("shape").get<std::vector<int>>()};
}

inline sam3i_edge::ImageView view_of(const Array& image) {
  return {image.bytes.data(), image.shape[1], image.shape[0]};
}

/// The bundles that golden.py replayed: name and path.
inline std::vector<std::pair<std::string, std::filesystem::path>> bundles() {
  std::vector<std::pair<std::string, std::filesystem::path>> found;
  for (const auto& bundle : read_json(folder() / "bundles.json")) {
    found.emplace_back(bundle.at("name").get<std::string>(), bundle.at("path").get<std::string>());
  }
  return found;
}

/// The runtimes of this build that run here: TensorRT and TensorRT-RTX need a GPU.
inline std::vector<std::string> usable_runtimes() {
  const bool has_gpu = std::filesystem::exists("/dev/nvidiactl") || std::filesystem::exists("/dev/nvhost-gpu");
  std::vector<std::string> usable;
  for (const std::string& runtime : sam3i_edge::runtimes()) {
    if (has_gpu || runtime.rfind("tensorrt", 0) != 0) usable.push_back(runtime);
  }
  return usable;
}

/// A test that needs golden.py's files.
class Golden : public testing::Test {
 protected:
  void SetUp() override {
    if (folder().empty()) GTEST_SKIP() << "SAM3I_EDGE_GOLDEN names no folder that golden.py wrote";
    ASSERT_FALSE(bundles().empty());
  }
};

}  // namespace golden
