// What golden.py wrote: JSON, and bare arrays.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

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

/// A file of safetensors with that header and so many bytes.
inline std::string safetensors(const std::string& header, std::size_t bytes) {
  std::string content;
  for (int shift = 0; shift < 64; shift += 8)
    content += static_cast<char>(std::uint64_t{header.size()} >> shift & 0xFF);
  return content + header + std::string(bytes, '\x01');
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

/// A copy of a bundle, to be changed; it is removed in the end.
struct Copy {
  explicit Copy(const std::filesystem::path& bundle)
      : path(std::filesystem::path(testing::TempDir()) / ("bundle-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path);
    std::filesystem::copy(bundle, path, std::filesystem::copy_options::recursive);
  }
  ~Copy() { std::filesystem::remove_all(path); }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  const std::filesystem::path path;
};

/// What `run` throws, which must be a `Thrown`.
template <typename Thrown, typename Run>
std::string refusal(Run run) {
  try {
    run();
  } catch (const Thrown& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// A test that needs golden.py's files.
class Golden : public testing::Test {
 protected:
  void SetUp() override {
    if (folder().empty()) GTEST_SKIP() << "SAM3I_EDGE_GOLDEN names no folder that golden.py wrote";
    ASSERT_FALSE(bundles().empty());
  }
};

/// A test that segments a picture with one of those bundles, on the first runtime of this build.
class Pictured : public Golden {
 protected:
  void SetUp() override {
    Golden::SetUp();
    if (IsSkipped()) return;
    sam3i_edge::set_warning_handler({});  // at threshold 0 every prompt finds the most there may be
    const auto where = folder() / bundles().front().first;
    picture_ = read_array(where, read_json(where / "answers.json").at(0).at("image"));
    path_ = bundles().back().second;
    options_.runtime = sam3i_edge::runtimes().front();
    options_.threshold = 0;
  }
  sam3i_edge::ImageView view() const { return view_of(picture_); }
  sam3i_edge::Segmenter load() const { return sam3i_edge::Segmenter::load(path_, options_); }

  Array picture_;
  std::filesystem::path path_;
  sam3i_edge::LoadOptions options_;
};

}  // namespace golden
