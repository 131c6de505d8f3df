// Stands in for libFuzzer where the compiler has none: changes seeds at random, keeps nothing, follows no coverage.
//     fuzz_manifest -max_total_time=SECONDS [-seed=NUMBER]
// The seconds are the processor's, so that a busy machine tests no less.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
std::vector<std::string> fuzz_seeds();  // each target has some

namespace {

std::mt19937_64 rng;

constexpr char kOdd[] = "{}[]\",:&#;<>0-.eE\\u\xff\xf0";

std::size_t below(std::size_t most) { return most ? rng() % most : 0; }

/// One change: a byte, a run taken out, doubled, or copied from another seed.
void change(std::string& text, const std::string& other) {
  const std::size_t at = below(text.size() + 1), length = below(1 + below(64));
  switch (below(5)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(rng());
      break;
    case 1:
      text.erase(at, length);
      break;
    case 2:
      text.insert(at, text.substr(below(text.size() + 1), length));
      break;
    case 3:
      text.insert(at, other.substr(below(other.size() + 1), length));
      break;
    default:
      text.insert(at, 1 + below(40), kOdd[below(sizeof kOdd)]);
  }
}

long option(int argc, char** argv, const char* name, long otherwise) {
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], name, std::strlen(name)) == 0) return std::atol(argv[i] + std::strlen(name));
  }
  return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  rng.seed(static_cast<std::uint64_t>(option(argc, argv, "-seed=", 1)));
  const long most = option(argc, argv, "-max_total_time=", 5);
  const std::vector<std::string> seeds = fuzz_seeds();
  long runs = 0;
  const auto seconds = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  for (; seconds() < static_cast<double>(most); ++runs) {
    std::string text = seeds[below(seeds.size())];
    for (std::size_t changes = below(8); changes > 0; --changes) change(text, seeds[below(seeds.size())]);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  }
  std::printf("%ld inputs in %.0f seconds of processor time\n", runs, seconds());
}
