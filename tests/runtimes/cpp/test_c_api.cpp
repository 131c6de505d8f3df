// The C functions say what the C++ classes say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>

#include "bundle.hpp"
#include "golden.hpp"
#include "sam3i_edge.h"
#include "sam3i_edge/segmenter.hpp"
#include "unicode.hpp"

namespace {

using sam3i_edge::Segmenter;

class CApi : public golden::Golden {
 protected:
  void SetUp() override {
    Golden::SetUp();
    if (IsSkipped()) return;
    sam3i_edge::set_warning_handler({});
    path_ = golden::bundles().front().second;
    const auto where = golden::folder() / golden::bundles().front().first;
    picture_ = golden::read_array(where, golden::read_json(where / "answers.json").at(0).at("image"));
    image_ = {picture_.bytes.data(), picture_.shape[1], picture_.shape[0], SAM3I_RGB, 0};
    ASSERT_EQ(sam3i_default_load_options(&options_, sizeof options_), SAM3I_OK);
    runtime_ = sam3i_edge::runtimes().front();
    options_.runtime = runtime_.c_str();
    options_.threshold = 0;
    ASSERT_EQ(sam3i_segmenter_load(path_.c_str(), &options_, &segmenter_), SAM3I_OK) << sam3i_last_error();
    ASSERT_EQ(sam3i_segmenter_encode(segmenter_, &image_, &frame_), SAM3I_OK) << sam3i_last_error();
  }
  void TearDown() override {
    sam3i_frame_free(frame_);
    sam3i_segmenter_free(segmenter_);
  }

