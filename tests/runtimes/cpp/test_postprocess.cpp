// Which candidates are instances: thresholds by route and suppression of duplicates, as in Python.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "golden.hpp"
#include "postprocess.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge::detail {
namespace {

using Numbers = std::vector<int>;

Numbers all_of(std::size_t count) {
  Numbers numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// Logits of masks that are written as text: # is inside.
std::vector<float> logits_of(const std::vector<std::string>& masks) {
  std::vector<float> logits;
  for (const std::string& mask : masks) {
    for (const char pixel : mask) logits.push_back(pixel == '#' ? 0.5f : pixel == '0' ? 0.0f : -0.5f);
  }
  return logits;
}

Numbers kept(const std::vector<std::string>& masks, double nms, const Numbers& order) {
  return without_duplicates(logits_of(masks).data(), masks.front().size(), order, nms);
}

Numbers kept(const std::vector<std::string>& masks, double nms) { return kept(masks, nms, all_of(masks.size())); }

TEST(Duplicates, OfTwoThatAreAlikeTheFirstStays) {
  const std::vector<std::string> masks = {"####", "###.", "...#"};  // the first two have an IoU of 3/4
  EXPECT_EQ(kept(masks, 0.7), (Numbers{0, 2}));
  EXPECT_EQ(kept(masks, 0.7, {2, 1, 0}), (Numbers{2, 1}));
  EXPECT_EQ(kept(masks, 0.75), (Numbers{0, 1, 2}));  // no greater
  EXPECT_EQ(kept(masks, 0.2), Numbers{0});
  EXPECT_EQ(kept(masks, 0.2, {}), Numbers{});
}

TEST(Duplicates, WhatIsLeftOutLeavesOutNothing) {
  const std::vector<std::string> chain = {"####....", "..####..", "....####"};  // neighbours have an IoU of 1/3
  EXPECT_EQ(kept(chain, 0.3), (Numbers{0, 2}));
  EXPECT_EQ(kept(chain, 0.3, {1, 0, 2}), Numbers{1});
  EXPECT_EQ(kept(chain, 0.3, {2, 1, 0}), (Numbers{2, 0}));
}

TEST(Duplicates, OneLeavesOutNone) { EXPECT_EQ(kept({"####", "####", "#..."}, 1), (Numbers{0, 1, 2})); }

TEST(Duplicates, EmptyMasksAreLikeNoOther) {
  EXPECT_EQ(kept({"....", "....", "0000", "####", "####"}, 0.01), (Numbers{0, 1, 2, 3}));  // 0 is not inside
}

TEST(Duplicates, PixelsBehindAWordCount) {
  std::string first(130, '.'), second(130, '.');
  first[129] = second[129] = first[63] = '#';
  EXPECT_EQ(kept({first, second}, 0.49), Numbers{0});
  EXPECT_EQ(kept({first, second}, 0.5), (Numbers{0, 1}));
}

TEST(Duplicates, OfEqualScoresTheFirstStaysWithItsBoxAndMask) {
  const std::vector<float> logits = {0, 2, 2, 1}, presence = {9};
  const std::vector<float> boxes = {0, 0, .1f, .1f, 0, 0, .2f, .2f, 0, 0, .3f, .3f, 0, 0, .4f, .4f};
  const auto masks = logits_of({"#...", ".###", ".##.", "#..."});
  const Outputs outputs = {logits.data(), presence.data(), boxes.data(), masks.data(), 4, 2};
  Memory memory;
  const auto found = [&](double threshold, double nms) {
    return postprocess(outputs, 100, 10, threshold, nms, Route::Simple, {MaskFormat::bytes, MaskSize::graph}, memory);
  };
  const Instances distinct = found(0, 0.6);
  ASSERT_EQ(distinct.size(), 2u);
  EXPECT_FLOAT_EQ(distinct.boxes[0][2], 20);
  EXPECT_FLOAT_EQ(distinct.boxes[1][2], 40);
  EXPECT_EQ(distinct.area(0), 3u);
  EXPECT_TRUE(distinct.contains(1, 0, 0));
  EXPECT_EQ(distinct.scores, (std::vector<float>{found(0, 1).scores[0], found(0, 1).scores[2]}));
  EXPECT_EQ(found(0, 1).size(), 4u);
  EXPECT_EQ(found(0.8, 0.6).size(), 1u);
  EXPECT_EQ(found(1, 0.6).size(), 0u);
}

class Postprocessings : public golden::Pictured {
 protected:
  /// A copy of the bundle with a section of its own.
  void write(const golden::Json& section) const {
    auto manifest = golden::read_json(copy_->path / "manifest.json");
    manifest["runtime"]["postprocessing"] = section;
    write_whole(copy_->path / "manifest.json", manifest.dump());
  }
  void SetUp() override {
    Pictured::SetUp();
    if (IsSkipped()) return;
    copy_ = std::make_unique<golden::Copy>(path_);
    path_ = copy_->path;
    options_.threshold = std::nullopt;
  }

  std::unique_ptr<golden::Copy> copy_;
};

TEST_F(Postprocessings, AreThePythonSides) {
  std::size_t left_out = 0;
  for (const auto& one : golden::read_json(golden::folder() / "duplicates.json")) {
    const auto array = golden::read_array(golden::folder(), one.at("masks"));
    std::vector<float> masks(array.bytes.size() / sizeof(float));
    std::memcpy(masks.data(), array.bytes.data(), array.bytes.size());
    const auto count = static_cast<std::size_t>(array.shape[0]);
    const auto pixels = static_cast<std::size_t>(array.shape[1] * array.shape[2]);
    for (const auto& [nms, kept] : one.at("kept").get<std::vector<std::pair<double, Numbers>>>()) {
      EXPECT_EQ(without_duplicates(masks.data(), pixels, all_of(count), nms), kept) << nms;
      left_out += count - kept.size();
    }
  }
  EXPECT_GT(left_out, 100u);
}

TEST_F(Postprocessings, AreTheBundlesOwnUnlessOthersAreGiven) {
  using Counts = std::vector<std::size_t>;
  const std::map<Route, double> own = {{Route::Concept, 0}, {Route::Simple, 1}, {Route::Complex, 0}};
  write({{"thresholds", {{"concept", 0}, {"simple", 1}, {"complex", 0}}}, {"nms", 0.5}});
  const auto counts = [&](const Segmenter& segmenter, std::optional<double> threshold = std::nullopt) {
    const std::vector<Prompt> prompts = {{"mug", Route::Concept}, {"mug", Route::Simple}, {"mug", Route::Complex}};
    Counts found;
    for (const auto& one : segmenter.segment(view(), prompts, {MaskFormat::none, MaskSize::graph, threshold})) {
      found.push_back(one.size());
    }
    return found;
  };
  const Segmenter by_bundle = load();
  const auto most = static_cast<std::size_t>(by_bundle.info().max_instances);
  EXPECT_EQ(by_bundle.postprocessing().thresholds, own);
  EXPECT_EQ(by_bundle.postprocessing().nms, 0.5);
  const Counts few = counts(by_bundle);
  for (const std::size_t route : {0, 2}) {
    EXPECT_GT(few[route], 0u);
    EXPECT_LT(few[route], most);  // duplicates are left out
  }
  EXPECT_EQ(few[1], 0u);
  EXPECT_GT(counts(by_bundle, 0)[1], 0u);
  EXPECT_EQ(counts(by_bundle, 1), Counts(3, 0));
  options_.nms = 1;
  const Segmenter with_duplicates = load();
  EXPECT_EQ(with_duplicates.postprocessing().thresholds, own);
  EXPECT_EQ(counts(with_duplicates), (Counts{most, 0, most}));
  options_.threshold = 0;
  EXPECT_EQ(counts(load()), Counts(3, most));
}

TEST_F(Postprocessings, OutOfRangeAreRefusedBeforeTheBundleIsRead) {
  const auto refusal = [&] { return golden::refusal<PromptError>([&] { Segmenter::load("none", options_); }); };
  for (const auto& [nms, shown] : {std::pair{0.0, "0.0"}, {-1.0, "-1.0"}, {1.5, "1.5"}, {std::nan(""), "nan"}}) {
    options_.nms = nms;
    EXPECT_EQ(refusal(), std::string("nms is ") + shown +
                             "; it must be a number above 0 and at most 1, which suppresses nothing.");
  }
  options_.nms = 0.5;
  options_.threshold = 1.5;
  EXPECT_EQ(refusal(), "The threshold is 1.5; it must be a number between 0 and 1.");
}

}  // namespace
}  // namespace sam3i_edge::detail
