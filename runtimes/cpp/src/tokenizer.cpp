#include "tokenizer.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>
#include <set>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "files.hpp"
#include "sam3i_edge/errors.hpp"
#include "unicode.hpp"
#include "warning.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::string_view kStart = "<start_of_text>", kEnd = "<end_of_text>", kEndOfWord = "</w>";
constexpr std::string_view kHeader = "#version: 0.2\n";  // the first line of CLIP's published merges
constexpr std::int32_t kBytes = 256, kFirstMerge = 2 * kBytes;
constexpr std::int64_t kMostWords = 1 << 16;  // the auto route reads an id as two bytes
constexpr std::size_t kCountedLength = 1024;  // characters of the longest text whose tokens are counted for a warning
constexpr std::uint64_t key_of(std::int32_t first, std::int32_t second) {
  return static_cast<std::uint64_t>(first) << 32 | static_cast<std::uint32_t>(second);
}

/// GPT-2's table: the bytes that print stand for themselves and come first, the others for the characters from 256 on.
struct ByteTable {
  std::array<std::int32_t, kBytes> id_of{};
  std::array<char32_t, kBytes> character_of{};  // by id
};

ByteTable make_byte_table() {
  ByteTable table;
  const auto prints = [](int byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
  };
  std::int32_t id = 0;
  char32_t stand_in = 256;
  for (const bool printing : {true, false}) {
    for (int byte = 0; byte < kBytes; ++byte) {
      if (prints(byte) != printing) continue;
      table.character_of[static_cast<std::size_t>(id)] = printing ? static_cast<char32_t>(byte) : stand_in++;
      table.id_of[static_cast<std::size_t>(byte)] = id++;
    }
  }
  return table;
}

const ByteTable& byte_table() {
  static const ByteTable table = make_byte_table();
  return table;
}

/// The ids of the words that need no merge.
std::unordered_map<std::string, std::int32_t> ids_of_bytes() {
  std::unordered_map<std::string, std::int32_t> ids;
  for (std::int32_t id = 0; id < kFirstMerge; ++id) {
    std::string word;
    append_utf8(word, byte_table().character_of[static_cast<std::size_t>(id % kBytes)]);
    ids.emplace(id < kBytes ? word : word.append(kEndOfWord), id);
  }
  return ids;
}

bool is_same_letter(char32_t point, char pattern) {
  return point == static_cast<char32_t>(pattern) || (pattern == 's' && point == 0x17F);  // the long s; no other folds
}

bool begins_with(std::u32string_view text, std::string_view pattern) {
  if (text.size() < pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_same_letter(text[i], pattern[i])) return false;
  }
  return true;
}

std::size_t run_of(std::u32string_view text, bool (*is_member)(char32_t)) {
  std::size_t length = 0;
  while (length < text.size() && is_member(text[length])) ++length;
  return length;
}

/// The length of the word that lower-case `text` begins with; 0 where none begins.
std::size_t word_length(std::u32string_view text) {
  for (const std::string_view fixed :
       {kStart, kEnd, std::string_view("'s"), std::string_view("'t"), std::string_view("'re"), std::string_view("'ve"),
        std::string_view("'m"), std::string_view("'ll"), std::string_view("'d")}) {
    if (begins_with(text, fixed)) return fixed.size();
  }
  if (const std::size_t letters = run_of(text, is_letter)) return letters;
  if (is_number(text[0])) return 1;
  return run_of(text, is_other);
}

/// The parts of a word in a chain, so that joining two of them moves nothing.
struct Chain {
  std::vector<std::int32_t> ids;  // -1: joined into the part before
  std::vector<std::size_t> next, previous;
};

Chain make_chain(std::string_view bytes, bool is_end) {
  Chain chain;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    chain.ids.push_back(byte_table().id_of[static_cast<unsigned char>(bytes[i])]);
    chain.next.push_back(i + 1);
    chain.previous.push_back(i - 1);  // that of the first wraps round, and is never a part
  }
  if (is_end) chain.ids.back() += kBytes;
  return chain;
}

}  // namespace

