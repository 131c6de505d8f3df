#include "external_data.hpp"

#include <cstdint>
#include <map>
#include <stdexcept>

namespace sam3i_edge::detail {
namespace {

/// The key of an entry that names a file. In an ONNX file without these letters no tensor lies elsewhere.
constexpr std::string_view kLocation = "location";
/// An operator whose node may name a file with a graph that was compiled elsewhere.
constexpr std::string_view kCachedGraph = "EPContext";
constexpr int kMostNested = 64;

enum class Message { model, training, function, graph, node, attribute, sparse, tensor, entry };

/// onnx.proto: where tensors are, by message and field number.
const std::map<Message, std::map<std::uint64_t, Message>> kInside = {
    {Message::model, {{7, Message::graph}, {20, Message::training}, {25, Message::function}}},
    {Message::training, {{1, Message::graph}, {2, Message::graph}}},
    {Message::function, {{7, Message::node}, {11, Message::attribute}}},
    {Message::graph, {{1, Message::node}, {5, Message::tensor}, {15, Message::sparse}}},
    {Message::node, {{5, Message::attribute}}},
    {Message::attribute,
     {{5, Message::tensor},
      {6, Message::graph},
      {10, Message::tensor},
      {11, Message::graph},
      {22, Message::sparse},
      {23, Message::sparse}}},
    {Message::sparse, {{1, Message::tensor}, {2, Message::tensor}}},
    {Message::tensor, {{13, Message::entry}}}};

/// The fields of a protobuf message that have a length; the others are stepped over.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  bool next() {
    while (!rest_.empty()) {
      const std::uint64_t tag = varint(), kind = tag & 7;
      if (kind == 0) {
        varint();
      } else if (kind == 1 || kind == 5) {
        take(kind == 1 ? 8 : 4);
      } else if (kind == 2) {
        number = (tag & 0xFFFFFFFF) >> 3;  // as protobuf reads it
        value = take(varint());
        return true;
      } else {
        throw std::runtime_error("it is not ONNX");
      }
    }
    return false;
  }

  std::uint64_t number = 0;
  std::string_view value;

 private:
  std::uint64_t varint() {
    std::uint64_t made = 0;
    for (std::size_t i = 0; i < 10; ++i) {
      if (i >= rest_.size()) throw std::runtime_error("it is cut short");
      const auto byte = static_cast<unsigned char>(rest_[i]);
      made |= static_cast<std::uint64_t>(byte & 0x7F) << 7 * i;
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return made;
      }
    }
    throw std::runtime_error("it is not ONNX");
  }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) throw std::runtime_error("it is cut short");
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
};

void read_entry(std::string_view entry, std::set<std::string>& found) {
  bool is_location = false;
  std::set<std::string> values;
  for (Fields fields(entry); fields.next();) {
    if (fields.number == 1) is_location |= fields.value == kLocation;
    if (fields.number == 2) values.emplace(fields.value);
  }
  if (is_location) found.merge(values);
}

void walk(std::string_view content, Message message, std::set<std::string>& found, int depth) {
  if (depth > kMostNested) throw std::runtime_error("it is nested too deep");
  const auto& inside = kInside.at(message);
  for (Fields fields(content); fields.next();) {
    const auto inner = inside.find(fields.number);
    if (inner == inside.end()) continue;
    if (inner->second == Message::entry) {
      read_entry(fields.value, found);
    } else {
      walk(fields.value, inner->second, found, depth + 1);
    }
  }
}

}  // namespace

std::set<std::string> named_files(std::string_view content) {
  if (content.find(kCachedGraph) != content.npos) {
    throw std::runtime_error("it holds an " + std::string(kCachedGraph) + ", a graph in another file");
  }
  std::set<std::string> found;
  if (content.find(kLocation) != content.npos) walk(content, Message::model, found, 0);
  return found;
}

}  // namespace sam3i_edge::detail
