// Damaged bundles are refused in the Python side's words.
#include <gtest/gtest.h>

#include "bundle.hpp"
#include "golden.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge::detail {
namespace {

using golden::bundles;
using golden::folder;
using golden::read_json;

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size()) text.replace(at, what.size(), by);
  return text;
}

/// Where a JSON reader, or another parser's own text, speaks, only what stands before it is the same.
std::string up_to_foreign_words(const std::string& text) {
  for (const char* before : {"cannot be read: ", "is no CLIP tokenizer: ", "is no auto route: ", "weights are of"}) {
    const auto at = text.find(before);
    if (at != text.npos) return text.substr(0, at + std::string(before).size());
  }
  return text;
}

/// "Known: a, b" lists what this build has, and the place of a value among the fields differs between languages.
std::string comparable(const std::string& text) {
  return up_to_foreign_words(replaced(text, "this package", "this library"));
}

class Refusals : public golden::Golden {};

TEST_F(Refusals, AreThePythonSides) {
  for (const auto& [name, path] : bundles()) {
    const auto cases = read_json(folder() / name / "refusals.json");
    EXPECT_GT(cases.size(), 50u);
    const auto runtime = open_bundle(path).manifest.target.runtime;
    const auto built = runtimes();
    for (const auto& one : cases) {
      const std::string expected =
          comparable(replaced(one.at("message"), "Update this package", "Update this library"));
      const bool needs_runtime = one.at("error") == "RuntimeUnavailableError";
      if (needs_runtime && std::find(built.begin(), built.end(), runtime) == built.end()) continue;
      try {
        Segmenter::load(one.at("path").get<std::string>());
        ADD_FAILURE() << "not refused: " << expected;
      } catch (const RuntimeUnavailableError& error) {
        EXPECT_TRUE(needs_runtime) << error.what();
        EXPECT_EQ(comparable(error.what()), expected);
      } catch (const BundleError& error) {
        EXPECT_FALSE(needs_runtime) << error.what();
        EXPECT_EQ(comparable(error.what()), expected);
      }
    }
  }
}

TEST_F(Refusals, AnIntactBundleIsNotRefused) {
  for (const auto& [name, path] : bundles()) EXPECT_EQ(open_bundle(path).manifest.graphs.size(), 3u) << name;
}

TEST_F(Refusals, APrecisionThatIsNotTheTargets) {
  for (const auto& [name, path] : bundles()) {
    auto content = read_json(path / "manifest.json");
    content["target"]["precisions"] = {"fp32", "int8"};
    content["precision"] = "in8";
    try {
      parse_manifest(content.dump(), path / "manifest.json");
      FAIL();
    } catch (const BundleError& error) {
      EXPECT_EQ(error.what(), (path / "manifest.json").string() +
                                  ": Unknown precision 'in8'. Known: fp32, int8. Did you mean 'int8'? Export the "
                                  "bundle anew.");
    }
    content["precision"] = "bf16";  // known, but not this target's
    EXPECT_THROW(parse_manifest(content.dump(), "manifest.json"), BundleError);
  }
}

TEST_F(Refusals, AnUnknownRuntime) {
  LoadOptions options;
  options.runtime = "openvno";
  try {
    Segmenter::load(bundles().front().second, options);
    FAIL();
  } catch (const RuntimeUnavailableError& error) {
    EXPECT_STREQ(error.what(),
                 "Unknown runtime 'openvno'. Known: onnxruntime, openvino, tensorrt, tensorrt-rtx. Did you mean "
                 "'openvino'?");
  }
}

class Manifests : public golden::Golden {
 protected:
  golden::Json content() { return read_json(bundles().front().second / "manifest.json"); }
  static Manifest parse(const golden::Json& content) { return parse_manifest(content.dump(), "manifest.json"); }
};

TEST_F(Manifests, WhatNvidiasParserMadeOfTheGraphsIsOptional) {
  auto none = content(), null = content();
  none.erase("tensorrt");
  null["tensorrt"] = nullptr;
  for (const auto& manifest : {none, null}) {
    EXPECT_TRUE(parse(manifest).tensorrt.engines.empty());
  }
}

TEST_F(Manifests, EnginesThatABundleCarries) {
  auto manifest = content();
  manifest["target"]["attention"] = "unfused";
  manifest["tensorrt"] = {{"checked_by", "TensorRT-RTX 1.7.1.116"},
                          {"engines",
                           {{{"graph", "text"},
                             {"file", "engines/text.engine"},
                             {"compute_capabilities", {"8.6", "12.0"}},
                             {"built_by", "TensorRT-RTX 1.7.1.116"}}}}};
  const Manifest read = parse(manifest);
  EXPECT_EQ(read.target.attention, "unfused");
  EXPECT_EQ(read.tensorrt.checked_by, "TensorRT-RTX 1.7.1.116");
  ASSERT_EQ(read.tensorrt.engines.size(), 1u);
  const EngineRecord& engine = read.tensorrt.engines.front();
  EXPECT_EQ(engine.graph, "text");
  EXPECT_EQ(engine.file, "engines/text.engine");
  EXPECT_EQ(engine.compute_capabilities, (std::vector<std::string>{"8.6", "12.0"}));
  EXPECT_EQ(engine.built_by, "TensorRT-RTX 1.7.1.116");
}

TEST(Precision, OutsideTheIntegerLayers) {
  EXPECT_EQ(float_type("int8"), "fp32");
  EXPECT_EQ(float_type("int8-bf16"), "bf16");
  EXPECT_EQ(float_type("fp16"), "fp16");
  EXPECT_TRUE(is_int8("int8-fp16"));
  EXPECT_FALSE(is_int8("fp32"));
}

}  // namespace
}  // namespace sam3i_edge::detail
