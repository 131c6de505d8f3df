// The C functions say what the C++ classes say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "bundle.hpp"
#include "golden.hpp"
#include "sam3i_edge.h"
#include "sam3i_edge/segmenter.hpp"
#include "unicode.hpp"

namespace {

sam3i_prompt prompt_of(const char* text, sam3i_route route = SAM3I_AUTO, const sam3i_box* boxes = nullptr,
                       std::size_t count = 0) {
  return {sizeof(sam3i_prompt), text, route, boxes, count, boxes, count};
}

template <typename Struct>
Struct sized() {
  Struct made{};
  made.struct_size = sizeof made;
  return made;
}

class CApi : public golden::Pictured {
 protected:
  void SetUp() override {
    Pictured::SetUp();
    if (IsSkipped()) return;
    image_ = {sizeof image_, picture_.bytes.data(), picture_.shape[1], picture_.shape[0], SAM3I_RGB, 0};
    ASSERT_EQ(sam3i_default_load_options(&load_), SAM3I_OK);
    load_.runtime = options_.runtime.c_str();
    load_.threshold = 0;
    ASSERT_EQ(sam3i_segmenter_load(path_.c_str(), &load_, &segmenter_), SAM3I_OK) << sam3i_last_error();
    ASSERT_EQ(sam3i_segmenter_encode(segmenter_, &image_, &frame_), SAM3I_OK) << sam3i_last_error();
  }
  void TearDown() override {
    sam3i_frame_free(frame_);
    sam3i_segmenter_free(segmenter_);
  }

