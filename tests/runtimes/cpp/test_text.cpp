// Texts become the very tokens, and take the very routes, that the Python side says.
#include <gtest/gtest.h>

#include <ctime>

#include "golden.hpp"
#include "messages.hpp"
#include "normalize.hpp"
#include "route.hpp"
#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/segmenter.hpp"
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

TEST(Messages, WhatActsOnATerminalIsShownAsEscapes) {
  EXPECT_EQ(printable("red\x1b[2J\n\r\t\x07\x7f mug"), "red\\x1b[2J\\n\\r\\t\\x07\\x7f mug");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m \xe2\x80\xae \xe2\x80\xa8 \xf3\xa0\x80\x81"),
            "\\x9b31m \\u202e \\u2028 \\U000e0001");
  EXPECT_EQ(printable("caf\xc3\xa9 \xe6\x97\xa5"), "caf\xc3\xa9 \xe6\x97\xa5");
  EXPECT_EQ(printable("no utf-8: \xe4"), "no utf-8: \\xe4");
  EXPECT_EQ(in_quotes("a\\b's \xe2\x80\xae"), "\"a\\\\b's \\u202e\"");
}

TEST_F(Text, TokensAndRoutesAreThePythonSides) {
  for (const auto& [name, path] : bundles()) {
    const auto tokenizer = Tokenizer::from_file(path / "merges.txt", 32);
    const auto classifier = RouteClassifier::load(path / "route.json");
    const auto lines = read_json(folder() / name / "texts.json").at("lines");
    ASSERT_GE(lines.size(), 5000u);
    std::size_t wrong = 0;
    for (const auto& line : lines) {
      const auto ids = tokenizer.encode(line.at("text").get<std::string>());
      const bool is_right = ids == line.at("ids").get<std::vector<std::int32_t>>();
      wrong += !is_right;
      EXPECT_TRUE(is_right || wrong > 10) << line.at("text").dump();
      EXPECT_EQ(to_string(classifier.route(ids)), line.at("route").get<std::string>());
    }
    EXPECT_EQ(wrong, 0u);
  }
}

TEST_F(Text, TooLongATextIsCutWithAWarning) {
  const auto tokenizer = Tokenizer::from_file(bundles().front().second / "merges.txt", 32);
  std::string warning, text;
  set_warning_handler([&](const std::string& said) { warning = said; });
  for (int i = 0; i < 50; ++i) text += "word ";
  const auto ids = tokenizer.encode(text);
  EXPECT_EQ(warning, "The text has 52 tokens; the model reads the first 32.");
  EXPECT_EQ(ids.size(), 32u);
  EXPECT_EQ(ids.back(), 49407);
}

TEST_F(Text, ALongTextCostsLittle) {
  const auto tokenizer = Tokenizer::from_file(bundles().front().second / "merges.txt", 32);
  const std::size_t length = 100000;
  std::string letters, nested = "&", numbers = "&", marks = "a", lines = "a", warning;
  for (std::size_t i = 0; i < length; ++i) letters += static_cast<char>('a' + i * i * 7919 % 26);
  for (std::size_t i = 0; i < length; i += 4) {
    nested += "amp;";
    numbers += "#38;";
    marks += "\u0301\u0323";
    lines += " \n\x01\n";
  }
  set_warning_handler([&](const std::string& said) { warning = said; });
  for (const std::string& text : {letters, nested + "lt;", numbers + "lt;", marks, lines + "b"}) {
    const std::clock_t start = std::clock();
    EXPECT_EQ(tokenizer.encode(text).size(), 32u);
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 0.5) << text.substr(0, 20);
    EXPECT_FALSE(is_blank(*from_utf8(text)));
  }
  EXPECT_EQ(warning, "The text has more than 32 tokens; the model reads the first 32.");
  EXPECT_EQ(tokenizer.encode(nested + "lt;"), tokenizer.encode("<"));
  EXPECT_EQ(tokenizer.encode(numbers + "lt;"), tokenizer.encode("<"));
  EXPECT_EQ(tokenizer.encode(lines + "b"), tokenizer.encode("a b"));
}

TEST_F(Text, WhatIsNoUtf8IsRefused) {
  const auto tokenizer = Tokenizer::from_file(bundles().front().second / "merges.txt", 32);
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

TEST(Normalize, MojibakeStaysAsItIs) { EXPECT_EQ(to_utf8(normalize(U"fianc\u221a\u00a9")), "fianc\u221a\u00a9"); }

}  // namespace
}  // namespace sam3i_edge::detail
