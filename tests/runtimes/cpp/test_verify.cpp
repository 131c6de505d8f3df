// The gate says what Python's says, by the tolerances that the bundle brings.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "bundle.hpp"
#include "golden.hpp"
#include "sam3i_edge/verify.hpp"
#include "tolerances.hpp"

namespace sam3i_edge {
namespace {

using golden::bundles;
using golden::read_json;

class Verify : public golden::Golden {};

TEST(Verdicts, NameWhatIsOffFirstAndWhatIsWorst) {
  Verdict verdict{
      "CPU", "fp32", {{"vision/fine", 0, 90, true}, {"text/text", 1, 20, false}}, {{"mug", Route::Auto, 1, 0, true}}};
  verdict.checks.push_back({"grounding/masks", 1, 3.25, false});
  EXPECT_FALSE(verdict.passed());
  EXPECT_EQ(verdict.problem(),
            "first at text/text, worst grounding/masks (SQNR 3.2 dB); 2 of 3 outputs are beyond their tolerance");
  verdict.checks.resize(1);
  EXPECT_TRUE(verdict.passed());
  verdict.answers.front() = {"mug", Route::Auto, 0.5, 0.1, false};
  EXPECT_EQ(verdict.problem(),
            "the outputs are within their tolerance, but not the instances of 'mug': mask IoU 0.500, score changed by "
            "0.1");
}

TEST(Verdicts, NameARemedyWhereItMayHelp) {
  Verdict verdict{"TensorRT 10.3", "fp16", {{"text/text", 1, 20, false}}, {}, "Try this"};
  EXPECT_EQ(verdict.problem().find("Try this"), std::string::npos);
  verdict.checks.push_back({"vision/fine", 1, 3, false});
  EXPECT_NE(verdict.problem().find("beyond their tolerance. Try this"), std::string::npos);
  verdict.checks.clear();
  EXPECT_EQ(verdict.problem(), "");
  verdict.answers.push_back({"mug", Route::Auto, 0.1, 0, false});
  EXPECT_NE(verdict.problem().find(". Try this"), std::string::npos);
}

TEST(Verdicts, TheRemedyIsForFusedHalfPrecisionOnTensorRt) {
  detail::Manifest manifest;
  manifest.precision = "int8-fp16";
  manifest.target.runtime = "tensorrt-rtx";
  manifest.target.attention = "fused";
  EXPECT_NE(detail::remedy_of(manifest, "TensorRT-RTX 1.7.1.116 on X").find("--attention unfused"), std::string::npos);
  EXPECT_EQ(detail::remedy_of(manifest, "ONNX Runtime 1.31 on the CPU"), "");
  manifest.target.attention = "unfused";
  EXPECT_EQ(detail::remedy_of(manifest, "TensorRT-RTX 1.7.1.116 on X"), "");
  manifest.target.attention = "fused";
  manifest.precision = "int8";
  EXPECT_EQ(detail::remedy_of(manifest, "TensorRT-RTX 1.7.1.116 on X"), "");
}

TEST(Tolerances, OfValuesThatAreNotFinite) {
  using detail::measure;
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(measure({1, 2}, {1, 2}).sqnr_db, detail::kMostSqnr);
  EXPECT_NEAR(measure({1, 2.5f}, {1, 2}).sqnr_db, 10 * std::log10(5 / 0.25), 1e-9);
  EXPECT_EQ(measure({1, 2.5f}, {1, 2}).max_abs, 0.5);
  EXPECT_EQ(measure({1}, {0}).sqnr_db, -detail::kMostSqnr);
  for (const std::vector<float>& actual : {std::vector<float>{nan, 2}, {inf, 2}, {1}, {}}) {
    EXPECT_TRUE(std::isinf(measure(actual, {1, 2}).max_abs));
    EXPECT_EQ(measure(actual, {1, 2}).sqnr_db, -detail::kMostSqnr);
  }
}

/// A copy of the small bundle whose manifest was changed.
class ChangedManifest : public Verify {
 protected:
  /// The refusal of `verify`, or its problem; empty if there is none.
  std::string problem_after(const std::function<void(golden::Json& runtime)>& change) {
    const golden::Copy copy(bundles().back().second);
    auto manifest = read_json(copy.path / "manifest.json");
    change(manifest["runtime"]);
    detail::write_whole(copy.path / "manifest.json", manifest.dump());
    try {
      return verify(copy.path).problem();
    } catch (const BundleError& error) {
      return error.what();
    }
  }
};

TEST_F(ChangedManifest, TolerancesAreTheBundles) {
  const std::string precision = detail::open_bundle(bundles().back().second).manifest.precision;
  const auto outputs = [&](golden::Json& runtime) -> golden::Json& {
    return runtime["tolerances"][precision]["outputs"];
  };
  const std::string problem = problem_after([&](auto& runtime) {
    outputs(runtime)["vision/middle"]["min_sqnr_db"] = 200;
    outputs(runtime)["text/text"]["max_abs"] = 0;
  });
  EXPECT_EQ(problem.find("first at vision/middle, worst "), 0u) << problem;
  EXPECT_NE(problem.find("; 2 of "), std::string::npos) << problem;
  EXPECT_EQ(problem_after([&](auto& runtime) {
              runtime["tolerances"][precision]["instances"]["max_score_change"] = -1;
            }).substr(0, 64),
            "the outputs are within their tolerance, but not the instances of");
  EXPECT_EQ(problem_after([&](auto& runtime) { outputs(runtime).erase("grounding/masks"); }),
            "The manifest has no tolerance for grounding/masks. Export the bundle again.");
  EXPECT_EQ(problem_after([&](auto& runtime) { runtime["tolerances"].erase(precision); }),
            "The manifest has no tolerances for " + precision +
                ", which the bundle is computed in here. Export the bundle again.");
}

TEST_F(ChangedManifest, StepsOfTheGoldenCasesAreTheBundles) {
  EXPECT_NE(problem_after([](auto& runtime) {
              runtime["golden"]["steps"].erase("vision/fine");
            }).find("cannot be read: golden.steps.vision/fine is missing. Export the bundle again."),
            std::string::npos);
  EXPECT_EQ(problem_after([](auto& runtime) {
              runtime["golden"]["steps"]["preprocess/image"] = 100000;
            }).find("The golden cases have "),
            0u);
}

}  // namespace
}  // namespace sam3i_edge
