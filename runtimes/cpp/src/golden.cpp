#include "golden.hpp"

#include <limits>
#include <stdexcept>
#include <utility>

#include "files.hpp"
#include "prompts.hpp"
#include "resize.hpp"
#include "safetensors.hpp"
#include "sam3i_edge/errors.hpp"
#include "schema.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr const char* kExpected[] = {"preprocess/image", "vision/fine",          "vision/middle",    "vision/coarse",
                                     "text/text",        "grounding/presence",   "grounding/logits", "grounding/boxes",
                                     "grounding/masks",  "grounding/query_index"};

Reader boxes_into(std::vector<Box>& boxes) {
  return [&boxes](const Json& value, const std::string& name) {
    read_list(value, name, "Box", [&](const Json& item, const std::string& at) {
      Box& box = boxes.emplace_back();
      read_object(item, at, {{"x0", into(box.x0)}, {"y0", into(box.y0)}, {"x1", into(box.x1)}, {"y1", into(box.y1)}});
    });
  };
}

std::vector<Prompt> read_prompts(const std::string& content) {
  std::vector<Prompt> prompts;
  const Reader prompt = [&](const Json& value, const std::string& name) {
    Prompt& made = prompts.emplace_back("");
    std::string route = to_string(Route::Auto);
    read_object(value, name,
                {{"text", into(made.text)},
                 {"route", into(route), false},
                 {"boxes", boxes_into(made.boxes), false},
                 {"negative_boxes", boxes_into(made.negative_boxes), false}});
    made.route = parse_route(route);
    check(made);
  };
  const auto list = [&](const Json& value, const std::string& name) { read_list(value, name, "Prompt", prompt); };
  read_object(parse_json(content), "", {{"prompts", list}});
  if (prompts.empty()) throw SchemaError("prompts is empty.");
  return prompts;
}

StoredTensor& find(std::map<std::string, StoredTensor>& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw SafetensorsError(name + " is missing");
  return found->second;
}

/// An image of U8, or masks: of as many sides as that.
StoredTensor& find_bytes(std::map<std::string, StoredTensor>& tensors, const std::string& name, std::size_t sides) {
  StoredTensor& found = find(tensors, name);
  if (found.dtype != "U8" || found.shape.size() != sides) {
    throw SafetensorsError(name + " is not U8 with " + std::to_string(sides) + " sides");
  }
  return found;
}

void read_image(StoredTensor& image, Golden& golden) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  if (image.shape[0] > kMost || image.shape[1] > kMost || image.shape[2] != 3) {
    throw SafetensorsError("image is not H x W x 3");
  }
  golden.pixels = std::move(image.bytes);
  golden.height = static_cast<int>(image.shape[0]);
  golden.width = static_cast<int>(image.shape[1]);
  check_image(golden.image());
}

Golden read(const std::filesystem::path& bundle, const GoldenRecord& record) {
  Golden golden;
  check_size("the prompts have", std::filesystem::file_size(bundle / record.prompts));
  golden.prompts = read_prompts(read_file(bundle / record.prompts));
  auto tensors = read_safetensors(read_file(bundle / record.tensors));
  read_image(find_bytes(tensors, "image", 3), golden);
  golden.inside = std::move(find_bytes(tensors, "inside", 2).bytes);
  for (const char* name : kExpected) {
    const auto step = record.steps.find(name);
    if (step == record.steps.end()) throw SafetensorsError("golden.steps." + std::string(name) + " is missing");
    golden.expected[name] = {find(tensors, std::string("expected/") + name).floats(),
                             static_cast<std::size_t>(step->second)};
  }
  const auto size = [&](const char* name) { return golden.expected.at(name).values.size(); };
  const std::size_t prompts = golden.prompts.size(), found = size("grounding/query_index");
  if (found == 0 || found % prompts || size("grounding/logits") != found || size("grounding/presence") != prompts) {
    throw SafetensorsError("there are not as many answers as prompts");
  }
  return golden;
}

}  // namespace

Golden read_golden(const std::filesystem::path& bundle, const GoldenRecord& record) {
  try {
    return read(bundle, record);
  } catch (const std::runtime_error& error) {
    throw BundleError("The golden cases of " + bundle.string() + " cannot be read: " + error.what() +
                      ". Export the bundle again.");
  }
}

}  // namespace sam3i_edge::detail
