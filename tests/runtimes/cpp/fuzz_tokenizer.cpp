// Whatever a text holds: it becomes 32 tokens, or is no UTF-8. Normalizing it leaves UTF-8.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "golden.hpp"
#include "normalize.hpp"
#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/segmenter.hpp"
#include "tokenizer.hpp"
#include "unicode.hpp"

using namespace sam3i_edge;
using namespace sam3i_edge::detail;

namespace {

/// The bundle's, or one of bytes without merges where there is no bundle.
Tokenizer make_tokenizer() {
  set_warning_handler({});
  if (golden::folder().empty()) return Tokenizer::from_merges("#version: 0.2\n", 32);
  return Tokenizer::from_file(golden::bundles().front().second / "merges.txt", 32);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Tokenizer tokenizer = make_tokenizer();
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    if (tokenizer.encode(text).size() != 32) std::abort();
  } catch (const PromptError&) {
    return 0;
  }
  const std::string normalized = to_utf8(normalize(*from_utf8(text)));
  if (!from_utf8(normalized)) std::abort();
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds = {"the red mug",     "&amp;lt;&#x41;&hellip",
                                    "\x1b[31mred",     "\xef\xac\x81",
                                    "e\xcc\x81",       "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
                                    "<START_OF_TEXT>", "\xce\xa3\xce\xa3"};
  if (golden::folder().empty()) return seeds;
  const auto texts = golden::read_json(golden::folder() / golden::bundles().front().first / "texts.json");
  for (const auto& line : texts.at("lines")) {
    seeds.push_back(line["text"]);
    if (seeds.size() == 2000) break;
  }
  return seeds;
}
