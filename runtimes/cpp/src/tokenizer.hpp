// The CLIP tokenizer, reading the merges.txt of a bundle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "normalize.hpp"

namespace sam3i_edge::detail {

/// Also the id of "!" inside a word; the published model treats that as padding too, and so do we.
constexpr std::int32_t kPaddingId = 0;

/// Text to the model's token ids. Nothing of it changes, so threads may share it.
class Tokenizer {
 public:
  /// Of a file, or of `content` in place of its bytes. Throws BundleError where it is no such tokenizer.
  static Tokenizer from_file(const std::filesystem::path& path, std::size_t context_length,
                             const std::optional<std::string>& content = std::nullopt);
  /// CLIP's merges; an empty line is one that was left out. Throws std::runtime_error, saying what is wrong.
  static Tokenizer from_merges(std::string_view text, std::size_t context_length);

  /// `text`, which is UTF-8, as `context_length` ids: start, words, end, then zeros. Too long a text loses its end,
  /// with a warning; however long it is, only the beginning that decides its ids is read. Throws PromptError where it
  /// is no UTF-8.
  std::vector<std::int32_t> encode(std::string_view text) const;
  std::vector<std::int32_t> encode(std::u32string_view text) const;

 private:
  using Ids = std::vector<std::int32_t>;
  std::optional<Ids> ids_of(const Head& head) const;
  std::size_t count(const Head& head) const;
  std::optional<Ids> first_ids(const std::string& word, std::size_t most, bool is_whole) const;
  Ids ids_of_word(const std::string& word) const;
  Ids join(std::string_view word, bool is_end) const;

  std::unordered_map<std::uint64_t, std::int32_t> joined_;  // the id of a pair of ids; the lower, the sooner joined
  std::size_t context_length_ = 0, longest_ = 1;            // `longest_`: bytes of the longest word
  std::int32_t start_ = 0, end_ = 0;
};

}  // namespace sam3i_edge::detail
