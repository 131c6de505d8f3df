// The CLIP tokenizer, reading the merges.txt.gz of a bundle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sam3i_edge::detail {

/// Also the id of "!" inside a word; the published model treats that as padding too, and so do we.
constexpr std::int32_t kPaddingId = 0;

/// Text to the model's token ids. Nothing of it changes, so threads may share it.
class Tokenizer {
 public:
  /// Throws BundleError where the file is no such tokenizer.
  static Tokenizer from_file(const std::filesystem::path& path, std::size_t context_length);
  /// CLIP's merges, uncompressed; an empty line is one that was left out. Throws std::runtime_error, saying what is wrong.
  static Tokenizer from_merges(std::string_view text, std::size_t context_length);

  /// `text`, which is UTF-8, as `context_length` ids: start, words, end, then zeros. Too long a text loses its end,
  /// with a warning. Throws PromptError where it is no UTF-8.
  std::vector<std::int32_t> encode(std::string_view text) const;

 private:
  void append_word(std::u32string_view word, std::vector<std::int32_t>& ids) const;

  std::unordered_map<std::uint64_t, std::int32_t> joined_;  // the id of a pair of ids; the lower, the sooner it is joined
  std::size_t context_length_ = 0;
  std::int32_t start_ = 0, end_ = 0;
};

}  // namespace sam3i_edge::detail
