// The auto route: which of the three levels a text is, by a linear classifier over hashed token n-grams.
// sam3i_edge/route.py says it in words; it is small integers throughout.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sam3i_edge::detail {

inline const std::array<std::string, 3> kRoutes = {"concept", "simple", "complex"};  // in the order of the gates
inline const std::string kAuto = "auto";

class RouteClassifier {
 public:
  /// Read a route.json. Throws BundleError naming the file and what is wrong with it.
  static RouteClassifier load(const std::filesystem::path& path);
  /// The same of its content. Throws SchemaError.
  static RouteClassifier parse(const std::string& content);

  std::array<std::int64_t, 3> scores(const std::vector<std::int32_t>& tokens) const;
  /// One of `kRoutes`, given a text's tokens as the tokenizer makes them.
  const std::string& route(const std::vector<std::int32_t>& tokens) const;

 private:
  std::array<std::vector<std::int8_t>, 3> weights_;
};

}  // namespace sam3i_edge::detail
