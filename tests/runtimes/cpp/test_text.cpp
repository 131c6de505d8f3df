// Texts become the very tokens, and take the very routes, that the Python side says.
#include <gtest/gtest.h>

#include "clean.hpp"
#include "golden.hpp"
#include "messages.hpp"
#include "route.hpp"
#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/segmenter.hpp"
#include "sha256.hpp"
#include "tokenizer.hpp"
#include "unicode.hpp"

namespace sam3i_edge::detail {
namespace {

using golden::bundles;
using golden::folder;
using golden::read_json;

class Text : public golden::Golden {
 protected:
  void SetUp() override {
    Golden::SetUp();
    set_warning_handler({});
  }
  void TearDown() override { set_warning_handler({}); }
};

TEST_F(Text, TokensAndRoutesAreThePythonSides) {
  for (const auto& [name, path] : bundles()) {
    const auto tokenizer = Tokenizer::from_file(path / "merges.txt.gz", 32);
    const auto classifier = RouteClassifier::load(path / "route.json");
    const auto lines = read_json(folder() / name / "texts.json").at("lines");
    ASSERT_GE(lines.size(), 5000u);
    std::size_t wrong = 0;
    for (const auto& line : lines) {
      const auto ids = tokenizer.encode(line.at("text").get<std::string>());
      const bool is_right = ids == line.at("ids").get<std::vector<std::int32_t>>();
      wrong += !is_right;
      EXPECT_TRUE(is_right || wrong > 10) << line.at("text").dump();
      EXPECT_EQ(classifier.route(ids), line.at("route").get<std::string>());
    }
    EXPECT_EQ(wrong, 0u);
  }
}

TEST_F(Text, TooLongATextIsCutWithAWarning) {
  const auto tokenizer = Tokenizer::from_file(bundles().front().second / "merges.txt.gz", 32);
  std::string warning, text;
  set_warning_handler([&](const std::string& said) { warning = said; });
  for (int i = 0; i < 50; ++i) text += "word ";
  const auto ids = tokenizer.encode(text);
  EXPECT_EQ(warning, "The text has 52 tokens; the model reads the first 32.");
  EXPECT_EQ(ids.size(), 32u);
  EXPECT_EQ(ids.back(), 49407);
}

TEST_F(Text, WhatIsNoUtf8IsRefused) {
  const auto tokenizer = Tokenizer::from_file(bundles().front().second / "merges.txt.gz", 32);
  for (const char* text :
       {"\xff", "\xc3", "a\xe2\x82", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_THROW(tokenizer.encode(text), PromptError) << text;
  }
}

TEST_F(Text, WordsOfMessages) {
  const auto words = read_json(folder() / "words.json");
  for (const auto& pair : words.at("numbers")) EXPECT_EQ(shown(pair[0].get<double>()), pair[1].get<std::string>());
  for (const auto& pair : words.at("names")) {
    EXPECT_EQ(unknown_name("route", pair[0].get<std::string>(), {"concept", "simple", "complex", "auto"}),
              pair[1].get<std::string>());
  }
  std::size_t number = 0;
  for (const auto& hash : words.at("hashes")) {
    EXPECT_EQ(sha256_of(folder() / ("hash" + std::to_string(number++))), hash.get<std::string>());
  }
  EXPECT_EQ(number, 8u);
}

TEST(Sha256, WithAndWithoutTheProcessorsInstructions) {
  std::string content;
  for (int i = 0; i < 1000; ++i) {
    Sha256 fast, plain(false);
    fast.update(content.data(), content.size() / 3);
    fast.update(content.data() + content.size() / 3, content.size() - content.size() / 3);
    plain.update(content.data(), content.size());
    ASSERT_EQ(fast.hex(), plain.hex()) << i;
    content += static_cast<char>(i * 37);
  }
}

TEST(Unicode, Utf8AndBack) {
  std::string text = "a\u00e9\u20ac\U0001f600";
  text += '\0';
  EXPECT_EQ(to_utf8(*from_utf8(text)), text);
}

TEST(Unicode, HangulAndMarksAreComposed) {
  EXPECT_EQ(nfc(U"\u1112\u1161\u11ab"), U"\ud55c");
  EXPECT_EQ(nfc(U"a\u0323\u0302"), nfc(U"a\u0302\u0323"));
  EXPECT_EQ(nfc(U"\u0958"), U"\u0915\u093c");  // left apart by Unicode's own rule
}

TEST(Clean, MojibakeStaysAsItIs) { EXPECT_EQ(to_utf8(clean(U"fianc\u221a\u00a9")), "fianc\u221a\u00a9"); }

TEST(Tokenizer, OtherFilesAreRefused) {
  for (const char* content : {"", "{}", "#version: 0.2", "#version: 0.1\n", "#version: 0.2\na\n", "#version: 0.2\na \n",
                              "#version: 0.2\na b\na b\n", "#version: 0.2\nab c\n", "#version: 0.2\na b\n\xff b\n"}) {
    EXPECT_ANY_THROW(Tokenizer::from_merges(content, 32)) << content;
  }
}

}  // namespace
}  // namespace sam3i_edge::detail