  std::filesystem::path path_;
  std::string runtime_;
  golden::Array picture_;
  sam3i_image image_{};
  sam3i_load_options options_{};
  sam3i_segmenter* segmenter_ = nullptr;
  sam3i_frame* frame_ = nullptr;
};

TEST_F(CApi, SameInstances) {
  const sam3i_box box = {10, 20, 200, 200};
  const sam3i_prompt prompts[] = {{"mug", nullptr, nullptr, 0, nullptr, 0}, {"mug", "simple", &box, 1, &box, 1}};
  sam3i_results* results = nullptr;
  ASSERT_EQ(sam3i_frame_segment(frame_, prompts, 2, nullptr, &results), SAM3I_OK) << sam3i_last_error();
  sam3i_edge::LoadOptions load;
  load.runtime = runtime_;
  load.threshold = 0;
  const auto expected =
      Segmenter::load(path_, load)
          .segment(golden::view_of(picture_), {"mug", {"mug", "simple", {{10, 20, 200, 200}}, {{10, 20, 200, 200}}}});
  ASSERT_EQ(sam3i_results_count(results), 2u);
  for (std::size_t k = 0; k < 2; ++k) {
    sam3i_instances found;
    ASSERT_EQ(sam3i_results_get(results, k, &found), SAM3I_OK);
    EXPECT_EQ(found.route, expected[k].route);
    ASSERT_EQ(found.count, expected[k].size());
    for (std::size_t i = 0; i < found.count; ++i) {
      EXPECT_NEAR(found.scores[i], expected[k].scores[i], 1e-5);
      EXPECT_NEAR(found.boxes[4 * i + 2], expected[k].boxes[i][2], 0.01);
      char* rle = nullptr;
      ASSERT_EQ(sam3i_results_rle(results, k, i, &rle), SAM3I_OK);
      EXPECT_EQ(rle, expected[k].rle(i));
      sam3i_string_free(rle);
    }
    EXPECT_EQ(found.mask_stride, static_cast<std::size_t>(image_.width));
    EXPECT_EQ(found.mask_height, image_.height);
  }
  sam3i_instances none;
  EXPECT_EQ(sam3i_results_get(results, 2, &none), SAM3I_ARGUMENT_ERROR);
  sam3i_results_free(results);
}

TEST_F(CApi, ErrorsAreTold) {
  sam3i_results* results = nullptr;
  const sam3i_prompt wrong = {"mug", "simpel", nullptr, 0, nullptr, 0},
                     empty = {nullptr, nullptr, nullptr, 0, nullptr, 0};
  EXPECT_EQ(sam3i_frame_segment(frame_, &wrong, 1, nullptr, &results), SAM3I_PROMPT_ERROR);
  EXPECT_NE(std::string(sam3i_last_error()).find("Did you mean 'simple'?"), std::string::npos);
  EXPECT_EQ(sam3i_frame_segment(frame_, &empty, 1, nullptr, &results), SAM3I_PROMPT_ERROR);
  sam3i_image none = image_;
  none.width = 0;
  sam3i_frame* frame = nullptr;
  EXPECT_EQ(sam3i_segmenter_encode(segmenter_, &none, &frame), SAM3I_IMAGE_ERROR);
  EXPECT_EQ(sam3i_segmenter_set_threshold(segmenter_, -1), SAM3I_PROMPT_ERROR);
  sam3i_load_options options = options_;
  options.device = "nonsense";
  sam3i_segmenter* other = nullptr;
  EXPECT_EQ(sam3i_segmenter_load(path_.c_str(), &options, &other), SAM3I_UNAVAILABLE);
  EXPECT_EQ(sam3i_segmenter_close(segmenter_), SAM3I_OK);
  const sam3i_prompt mug = {"mug", nullptr, nullptr, 0, nullptr, 0};
  EXPECT_EQ(sam3i_frame_segment(frame_, &mug, 1, nullptr, &results), SAM3I_UNAVAILABLE);
  EXPECT_EQ(results, nullptr);
  EXPECT_EQ(frame, nullptr);
  EXPECT_EQ(other, nullptr);
}

TEST_F(CApi, WhatCannotBeMeantIsRefused) {
  sam3i_results* results = nullptr;
  const sam3i_prompt mug = {"mug", nullptr, nullptr, 0, nullptr, 0};
  const sam3i_prompt no_boxes = {"mug", nullptr, nullptr, 3, nullptr, 0};
  EXPECT_EQ(sam3i_frame_segment(frame_, &no_boxes, 1, nullptr, &results), SAM3I_ARGUMENT_ERROR);
  EXPECT_STREQ(sam3i_last_error(), "A prompt's boxes are NULL, but their count is not 0.");
  sam3i_segment_options masks{};
  ASSERT_EQ(sam3i_default_segment_options(&masks, sizeof masks), SAM3I_OK);
  masks.format = static_cast<sam3i_mask_format>(3);
  EXPECT_EQ(sam3i_frame_segment(frame_, &mug, 1, &masks, &results), SAM3I_ARGUMENT_ERROR);
  EXPECT_STREQ(sam3i_last_error(),
               "The masks' format is 3, their size 0; use the enumerators of sam3i_mask_format and sam3i_mask_size.");
  masks = {};
  EXPECT_EQ(sam3i_frame_segment(frame_, &mug, 1, &masks, &results), SAM3I_ARGUMENT_ERROR);
  EXPECT_STREQ(sam3i_last_error(),
               "The struct_size of the options is 0; begin with sam3i_default_load_options() or "
               "sam3i_default_segment_options().");
  EXPECT_EQ(results, nullptr);
  sam3i_image image = image_;
  image.format = static_cast<sam3i_format>(7);
  sam3i_frame* frame = nullptr;
  EXPECT_EQ(sam3i_segmenter_encode(segmenter_, &image, &frame), SAM3I_IMAGE_ERROR);
  sam3i_segmenter* other = nullptr;
  sam3i_load_options options = options_;
  options.threads = -2;
  EXPECT_EQ(sam3i_segmenter_load(path_.c_str(), &options, &other), SAM3I_UNAVAILABLE);
  options = {};
  EXPECT_EQ(sam3i_segmenter_load(path_.c_str(), &options, &other), SAM3I_ARGUMENT_ERROR);
  EXPECT_EQ(other, nullptr);
}

TEST_F(CApi, Verifies) {
  const auto target = sam3i_edge::detail::open_bundle(path_).manifest.target.runtime;
  options_.runtime = target.c_str();
  const auto built = sam3i_edge::runtimes();
  if (std::find(built.begin(), built.end(), target) == built.end()) options_.runtime = runtime_.c_str();
  int passed = 7;
  char* problem = nullptr;
  ASSERT_EQ(sam3i_verify(path_.c_str(), &options_, &passed, &problem), SAM3I_OK) << sam3i_last_error();
  EXPECT_EQ(passed, 1);
  EXPECT_STREQ(problem, "");
  sam3i_string_free(problem);
  EXPECT_EQ(sam3i_verify("none", nullptr, &passed, nullptr), SAM3I_BUNDLE_ERROR);
  EXPECT_EQ(sam3i_verify(nullptr, nullptr, &passed, nullptr), SAM3I_ARGUMENT_ERROR);
}

TEST(Defaults, AreWrittenIntoAStructOfAnyVersion) {
  struct Longer {
    sam3i_load_options options;
    std::uint64_t later;
  } longer = {{}, 7};
  ASSERT_EQ(sam3i_default_load_options(&longer.options, sizeof longer), SAM3I_OK);
  EXPECT_EQ(longer.options.struct_size, sizeof longer);
  EXPECT_EQ(longer.options.threshold, 0.5);
  EXPECT_EQ(longer.options.threads, -1);
  EXPECT_EQ(longer.later, 0u);
  sam3i_load_options shorter{};
  shorter.threads = 7;
  ASSERT_EQ(sam3i_default_load_options(&shorter, offsetof(sam3i_load_options, threads)), SAM3I_OK);
  EXPECT_EQ(shorter.struct_size, offsetof(sam3i_load_options, threads));
  EXPECT_EQ(shorter.threshold, 0.5);
  EXPECT_EQ(shorter.threads, 7);
  EXPECT_EQ(sam3i_default_load_options(&shorter, 0), SAM3I_ARGUMENT_ERROR);
  EXPECT_EQ(sam3i_default_segment_options(nullptr, 8), SAM3I_ARGUMENT_ERROR);
}

TEST(Messages, AreCutBetweenCharacters) {
  std::string path;
  for (int i = 0; i < 3000; ++i) path += "\u00e9";
  sam3i_segmenter* none = nullptr;
  for (const std::string before : {"", "/"}) {  // one of them ends on the first byte of a character
    ASSERT_EQ(sam3i_segmenter_load((before + path).c_str(), nullptr, &none), SAM3I_BUNDLE_ERROR);
    const std::string message = sam3i_last_error();
    EXPECT_GE(message.size(), 2046u);
    EXPECT_LE(message.size(), 2047u);
    EXPECT_TRUE(sam3i_edge::detail::from_utf8(message).has_value());
  }
}

TEST_F(CApi, WarningsGoWhereTheyAreSent) {
  std::string told;
  const auto keep = [](const char* text, void* data) { *static_cast<std::string*>(data) = text; };
  ASSERT_EQ(sam3i_set_warning_handler(keep, &told), SAM3I_OK);
  std::string text;
  for (int i = 0; i < 40; ++i) text += "mug ";
  const sam3i_prompt prompt = {text.c_str(), nullptr, nullptr, 0, nullptr, 0};
  sam3i_results* results = nullptr;
  const sam3i_segment_options none = {sizeof none, SAM3I_MASK_NONE, SAM3I_MASK_IMAGE};
  ASSERT_EQ(sam3i_segmenter_set_threshold(segmenter_, 1), SAM3I_OK);
  EXPECT_EQ(sam3i_frame_segment(frame_, &prompt, 1, &none, &results), SAM3I_OK);
  ASSERT_EQ(sam3i_set_warning_handler(nullptr, nullptr), SAM3I_OK);
  EXPECT_EQ(told, "The text has 42 tokens; the model reads the first 32.");
  sam3i_results_free(results);
}

TEST_F(CApi, AnOlderCallersStructIsShorter) {
  sam3i_segment_options options{};
  ASSERT_EQ(sam3i_default_segment_options(&options, sizeof options), SAM3I_OK);
  options.format = SAM3I_MASK_BITS;
  options.size = SAM3I_MASK_GRAPH;
  options.struct_size = offsetof(sam3i_segment_options, size);  // knows no `size`: its default stands
  const sam3i_prompt mug = {"mug", nullptr, nullptr, 0, nullptr, 0};
  sam3i_results* results = nullptr;
  ASSERT_EQ(sam3i_frame_segment(frame_, &mug, 1, &options, &results), SAM3I_OK);
  sam3i_instances found;
  ASSERT_EQ(sam3i_results_get(results, 0, &found), SAM3I_OK);
  EXPECT_EQ(found.mask_width, image_.width);
  EXPECT_EQ(found.mask_stride, static_cast<std::size_t>(image_.width + 7) / 8);
  sam3i_results_free(results);
}

}  // namespace
