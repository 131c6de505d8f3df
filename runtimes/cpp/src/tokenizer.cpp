#include "tokenizer.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>
#include <stdexcept>
#include <tuple>

#include "clean.hpp"
#include "files.hpp"
#include "inflate.hpp"
#include "sam3i_edge/errors.hpp"
#include "unicode.hpp"
#include "warning.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::string_view kStart = "<start_of_text>", kEnd = "<end_of_text>", kEndOfWord = "</w>";
constexpr std::string_view kHeader = "#version: 0.2\n";  // the first line of CLIP's published merges
constexpr std::int32_t kBytes = 256, kFirstMerge = 2 * kBytes;
constexpr std::size_t kMostMergeBytes = 1 << 24;
constexpr std::int64_t kMostWords = 1 << 16;  // the auto route reads an id as two bytes
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

Chain make_chain(const std::string& bytes) {
  Chain chain;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    chain.ids.push_back(byte_table().id_of[static_cast<unsigned char>(bytes[i])]);
    chain.next.push_back(i + 1);
    chain.previous.push_back(i - 1);  // that of the first wraps round, and is never a part
  }
  chain.ids.back() += kBytes;
  return chain;
}

}  // namespace

Tokenizer Tokenizer::from_file(const std::filesystem::path& path, std::size_t context_length) {
  try {
    return from_merges(gunzip(read_file(path), kMostMergeBytes), context_length);
  } catch (const std::runtime_error& error) {
    throw BundleError(path.string() + " is no CLIP tokenizer: " + error.what() + ". Export the bundle anew.");
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
  for (std::int32_t id = kFirstMerge; id < made.start_; ++id) {
    const auto length = text.find('\n');
    const std::string_view line = text.substr(0, length);
    text.remove_prefix(length + 1);
    if (line.empty()) continue;  // a smaller vocabulary leaves it out
    const auto space = std::min(line.find(' '), line.size());
    const auto first = ids.find(std::string(line.substr(0, space)));
    const auto second = ids.find(std::string(line.substr(std::min(space + 1, line.size()))));
    const bool is_known = first != ids.end() && second != ids.end();
    const auto parts = is_known ? key_of(first->second, second->second) : 0;  // both may move when a word is added
    if (!is_known || !ids.emplace(first->first + second->first, id).second) {
      throw std::runtime_error("line " + std::to_string(id - kFirstMerge + 2) +
                               " does not join two words of lines before into a new one");
    }
    made.joined_.emplace(parts, id);
  }
  return made;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  const auto points = from_utf8(text);
  if (!points) throw PromptError("The prompt's text is not valid UTF-8.");
  const std::u32string cleaned = clean(*points);
  std::vector<std::int32_t> ids{start_};
  for (std::u32string_view rest = cleaned; !rest.empty();) {
    const std::size_t length = word_length(rest);
    if (length) append_word(rest.substr(0, length), ids);
    rest.remove_prefix(length ? length : 1);
  }
  ids.push_back(end_);
  if (ids.size() > context_length_) {
    warn("The text has " + std::to_string(ids.size()) + " tokens; the model reads the first " +
         std::to_string(context_length_) + ".");
    ids.resize(context_length_);
    ids.back() = end_;
  }
  ids.resize(context_length_, kPaddingId);
  return ids;
}

void Tokenizer::append_word(std::u32string_view word, std::vector<std::int32_t>& ids) const {
  const std::string bytes = to_utf8(word);
  if (bytes == kStart) return ids.push_back(start_);
  if (bytes == kEnd) return ids.push_back(end_);
  Chain chain = make_chain(bytes);
  const std::size_t count = bytes.size();
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
  for (std::size_t i = 0; i < count; i = chain.next[i]) ids.push_back(chain.ids[i]);
}

}  // namespace sam3i_edge::detail
