// The auto route: which of the three levels a text is, by a linear classifier over hashed token n-grams.
// sam3i_edge/route.py says it in words; it is small integers throughout.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sam3i_edge/route.hpp"

namespace sam3i_edge::detail {

constexpr std::array<Route, 3> kLevels = {Route::Concept, Route::Simple, Route::Complex};  // in the order of the gates

class RouteClassifier {
 public:
  /// Read a route.json, or `content` in place of its bytes. Throws BundleError naming the file and what is wrong with
  /// it.
  static RouteClassifier load(const std::filesystem::path& path,
                              const std::optional<std::string>& content = std::nullopt);
  /// The same of its content. Throws SchemaError.
  static RouteClassifier parse(const std::string& content);

  std::array<std::int64_t, 3> scores(const std::vector<std::int32_t>& tokens) const;
  /// One of `kLevels`, given a text's tokens as the tokenizer makes them.
  Route route(const std::vector<std::int32_t>& tokens) const;

 private:
  std::array<std::vector<std::int8_t>, 3> weights_;
};

}  // namespace sam3i_edge::detail
