#include "route.hpp"

#include <algorithm>
#include <map>

#include "base64.hpp"
#include "files.hpp"
#include "messages.hpp"
#include "sam3i_edge/errors.hpp"
#include "schema.hpp"

namespace sam3i_edge {

const char* to_string(Route route) {
  switch (route) {
    case Route::Concept:
      return "concept";
    case Route::Simple:
      return "simple";
    case Route::Complex:
      return "complex";
    default:
      return "auto";
  }
}

Route parse_route(std::string_view name) {
  std::vector<std::string> known;
  for (const Route route : {Route::Concept, Route::Simple, Route::Complex, Route::Auto}) {
    if (name == to_string(route)) return route;
    known.push_back(to_string(route));
  }
  throw PromptError(detail::unknown_name("route", name, known));
}

namespace detail {
namespace {

constexpr const char* kFormat = "sam3i-edge-route";
constexpr std::int64_t kFormatVersion = 1;
constexpr std::uint32_t kOffset = 2166136261u, kPrime = 16777619u;  // FNV-1a
constexpr std::size_t kMostOrder = 3, kMostBuckets = 1 << 16;

std::uint32_t add_byte(std::uint32_t hash, std::uint32_t byte) { return (hash ^ byte) * kPrime; }

/// The weights of the three routes, in their order. The order of the keys in the file is not looked at.
std::map<std::string, std::string> read_weights(const std::string& content) {
  std::string format, note;
  std::int64_t version = 0;
  std::map<std::string, std::string> weights;
  read_object(
      parse_json(content), "",
      {{"format", into(format)}, {"format_version", into(version)}, {"note", into(note)}, {"weights", into(weights)}});
  if (format != kFormat || version != kFormatVersion) {
    throw SchemaError("format is " + in_quotes(format) + ", version " + std::to_string(version) + "; expected '" +
                      kFormat + "', 1.");
  }
  bool fits = weights.size() == kLevels.size();
  for (const Route route : kLevels) fits = fits && weights.count(to_string(route));
  if (!fits) throw SchemaError("weights are not those of concept, simple, complex.");
  return weights;
}

}  // namespace

RouteClassifier RouteClassifier::load(const std::filesystem::path& path, const std::optional<std::string>& content) {
  try {
    return parse(content ? *content : read_file(path));
  } catch (const std::runtime_error& error) {
    throw BundleError(path.string() + " is no auto route: " + error.what() + " Export the bundle again.");
  }
}

RouteClassifier RouteClassifier::parse(const std::string& content) {
  const auto texts = read_weights(content);
  RouteClassifier classifier;
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    const std::string name = to_string(kLevels[i]);
    const auto bytes = decode_base64(texts.at(name), "weights." + name);
    classifier.weights_[i].assign(bytes.begin(), bytes.end());
  }
  const std::size_t count = classifier.weights_[0].size();
  for (const auto& row : classifier.weights_) {
    if (row.size() != count || count < 2 || count > kMostBuckets || count & (count - 1)) {
      throw SchemaError("weights have " + std::to_string(row.size()) +
                        " bytes; expected 2, 4, 8 ... or 65536 for each route.");
    }
  }
  return classifier;
}

std::array<std::int64_t, 3> RouteClassifier::scores(const std::vector<std::int32_t>& tokens) const {
  const auto end = std::max_element(tokens.begin(), tokens.end());  // the first end token: it has the largest id
  const std::vector<std::int32_t> ids(tokens.begin(), tokens.empty() ? tokens.end() : end + 1);
  const std::uint32_t mask = static_cast<std::uint32_t>(weights_[0].size()) - 1;
  std::array<std::int64_t, 3> sums{};
  const auto add = [&](std::uint32_t hash) {
    const std::uint32_t bucket = (hash ^ hash >> 16) & mask;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += weights_[i][bucket];
  };
  for (std::size_t start = 0; start < ids.size(); ++start) {
    std::uint32_t hash = kOffset;
    for (std::size_t order = 0; order < kMostOrder && start + order < ids.size(); ++order) {
      const auto id = static_cast<std::uint32_t>(ids[start + order]);
      hash = add_byte(add_byte(hash, id & 0xFF), id >> 8);
      add(hash);
    }
  }
  add(add_byte(kOffset, static_cast<std::uint32_t>(ids.size()) & 0xFF));
  return sums;
}

Route RouteClassifier::route(const std::vector<std::int32_t>& tokens) const {
  const auto sums = scores(tokens);
  return kLevels[static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin())];
}

}  // namespace detail
}  // namespace sam3i_edge
