// What TensorRT-RTX does without a GPU: it says its version, reads graphs, refuses some, and builds engines for GPUs
// that are elsewhere. Nothing here runs an engine.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <regex>

#include "backends/tensorrt_build.hpp"
#include "bundle.hpp"
#include "files.hpp"
#include "golden.hpp"
#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

using golden::refusal;
using tensorrt::build_engine;
using tensorrt::library;

// --- ONNX files, written without a library ---------------------------------------------------------------------------

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7) bytes += static_cast<char>(128 | (value & 127));
  return bytes + static_cast<char>(value);
}
std::string number(int field, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(value);
}
std::string bytes(int field, const std::string& content) {
  return varint((static_cast<std::uint64_t>(field) << 3) | 2) + varint(content.size()) + content;
}

enum OnnxType { kFloat = 1, kUint8 = 2 };

std::string value_info(const std::string& name, OnnxType type, std::initializer_list<std::uint64_t> shape) {
  std::string sides;
  for (const std::uint64_t side : shape) sides += bytes(1, number(1, side));
  return bytes(1, name) + bytes(2, bytes(1, number(1, type) + bytes(2, sides)));
}

/// A graph of one node, "image_to_planes", of opset 20.
fs::path graph_of(const std::string& op, OnnxType type) {
  const std::string node = bytes(1, "image") + bytes(2, "planes") + bytes(3, "image_to_planes") + bytes(4, op);
  const std::string graph = bytes(1, node) + bytes(2, "graph") + bytes(11, value_info("image", type, {4, 4})) +
                            bytes(12, value_info("planes", type, {4, 4}));
  const fs::path file = fs::path(testing::TempDir()) / (op + std::to_string(::getpid()) + ".onnx");
  write_whole(file, number(1, 10) + bytes(7, graph) + bytes(8, bytes(1, "") + number(2, 20)));
  return file;
}

// ---------------------------------------------------------------------------------------------------------------------

TEST(TensorRtRtx, IsNamedWithItsWholeVersion) {
  EXPECT_TRUE(std::regex_match(library(), std::regex(R"(TensorRT-RTX 1\.\d+\.\d+\.\d+)"))) << library();
  EXPECT_NO_THROW(tensorrt::check_library());
}

TEST(TensorRtRtx, BuildsForGpusThatAreElsewhere) {
  const fs::path graph = graph_of("Transpose", kFloat);
  const std::string one = build_engine(graph, {}, {"8.9"});
  EXPECT_GT(one.size(), 1000u);
  EXPECT_GT(build_engine(graph, {}, {"8.6", "8.9", "12.0"}).size(), one.size());
}

TEST(TensorRtRtx, ARefusalNamesNodeAndOperator) {
  const fs::path graph = graph_of("Transpose", kUint8);  // it takes UINT8 into nothing but a Cast
  const std::string told = refusal<BundleError>([&] { build_engine(graph, {}, {"8.9"}); });
  EXPECT_EQ(told.rfind(library() + " cannot read " + graph.string() + ": image_to_planes (Transpose): ", 0), 0u)
      << told;
  EXPECT_NE(told.find("UInt8"), std::string::npos) << told;
}

TEST(TensorRtRtx, AnOperatorThatIsUnknown) {
  const fs::path graph = graph_of("Transpoze", kFloat);
  const std::string told = refusal<BundleError>([&] { build_engine(graph, {}, {"8.9"}); });
  EXPECT_NE(told.find("image_to_planes (Transpoze): "), std::string::npos) << told;
}

TEST(TensorRtRtx, FilesThatAreNoGraphs) {
  const fs::path file = fs::path(testing::TempDir()) / "graph.onnx";
  write_whole(file, "no graph");
  for (const fs::path& graph : {file, fs::path("none.onnx")}) {
    const std::string told = refusal<BundleError>([&] { build_engine(graph, {}, {"8.9"}); });
    EXPECT_EQ(told.rfind(library() + " cannot read " + graph.string() + ": ", 0), 0u) << told;
    EXPECT_EQ(told.find("gives no reason"), std::string::npos) << told;
  }
}

TEST(TensorRtRtx, SettingsThatAreNoNumbers) {
  const fs::path graph = graph_of("Transpose", kFloat);
  for (const char* name : {"workspace_mb", "builder_optimization_level"}) {
    for (const std::string value : {"much", "", "-1", "1.5", "99999999999"}) {
      SessionOptions options;
      options.settings[name] = value;
      EXPECT_EQ(refusal<BundleError>([&] { build_engine(graph, options, {"8.9"}); }),
                "The target's setting " + std::string(name) + " is '" + value + "'; it must be a number.");
    }
  }
}

TEST(TensorRtRtx, AComputeCapabilityThatItDoesNotKnow) {
  const fs::path graph = graph_of("Transpose", kFloat);
  const std::string told = refusal<RuntimeUnavailableError>([&] { build_engine(graph, {}, {"8.9", "8.7"}); });
  EXPECT_EQ(told.rfind(library() + " cannot build for compute capability 8.9, 8.7: ", 0), 0u) << told;
  EXPECT_NE(told.find("not supported"), std::string::npos) << told;
}

TEST(TensorRtRtx, WhatWentWrongBeforeIsNotToldAgain) {
  refusal<BundleError>([] { build_engine("none.onnx", {}, {"8.9"}); });
  EXPECT_EQ(tensorrt::logger().take(), "TensorRT-RTX gives no reason");
}

/// Tests that need a GPU not to be here.
class WithoutGpu : public testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess && count > 0) GTEST_SKIP() << "there is a GPU";
  }
  static void expect_advice(const std::string& told) {
    EXPECT_EQ(told.rfind("CUDA finds no NVIDIA GPU here: ", 0), 0u) << told;
    EXPECT_NE(told.find("Install NVIDIA's driver, or a newer one, until nvidia-smi lists the GPU"), std::string::npos)
        << told;
  }
};

TEST_F(WithoutGpu, OpeningAGraphSaysWhatToDo) {
  SessionOptions options;
  options.device = default_device("tensorrt-rtx");
  const fs::path graph = graph_of("Transpose", kFloat);
  expect_advice(refusal<RuntimeUnavailableError>([&] { open_session("tensorrt-rtx", graph, options); }));
}

TEST_F(WithoutGpu, AnEngineForTheGpuThatIsHere) {
  const fs::path graph = graph_of("Transpose", kFloat);
  const std::string told = refusal<Error>([&] { build_engine(graph, {}); });
  EXPECT_NE(told.find("CUDA driver"), std::string::npos) << told;
}

/// Tests of a bundle that was exported for NVIDIA.
class NvidiaBundle : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("SAM3I_EDGE_NVIDIA_BUNDLE");
    if (!path || !*path) GTEST_SKIP() << "SAM3I_EDGE_NVIDIA_BUNDLE names no bundle for the target nvidia";
    bundle_ = open_bundle(path);
  }
  Bundle bundle_;
};

TEST_F(NvidiaBundle, EveryGraphIsBuilt) {
  SessionOptions options;
  options.max_prompts = bundle_.manifest.limits.max_prompts;
  options.settings = bundle_.manifest.target.settings;
  for (const auto& [name, graph] : bundle_.manifest.graphs) {
    EXPECT_GT(build_engine(bundle_.graph_path(name), options, {"8.9"}).size(), 10000u) << name;
  }
}

}  // namespace
}  // namespace sam3i_edge::detail
