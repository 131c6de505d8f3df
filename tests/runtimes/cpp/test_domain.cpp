// What a model was trained on: it says of words and images, once, that it has never seen the like.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "domain.hpp"
#include "sam3i_edge/segmenter.hpp"
#include "schema.hpp"

namespace sam3i_edge::detail {
namespace {

using Words = std::vector<std::string>;

class Advice : public testing::Test {
 protected:
  void SetUp() override {
    set_warning_handler([this](const std::string& text) { told_.push_back(text); });
  }
  void TearDown() override { set_warning_handler({}); }

  static Domain domain() { return {"trained on mugs", {"mug"}, {"left", "mug", "the"}, {}}; }

  Words told_;
};

TEST_F(Advice, WordsAreOfPiecesInAsciiAlone) {
  const Words expected = {"the", "mug", "on", "shirt", "the", "mug"};
  EXPECT_EQ(words_of("The mug's on a T-shirt, the\tMUG 3x; \u201cmug\u201d caf\u00e9 \u00e9lan"), expected);
  EXPECT_EQ(words_of(""), Words{});
}

TEST_F(Advice, AnUnknownWordIsToldOnce) {
  DomainAdvice advice(domain());
  for (const char* text : {"the mug", "the elephant", "An elephant left"}) advice.on_text(text);
  const Words expected = {
      "The word 'elephant' is in none of the texts that this model was trained on (trained on mugs).",
      "The word 'an' is in none of the texts that this model was trained on (trained on mugs)."};
  EXPECT_EQ(told_, expected);
}

TEST_F(Advice, NotMoreThanAHundredWords) {
  DomainAdvice advice(domain());
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) advice.on_text({'x', a, b});
  }
  EXPECT_EQ(told_.size(), 100u);
}

TEST_F(Advice, AnUnlikeImageIsToldOfOnce) {
  Domain known = domain();
  known.features = {{3.0, 3.0}, {51.0f, -49.0f, -49.0f, 51.0f}, 3.5};  // two channels that vary together
  DomainAdvice advice(known);
  const auto see = [&](float first, float second) {
    const float coarse[] = {first - 1, first + 1, second, second};
    advice.on_image(coarse, 2, 2);
  };
  see(3, 3);
  see(4.5f, 4.5f);
  EXPECT_EQ(told_, Words{});
  see(2, 4);
  see(30, 30);
  EXPECT_EQ(told_, Words{"The image is unlike those that this model was trained on (trained on mugs)."});
}

TEST_F(Advice, NothingIsToldWithoutADomain) {
  DomainAdvice advice({});
  const float coarse[] = {99, 99};
  advice.on_text("the elephant");
  advice.on_image(coarse, 2, 1);
  DomainAdvice(domain()).on_image(coarse, 2, 1);  // nothing is known of its images
  EXPECT_EQ(told_, Words{});
}

TEST_F(Advice, TheMatrixFitsTheMean) {
  EXPECT_EQ(decode_precision("AABAQA==", {1.0}), std::vector<float>{3.0f});
  for (const char* wrong : {"AABAQA", "AAAAAAAAAAA=", "AABA", "!ABAQA=="}) {
    EXPECT_THROW(decode_precision(wrong, {1.0}), SchemaError) << wrong;
  }
  EXPECT_THROW(decode_precision("", {}), SchemaError);
}

}  // namespace
}  // namespace sam3i_edge::detail