Tokenizer Tokenizer::from_file(const std::filesystem::path& path, std::size_t context_length,
                               const std::optional<std::string>& content) {
  try {
    return from_merges(content ? *content : read_file(path), context_length);
  } catch (const std::runtime_error& error) {
    throw BundleError(path.string() + " is no CLIP tokenizer: " + error.what() + ". Export the bundle again.");
  }
}

Tokenizer Tokenizer::from_merges(std::string_view text, std::size_t context_length) {
  if (text.substr(0, kHeader.size()) != kHeader || text.back() != '\n') {
    throw std::runtime_error("it does not begin with '#version: 0.2' and end with a line");
  }
  text.remove_prefix(kHeader.size());
  const auto words = kFirstMerge + std::count(text.begin(), text.end(), '\n') + 2;
  if (words > kMostWords) throw std::runtime_error("it has " + std::to_string(words) + " words, more than 65536");
  Tokenizer made;
  made.context_length_ = context_length;
  made.start_ = static_cast<std::int32_t>(words) - 2;
  made.end_ = made.start_ + 1;
  auto ids = ids_of_bytes();
  ids.emplace(kStart, made.start_);
  ids.emplace(kEnd, made.end_);
  std::vector<std::size_t> lengths(static_cast<std::size_t>(words), 1);  // of each word, in bytes
  for (std::int32_t id = kFirstMerge; id < made.start_; ++id) {
    const auto length = text.find('\n');
    const std::string_view line = text.substr(0, length);
    text.remove_prefix(length + 1);
    if (line.empty()) continue;  // a smaller vocabulary leaves it out
    const auto space = std::min(line.find(' '), line.size());
    const auto first = ids.find(std::string(line.substr(0, space)));
    const auto second = ids.find(std::string(line.substr(std::min(space + 1, line.size()))));
    const bool is_known = first != ids.end() && second != ids.end();
    const auto one = is_known ? first->second : 0, other = is_known ? second->second : 0;
    if (!is_known || !ids.emplace(first->first + second->first, id).second) {  // both may move when a word is added
      throw std::runtime_error("line " + std::to_string(id - kFirstMerge + 2) +
                               " does not join two words of lines before into a new one");
    }
    made.joined_.emplace(key_of(one, other), id);
    std::size_t& own = lengths[static_cast<std::size_t>(id)];
    own = lengths[static_cast<std::size_t>(one)] + lengths[static_cast<std::size_t>(other)];
    made.longest_ = std::max(made.longest_, own);
  }
  return made;
}

Tokenizer::Ids Tokenizer::encode(std::string_view text) const {
  const auto points = from_utf8(text);
  if (!points) throw PromptError("The prompt's text is not valid UTF-8.");
  return encode(*points);
}

Tokenizer::Ids Tokenizer::encode(std::u32string_view text) const {
  Ids ids;
  read_heads(text, [&](const Head& head) {
    auto found = ids_of(head);
    if (!found) return false;
    ids = std::move(*found);
    if (ids.size() + 1 > context_length_) {
      const bool is_counted = head.is_whole && head.text.size() <= kCountedLength;
      warn("The text has " + (is_counted ? "" : "more than " + std::to_string(context_length_)) +
           (is_counted ? std::to_string(count(head)) : "") + " tokens; the model reads the first " +
           std::to_string(context_length_) + ".");
      ids.resize(context_length_ - 1);
    }
    return true;
  });
  ids.push_back(end_);
  ids.resize(context_length_, kPaddingId);
  return ids;
}

