#include "recorded.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "files.hpp"
#include "npz.hpp"
#include "prompts.hpp"
#include "resize.hpp"
#include "sam3i_edge/errors.hpp"
#include "schema.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kMostValues = std::size_t{1} << 14;
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
    read_object(value, name,
                {{"text", into(made.text)},
                 {"route", into(made.route), false},
                 {"boxes", boxes_into(made.boxes), false},
                 {"negative_boxes", boxes_into(made.negative_boxes), false}});
    check(made);
  };
  const auto list = [&](const Json& value, const std::string& name) { read_list(value, name, "Prompt", prompt); };
  read_object(parse_json(content), "", {{"prompts", list}});
  if (prompts.empty()) throw SchemaError("prompts is empty.");
  return prompts;
}

NpzArray& find(std::map<std::string, NpzArray>& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) throw NpzError(name + " is missing");
  return found->second;
}

}  // namespace

std::size_t sample_step(std::size_t size) {
  std::size_t step = std::max<std::size_t>(1, (size + kMostValues - 1) / kMostValues);
  while (std::gcd(step, size) != 1) ++step;  // or columns of maps, or colours of pixels, would be left out
  return step;
}

Recorded read_recorded(const std::filesystem::path& bundle) {
  try {
    Recorded recorded;
    recorded.prompts = read_prompts(read_file(bundle / "golden" / "prompts.json"));
    auto arrays = read_npz(read_file(bundle / "golden" / "tensors.npz"));
    NpzArray& image = find(arrays, "image");
    if (image.dtype != "|u1" || image.shape.size() != 3 || image.shape[2] != 3) throw NpzError("the image is none");
    recorded.pixels = std::move(image.bytes);
    recorded.height = static_cast<int>(image.shape[0]);  // no array has more than 2^30 bytes
    recorded.width = static_cast<int>(image.shape[1]);
    check_image(recorded.image());
    for (const char* name : kExpected) {
      recorded.expected[name] = find(arrays, std::string("expected/") + name).floats();
    }
    const std::size_t prompts = recorded.prompts.size(), found = recorded.expected["grounding/query_index"].size();
    if (found == 0 || found % prompts || recorded.expected["grounding/logits"].size() != found ||
        recorded.expected["grounding/presence"].size() != prompts) {
      throw NpzError("there are not as many answers as prompts");
    }
    NpzArray& inside = find(arrays, "inside");
    if (inside.dtype != "|u1" || inside.shape.size() != 2) throw NpzError("the masks are none");
    recorded.inside = std::move(inside.bytes);
    return recorded;
  } catch (const std::runtime_error& error) {
    throw BundleError("The golden cases of " + bundle.string() + " cannot be read: " + error.what() +
                      ". Export the bundle anew.");
  }
}

}  // namespace sam3i_edge::detail
