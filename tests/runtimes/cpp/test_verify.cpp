// The gate says what Python's says; and what it reads, NumPy's archives, is read as NumPy reads it.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "bundle.hpp"
#include "golden.hpp"
#include "inflate.hpp"
#include "npz.hpp"
#include "recorded.hpp"
#include "sam3i_edge/verify.hpp"
#include "tolerances.hpp"

namespace sam3i_edge {
namespace {

using golden::bundles;
using golden::folder;
using golden::read_json;

class Verify : public golden::Golden {};

TEST_F(Verify, PassesOnTheBundlesOfThisTest) {
  for (const auto& [name, path] : bundles()) {
    const auto runtime = detail::open_bundle(path).manifest.target.runtime;
    const auto built = runtimes();
    if (std::find(built.begin(), built.end(), runtime) == built.end()) continue;
    const Verdict verdict = verify(path);
    EXPECT_TRUE(verdict.passed()) << name << ": " << verdict.problem();
    EXPECT_EQ(verdict.problem(), "");
    EXPECT_GE(verdict.checks.size(), 9u);
    EXPECT_EQ(verdict.answers.size(), detail::read_recorded(path).prompts.size());
  }
}

TEST(Verdicts, NameWhatIsOffFirstAndWhatIsWorst) {
  Verdict verdict{
      "CPU", "fp32", {{"vision/fine", 0, 90, true}, {"text/text", 1, 20, false}}, {{"mug", "auto", 1, 0, true}}};
  verdict.checks.push_back({"grounding/masks", 1, 3.25, false});
  EXPECT_FALSE(verdict.passed());
  EXPECT_EQ(verdict.problem(),
            "first at text/text, worst grounding/masks (SQNR 3.2 dB); 2 of 3 outputs are beyond their tolerance");
  verdict.checks.resize(1);
  EXPECT_TRUE(verdict.passed());
  verdict.answers.front() = {"mug", "auto", 0.5, 0.1, false};
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
  verdict.answers.push_back({"mug", "auto", 0.1, 0, false});
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
  EXPECT_THROW(detail::tolerances_of("fp64"), BundleError);
}

TEST_F(Verify, ItsTolerancesArePythons) {
  const auto table = read_json(folder() / "words.json").at("tolerances");
  EXPECT_EQ(table.size(), 6u);
  for (const auto& [precision, row] : table.items()) {
    const auto ours = detail::tolerances_of(precision);
    EXPECT_EQ(ours.output.max_abs, row.at("max_abs").get<double>()) << precision;
    EXPECT_EQ(ours.output.min_sqnr_db, row.at("min_sqnr_db").get<double>()) << precision;
    EXPECT_EQ(ours.loss_db.has_value(), !row.at("loss_db").is_null()) << precision;
    EXPECT_EQ(ours.loss_db.value_or(0), row.at("loss_db").is_null() ? 0 : row.at("loss_db").get<double>()) << precision;
    EXPECT_EQ(ours.min_mask_iou, row.at("min_mask_iou").get<double>()) << precision;
    EXPECT_EQ(ours.max_score_change, row.at("max_score_change").get<double>()) << precision;
  }
}

TEST_F(Verify, ArraysAreReadAsNumPyWroteThem) {
  const auto words = read_json(folder() / "words.json");
  for (const auto& archive : words.at("archives")) {
    const auto arrays = detail::read_npz(detail::read_file(folder() / archive.at("file").get<std::string>()));
    EXPECT_EQ(arrays.size(), archive.at("arrays").size());
    for (const auto& [name, about] : archive.at("arrays").items()) {
      const auto& array = arrays.at(name);
      EXPECT_EQ(array.shape, about.at("shape").get<std::vector<std::int64_t>>()) << name;
      EXPECT_EQ(array.floats(), about.at("values").get<std::vector<float>>()) << name;
    }
  }
}

TEST_F(Verify, DamagedArchivesAreRefused) {
  const auto words = read_json(folder() / "words.json");
  for (const auto& archive : words.at("archives")) {
    const std::string content = detail::read_file(folder() / archive.at("file").get<std::string>());
    for (std::size_t length = 0; length < content.size(); length += 1 + content.size() / 500) {
      EXPECT_THROW(detail::read_npz(content.substr(0, length)), detail::NpzError) << length;
    }
  }
  for (const auto& name : words.at("refused_archives")) {
    EXPECT_THROW(detail::read_npz(detail::read_file(folder() / name.get<std::string>())).at("a").floats(),
                 detail::NpzError)
        << name;
  }
}

TEST(Inflate, WhatIsDamagedIsRefused) {
  using detail::inflate;
  const std::string stored(
      "\x01\x02\x00\xfd\xff"
      "ab",
      7);
  EXPECT_EQ(inflate(stored, 2), (std::vector<std::uint8_t>{'a', 'b'}));
  EXPECT_EQ(inflate(std::string("\x4b\x4c\x04\x00", 4), 2), (std::vector<std::uint8_t>{'a', 'a'}));
  EXPECT_EQ(inflate(std::string("\x4b\x4c\x04\x02\x00", 5), 5).size(), 5u);  // a copy that overlaps itself
  const std::vector<std::pair<std::string, std::size_t>> cases = {
      {"", 0},
      {stored, 1},
      {stored, 3},
      {stored.substr(0, 6), 2},
      {std::string("\x01\x02\x00\xfd\xfe"
                   "ab",
                   7),
       2},                                              // a length whose complement is wrong
      {"\x07", 0},                                      // a block of no kind
      {std::string("\x03\x02\x00", 3), 5},              // a copy from before the beginning
      {std::string("\x4b\x4c\x04\x02\x00", 5), 4},      // more than its size says
      {std::string("\x05\xff\xff\xff\xff\xff", 6), 9},  // codes of too many words
      {stored, std::size_t{1} << 40}};                  // and what would take all memory
  for (const auto& [bytes, size] : cases) EXPECT_THROW(inflate(bytes, size), detail::InflateError) << bytes;
}

}  // namespace
}  // namespace sam3i_edge