/// The ids of the text that begins so, with the start token: one more than there is room for where it is too long.
/// Nothing if what follows may still decide them.
std::optional<Tokenizer::Ids> Tokenizer::ids_of(const Head& head) const {
  Ids ids{start_};
  const std::u32string_view text = head.text;
  const std::size_t untrusted = head.is_whole ? 0 : kStart.size();  // a fixed word may begin there
  for (std::size_t at = 0; at < text.size();) {
    if (ids.size() >= context_length_) break;
    if (at + untrusted >= text.size()) return std::nullopt;
    const std::size_t length = word_length(text.substr(at));
    if (length) {
      const bool is_whole = head.is_whole || at + length < text.size();
      const auto found = first_ids(to_utf8(text.substr(at, length)), context_length_ - ids.size(), is_whole);
      if (!found) return std::nullopt;
      ids.insert(ids.end(), found->begin(), found->end());
    }
    at += std::max<std::size_t>(length, 1);
  }
  if (ids.size() < context_length_ && !head.is_whole) return std::nullopt;
  return ids;
}

/// The number of a whole text's tokens.
std::size_t Tokenizer::count(const Head& head) const {
  std::size_t tokens = 2;
  for (std::u32string_view rest = head.text; !rest.empty();) {
    const std::size_t length = word_length(rest);
    if (length) tokens += ids_of_word(to_utf8(rest.substr(0, length))).size();
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return tokens;
}

/// The first `most` ids of a word, and perhaps more; nothing if it goes on, and that may still decide them.
///
/// Wherever a word is cut, a word of the vocabulary begins at most `longest_` bytes before and reaches beyond, and what
/// stands before that one is joined as if it stood alone. So where all ends within reach agree on the first ids,
/// nothing behind can change them.
std::optional<Tokenizer::Ids> Tokenizer::first_ids(const std::string& word, std::size_t most, bool is_whole) const {
  if (is_whole && word.size() <= kCountedLength) return ids_of_word(word);
  for (std::size_t reach = 4 * longest_; reach < word.size(); reach *= 2) {
    std::set<Ids> found;
    for (std::size_t end = reach - longest_ + 1; end <= reach && found.size() < 2; ++end) {
      Ids ids = join(std::string_view(word).substr(0, end), false);
      ids.resize(std::min(ids.size(), most));
      found.insert(std::move(ids));
    }
    if (found.size() == 1 && found.begin()->size() == most) return *found.begin();
  }
  if (!is_whole) return std::nullopt;
  return join(word, true);
}

Tokenizer::Ids Tokenizer::ids_of_word(const std::string& word) const {
  if (word == kStart) return {start_};
  if (word == kEnd) return {end_};
  return join(word, true);
}

/// The ids of a word, or of its beginning.
Tokenizer::Ids Tokenizer::join(std::string_view word, bool is_end) const {
  Chain chain = make_chain(word, is_end);
  const std::size_t count = word.size();
  // Of all known pairs the one of the best rank is joined first, of equal ones the leftmost. A pair that a join brings
  // about always ranks behind it: a word comes after its parts.
  using Candidate = std::tuple<std::int32_t, std::size_t, std::uint64_t>;  // joined, place, and the pair that it was
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](std::size_t at) {
    if (at >= count || chain.next[at] >= count) return;
    const std::uint64_t pair = key_of(chain.ids[at], chain.ids[chain.next[at]]);
    if (const auto known = joined_.find(pair); known != joined_.end()) candidates.emplace(known->second, at, pair);
  };
  for (std::size_t i = 0; i < count; ++i) consider(i);
  while (!candidates.empty()) {
    const auto [joined, at, pair] = candidates.top();
    candidates.pop();
    const std::size_t second = chain.next[at];
    if (chain.ids[at] < 0 || second >= count || key_of(chain.ids[at], chain.ids[second]) != pair) continue;  // outdated
    chain.ids[at] = joined;
    chain.ids[second] = -1;
    chain.next[at] = chain.next[second];
    if (chain.next[at] < count) chain.previous[chain.next[at]] = at;
    consider(chain.previous[at]);
    consider(at);
  }
  Ids ids;
  for (std::size_t i = 0; i < count; i = chain.next[i]) ids.push_back(chain.ids[i]);
  return ids;
}

}  // namespace sam3i_edge::detail