  sam3i_image image_{};
  sam3i_load_options load_ = sized<sam3i_load_options>();
  sam3i_segmenter* segmenter_ = nullptr;
  sam3i_frame* frame_ = nullptr;
};

TEST_F(CApi, SameInstances) {
  const sam3i_box box = {10, 20, 200, 200};
  const sam3i_prompt prompts[] = {prompt_of("mug"), prompt_of("mug", SAM3I_SIMPLE, &box, 1)};
  sam3i_results* results = nullptr;
  ASSERT_EQ(sam3i_frame_segment(frame_, prompts, 2, nullptr, &results), SAM3I_OK) << sam3i_last_error();
  const auto expected =
      load().segment(view(), {"mug", {"mug", sam3i_edge::Route::Simple, {{10, 20, 200, 200}}, {{10, 20, 200, 200}}}});
  ASSERT_EQ(sam3i_results_count(results), 2u);
  for (std::size_t k = 0; k < 2; ++k) {
    auto found = sized<sam3i_instances>();
    ASSERT_EQ(sam3i_results_get(results, k, &found), SAM3I_OK);
    EXPECT_EQ(static_cast<sam3i_edge::Route>(found.route), expected[k].route);
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
  auto none = sized<sam3i_instances>();
  EXPECT_EQ(sam3i_results_get(results, 2, &none), SAM3I_ARGUMENT_ERROR);
  sam3i_results_free(results);
}

TEST_F(CApi, ThresholdAndDuplicatesAreTheBundlesUnlessGiven) {
  const sam3i_prompt mug = prompt_of("mug");
  const auto count = [&](const sam3i_frame* frame, const sam3i_segment_options* options = nullptr) {
    sam3i_results* results = nullptr;
    auto found = sized<sam3i_instances>();
    EXPECT_EQ(sam3i_frame_segment(frame, &mug, 1, options, &results), SAM3I_OK) << sam3i_last_error();
    EXPECT_EQ(sam3i_results_get(results, 0, &found), SAM3I_OK);
    sam3i_results_free(results);
    return found.count;
  };
  const auto count_loaded = [&] {
    sam3i_segmenter* segmenter = nullptr;
    sam3i_frame* frame = nullptr;
    EXPECT_EQ(sam3i_segmenter_load(path_.c_str(), &load_, &segmenter), SAM3I_OK) << sam3i_last_error();
    EXPECT_EQ(sam3i_segmenter_encode(segmenter, &image_, &frame), SAM3I_OK);
    const std::size_t counted = count(frame);
    sam3i_frame_free(frame);
    sam3i_segmenter_free(segmenter);
    return counted;
  };
  const std::size_t all = count(frame_);
  load_.nms = 0.5;
  const std::size_t distinct = count_loaded();
  EXPECT_GT(distinct, 0u);
  EXPECT_LT(distinct, all);
  load_.struct_size = offsetof(sam3i_load_options, nms);  // of a program that knows nothing of it
  EXPECT_EQ(count_loaded(), all);
  load_ = sized<sam3i_load_options>();
  ASSERT_EQ(sam3i_default_load_options(&load_), SAM3I_OK);
  load_.runtime = options_.runtime.c_str();
  const sam3i_segment_options half = {sizeof half, SAM3I_MASK_NONE, SAM3I_MASK_IMAGE, 0.5};
  EXPECT_EQ(count_loaded(), count(frame_, &half));
}

TEST_F(CApi, ErrorsAreTold) {
  sam3i_results* results = nullptr;
  const sam3i_prompt wrong = prompt_of("mug", static_cast<sam3i_route>(7)), empty = prompt_of(nullptr);
  EXPECT_EQ(sam3i_frame_segment(frame_, &wrong, 1, nullptr, &results), SAM3I_PROMPT_ERROR);
  EXPECT_STREQ(sam3i_last_error(), "The route is 7; use one of its enumerators.");
  EXPECT_EQ(sam3i_frame_segment(frame_, &empty, 1, nullptr, &results), SAM3I_PROMPT_ERROR);
  sam3i_image none = image_;
  none.width = 0;
  sam3i_frame* frame = nullptr;
  EXPECT_EQ(sam3i_segmenter_encode(segmenter_, &none, &frame), SAM3I_IMAGE_ERROR);
  sam3i_load_options options = load_;
  options.device = "nonsense";
  sam3i_segmenter* other = nullptr;
  EXPECT_EQ(sam3i_segmenter_load(path_.c_str(), &options, &other), SAM3I_UNAVAILABLE);
  EXPECT_EQ(sam3i_segmenter_close(segmenter_), SAM3I_OK);
  const sam3i_prompt mug = prompt_of("mug");
  EXPECT_EQ(sam3i_frame_segment(frame_, &mug, 1, nullptr, &results), SAM3I_UNAVAILABLE);
  EXPECT_EQ(results, nullptr);
  EXPECT_EQ(frame, nullptr);
  EXPECT_EQ(other, nullptr);
}

TEST_F(CApi, WhatCannotBeMeantIsRefused) {
  sam3i_results* results = nullptr;
  const sam3i_prompt mug = prompt_of("mug");
  const auto refused = [&](const sam3i_prompt* prompts, std::size_t count, const sam3i_segment_options* options,
                           const std::string& why) {
    EXPECT_EQ(sam3i_frame_segment(frame_, prompts, count, options, &results), SAM3I_ARGUMENT_ERROR);
    EXPECT_EQ(sam3i_last_error(), why);
  };
  sam3i_prompt no_boxes = mug;
  no_boxes.box_count = 3;
  refused(&no_boxes, 1, nullptr, "A prompt's boxes are NULL, but their count is not 0.");
  sam3i_prompt two[] = {mug, mug};
  two[1].struct_size -= 8;
  refused(two, 2, nullptr,
          "Prompt 1 has the struct_size " + std::to_string(sizeof mug - 8) + ", the first has " +
              std::to_string(sizeof mug) + "; set all to sizeof(sam3i_prompt).");
  auto masks = sized<sam3i_segment_options>();
  ASSERT_EQ(sam3i_default_segment_options(&masks), SAM3I_OK);
  EXPECT_EQ(masks.threshold, -1);
  masks.format = static_cast<sam3i_mask_format>(3);
  refused(&mug, 1, &masks,
          "The masks' format is 3, their size 0; use the enumerators of sam3i_mask_format and sam3i_mask_size.");
  for (const std::size_t size : {std::size_t{0}, sizeof(size_t) - 1, std::size_t{4097}}) {
    masks.struct_size = size;
    refused(&mug, 1, &masks,
            "The struct_size of a sam3i_segment_options is " + std::to_string(size) +
                "; set it to sizeof(sam3i_segment_options).");
    EXPECT_EQ(sam3i_default_segment_options(&masks), SAM3I_ARGUMENT_ERROR);
  }
  EXPECT_EQ(results, nullptr);
  sam3i_image image = image_;
  image.format = static_cast<sam3i_format>(7);
  sam3i_frame* frame = nullptr;
  EXPECT_EQ(sam3i_segmenter_encode(segmenter_, &image, &frame), SAM3I_IMAGE_ERROR);
  sam3i_segmenter* other = nullptr;
  sam3i_load_options options = load_;
  options.threads = -2;
  EXPECT_EQ(sam3i_segmenter_load(path_.c_str(), &options, &other), SAM3I_UNAVAILABLE);
  options = load_;
  options.integrity = static_cast<sam3i_integrity>(2);
  EXPECT_EQ(sam3i_segmenter_load(path_.c_str(), &options, &other), SAM3I_ARGUMENT_ERROR);
  EXPECT_STREQ(sam3i_last_error(), "The integrity is 2; use an enumerator of sam3i_integrity.");
  EXPECT_EQ(other, nullptr);
}

TEST_F(CApi, Verifies) {
  const auto target = sam3i_edge::detail::open_bundle(path_).manifest.target.runtime;
  load_.runtime = target.c_str();
  const auto built = sam3i_edge::runtimes();
  if (std::find(built.begin(), built.end(), target) == built.end()) load_.runtime = options_.runtime.c_str();
  int passed = 7;
  char* problem = nullptr;
  ASSERT_EQ(sam3i_verify(path_.c_str(), &load_, &passed, &problem), SAM3I_OK) << sam3i_last_error();
  EXPECT_EQ(passed, 1);
  EXPECT_STREQ(problem, "");
  sam3i_string_free(problem);
  EXPECT_EQ(sam3i_verify("none", nullptr, &passed, nullptr), SAM3I_BUNDLE_ERROR);
  EXPECT_EQ(sam3i_verify(nullptr, nullptr, &passed, nullptr), SAM3I_ARGUMENT_ERROR);
}

TEST(CApiAlone, SaysWhatIsNull) {
  sam3i_segmenter* segmenter = nullptr;
  sam3i_frame* frame = nullptr;
  sam3i_results* results = nullptr;
  const char* device = nullptr;
  char* text = nullptr;
  auto instances = sized<sam3i_instances>();
  EXPECT_STREQ(sam3i_version(), "0.1.0");
  for (const sam3i_status status :
       {sam3i_default_load_options(nullptr), sam3i_segmenter_load(nullptr, nullptr, &segmenter),
        sam3i_segmenter_close(nullptr), sam3i_segmenter_device(nullptr, &device),
        sam3i_segmenter_encode(nullptr, nullptr, &frame), sam3i_frame_segment(nullptr, nullptr, 0, nullptr, &results),
        sam3i_results_get(nullptr, 0, &instances), sam3i_results_rle(nullptr, 0, 0, &text)}) {
    EXPECT_EQ(status, SAM3I_ARGUMENT_ERROR);
  }
  EXPECT_EQ(sam3i_results_count(nullptr), 0u);
  sam3i_segmenter_free(nullptr);
  sam3i_frame_free(nullptr);
  sam3i_results_free(nullptr);
  sam3i_string_free(nullptr);
  auto options = sized<sam3i_load_options>();
  sam3i_default_load_options(&options);
  EXPECT_EQ(options.threshold, -1);
  EXPECT_EQ(options.nms, -1);
  EXPECT_EQ(sam3i_segmenter_load("no such folder", &options, &segmenter), SAM3I_BUNDLE_ERROR);
  EXPECT_NE(std::string(sam3i_last_error()).find("no such folder does not exist"), std::string::npos);
  options.threshold = 2;
  EXPECT_EQ(sam3i_segmenter_load("no such folder", &options, &segmenter), SAM3I_PROMPT_ERROR);
  options.threshold = 0.5;
  options.nms = 0;
  EXPECT_EQ(sam3i_segmenter_load("no such folder", &options, &segmenter), SAM3I_PROMPT_ERROR);
  EXPECT_STREQ(sam3i_last_error(), "nms is 0.0; it must be a number above 0 and at most 1, which suppresses nothing.");
  options.struct_size = offsetof(sam3i_load_options, nms);  // of a program that knows nothing of it
  EXPECT_EQ(sam3i_segmenter_load("no such folder", &options, &segmenter), SAM3I_BUNDLE_ERROR);
  EXPECT_EQ(segmenter, nullptr);
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
  const sam3i_prompt prompt = prompt_of(text.c_str());
  sam3i_results* results = nullptr;
  const sam3i_segment_options none = {sizeof none, SAM3I_MASK_NONE, SAM3I_MASK_IMAGE, 1};
  EXPECT_EQ(sam3i_frame_segment(frame_, &prompt, 1, &none, &results), SAM3I_OK);
  ASSERT_EQ(sam3i_set_warning_handler(nullptr, nullptr), SAM3I_OK);
  EXPECT_EQ(told, "The text has 42 tokens; the model reads the first 32.");
  sam3i_results_free(results);
}

}  // namespace
