#include "model.hpp"

#include <cmath>

#include "messages.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::int64_t kMostSize = 1 << 16, kMostLayers = 1000, kMostWindow = 1 << 10, kMostLimit = 1 << 12;
constexpr std::int64_t kFree = -1;

void check_positive(const std::string& name, double value, const std::string& text) {
  const bool is_layers = name.size() >= 6 && name.compare(name.size() - 6, 6, "layers") == 0;
  const std::int64_t most = is_layers ? kMostLayers : kMostSize;
  if (!(value > 0 && value <= static_cast<double>(most))) {
    throw SchemaError(name + " is " + text + "; it must be greater than 0 and at most " + std::to_string(most) + ".");
  }
}

void check_positive(const std::string& name, std::int64_t value) {
  check_positive(name, static_cast<double>(value), std::to_string(value));
}

void check_divisible(const std::string& name, std::int64_t value, const std::string& by_name, std::int64_t by) {
  if (value % by) {
    throw SchemaError(name + " is " + std::to_string(value) + "; it must be a multiple of " + by_name + " (" +
                      std::to_string(by) + ").");
  }
}

struct Vision {
  std::int64_t hidden_size = 1024, num_layers = 32, num_heads = 16, window_size = 24;
  double mlp_ratio = 4.625;
  std::vector<std::int64_t> global_attention_layers = {7, 15, 23, 31};
  std::string backbone;  // of students; the graph holds all of it
};

Vision read_vision(const Json& value, const std::string& name) {
  Vision vision;
  std::vector<std::int64_t> global;
  read_object(value, name,
              {{"hidden_size", into(vision.hidden_size), false},
               {"num_layers", into(vision.num_layers), false},
               {"num_heads", into(vision.num_heads), false},
               {"mlp_ratio", into(vision.mlp_ratio), false},
               {"window_size", into(vision.window_size), false},
               {"global_attention_layers", into(global), false},
               {"backbone", into(vision.backbone), false}});
  if (value.contains("global_attention_layers")) vision.global_attention_layers = global;
  check_positive("vision.hidden_size", vision.hidden_size);
  check_positive("vision.num_layers", vision.num_layers);
  check_positive("vision.num_heads", vision.num_heads);
  check_positive("vision.mlp_ratio", vision.mlp_ratio, shown(vision.mlp_ratio));
  check_positive("vision.window_size", vision.window_size);
  check_divisible("vision.hidden_size", vision.hidden_size, "4 x vision.num_heads", 4 * vision.num_heads);
  if (vision.window_size > kMostWindow) {
    throw SchemaError("vision.window_size is " + std::to_string(vision.window_size) + "; it must be at most 1024.");
  }
  bool fits = !vision.global_attention_layers.empty();
  for (const auto layer : vision.global_attention_layers) fits = fits && layer >= 0 && layer < vision.num_layers;
  if (!fits) {
    throw SchemaError("vision.global_attention_layers must name at least one layer, each between 0 and " +
                      std::to_string(vision.num_layers - 1) + " (vision.num_layers - 1).");
  }
  return vision;
}

struct Text {
  std::int64_t hidden_size = 1024, num_layers = 24, num_heads = 16, context_length = 32, vocab_size = 49408;
  std::int64_t embedding_size = 0;  // 0: hidden_size
};

Text read_text(const Json& value, const std::string& name) {
  Text text;
  const std::vector<std::pair<const char*, std::int64_t*>> sizes = {{"hidden_size", &text.hidden_size},
                                                                    {"num_layers", &text.num_layers},
                                                                    {"num_heads", &text.num_heads},
                                                                    {"context_length", &text.context_length},
                                                                    {"vocab_size", &text.vocab_size}};
  std::vector<Field> fields;
  for (const auto& [key, target] : sizes) fields.push_back({key, into(*target), false});
  fields.push_back({"embedding_size", into(text.embedding_size), false});
  read_object(value, name, fields);
  for (const auto& [key, target] : sizes) check_positive(std::string("text.") + key, *target);
  if (text.embedding_size) check_positive("text.embedding_size", text.embedding_size);
  check_divisible("text.hidden_size", text.hidden_size, "text.num_heads", text.num_heads);
  return text;
}

std::int64_t read_adapter_heads(const Json& value, const std::string& name) {
  std::int64_t bottleneck = 64, heads = 4;
  double scale = 1;
  read_object(
      value, name,
      {{"bottleneck_size", into(bottleneck), false}, {"num_heads", into(heads), false}, {"scale", into(scale), false}});
  check_positive("adapter.bottleneck_size", bottleneck);
  check_positive("adapter.num_heads", heads);
  if (!std::isfinite(scale)) throw SchemaError("adapter.scale is " + shown(scale) + "; it must be finite.");
  return heads;
}

TensorSpec read_tensor(const Json& value, const std::string& name) {
  TensorSpec spec;
  const Reader side = [&](const Json& item, const std::string& item_name) {
    if (!item.is_number_integer() && !item.is_string()) refuse(item, item_name, "int or str");
    constexpr std::int64_t kNone = kFree - 1;  // no graph has a side of that name, or less than nothing
    const bool is_side = item.is_number_unsigned() && item.get<std::uint64_t>() <= INT64_MAX;
    spec.shape.push_back(is_side ? item.get<std::int64_t>() : item == "prompts" ? kFree : kNone);
  };
  read_object(value, name,
              {{"name", into(spec.name)},
               {"dtype", into(spec.dtype)},
               {"shape", [&](const Json& item, const std::string& at) { read_list(item, at, "int or str", side); }}});
  return spec;
}

Reader into(std::vector<TensorSpec>& target) {
  return [&target](const Json& value, const std::string& name) {
    read_list(value, name, "TensorSpec",
              [&](const Json& item, const std::string& at) { target.push_back(read_tensor(item, at)); });
  };
}

}  // namespace

ModelConfig read_model(const Json& value, const std::string& name) {
  ModelConfig model;
  Text text;
  std::int64_t pretrain = 336, ffn = 2048, heads = 8, geometry = 3, encoder = 6, decoder = 6, projection = 256;
  std::int64_t adapter_heads = 4;
  bool separable_convs = false;
  const std::vector<std::pair<const char*, std::int64_t*>> sizes = {{"image_size", &model.image_size},
                                                                    {"patch_size", &model.patch_size},
                                                                    {"pretrain_image_size", &pretrain},
                                                                    {"hidden_size", &model.hidden_size},
                                                                    {"ffn_size", &ffn},
                                                                    {"num_heads", &heads},
                                                                    {"geometry_layers", &geometry},
                                                                    {"encoder_layers", &encoder},
                                                                    {"decoder_layers", &decoder},
                                                                    {"num_queries", &model.num_queries},
                                                                    {"projection_size", &projection}};
  Vision vision;
  std::vector<Field> fields = {
      {"vision", [&](const Json& item, const std::string& at) { vision = read_vision(item, at); }, false},
      {"text", [&](const Json& item, const std::string& at) { text = read_text(item, at); }, false},
      {"adapter", [&](const Json& item, const std::string& at) { adapter_heads = read_adapter_heads(item, at); },
       false},
      {"separable_convs", detail::into(separable_convs), false}};
  for (const auto& [key, target] : sizes) fields.push_back({key, detail::into(*target), false});
  read_object(value, name, fields);
  for (const auto& [key, target] : sizes) check_positive(key, *target);
  check_divisible("image_size", model.image_size, "patch_size", model.patch_size);
  check_divisible("pretrain_image_size", pretrain, "patch_size", model.patch_size);
  check_divisible("hidden_size", model.hidden_size, "num_heads", heads);
  check_divisible("hidden_size", model.hidden_size, "the groups of the mask head's GroupNorm", 8);
  check_divisible("text.hidden_size", text.hidden_size, "adapter.num_heads", adapter_heads);
  if (!vision.backbone.empty() && model.grid_size() % 2) {
    throw SchemaError(
        "With vision.backbone, the picture must have an even number of patches on a side, for a level of half as many; "
        "image_size " +
        std::to_string(model.image_size) + " has " + std::to_string(model.grid_size()) + " of " +
        std::to_string(model.patch_size) + ".");
  }
  model.context_length = text.context_length;
  return model;
}

Limits read_limits(const Json& value, const std::string& name) {
  Limits limits;
  const std::vector<std::pair<const char*, std::int64_t*>> sizes = {
      {"max_prompts", &limits.max_prompts}, {"max_boxes", &limits.max_boxes}, {"max_instances", &limits.max_instances}};
  std::vector<Field> fields;
  for (const auto& [key, target] : sizes) fields.push_back({key, detail::into(*target)});
  read_object(value, name, fields);
  for (const auto& [key, target] : sizes) {
    if (*target <= 0 || *target > kMostLimit) {
      throw SchemaError(std::string("limits.") + key + " is " + std::to_string(*target) +
                        "; it must be between 1 and " + std::to_string(kMostLimit) + ".");
    }
  }
  return limits;
}

GraphSpec read_graph(const Json& value, const std::string& name) {
  GraphSpec graph;
  read_object(value, name,
              {{"file", detail::into(graph.file)}, {"inputs", into(graph.inputs)}, {"outputs", into(graph.outputs)}});
  return graph;
}

std::map<std::string, GraphSpec> graph_specs(const ModelConfig& model, const Limits& limits) {
  const std::int64_t side = model.grid_size(), size = model.hidden_size, length = model.context_length;
  const std::int64_t best = limits.max_instances;
  const std::vector<TensorSpec> pyramid = {{"fine", "float32", {1, size, 4 * side, 4 * side}},
                                           {"middle", "float32", {1, size, 2 * side, 2 * side}},
                                           {"coarse", "float32", {1, size, side, side}}};
  const TensorSpec gates = {"gates", "float32", {kFree, 3}}, text = {"text", "float32", {kFree, length, size}};
  std::vector<TensorSpec> grounding = pyramid;
  grounding.insert(grounding.end(), {text,
                                     {"text_padding", "bool", {kFree, length}},
                                     gates,
                                     {"box_prompts", "float32", {kFree, limits.max_boxes, 4}},
                                     {"box_labels", "int32", {kFree, limits.max_boxes}}});
  return {{"vision", {"graphs/vision.onnx", {{"image", "uint8", {1, model.image_size, model.image_size, 3}}}, pyramid}},
          {"text", {"graphs/text.onnx", {{"tokens", "int32", {kFree, length}}, gates}, {text}}},
          {"grounding",
           {"graphs/grounding.onnx",
            grounding,
            {{"logits", "float32", {kFree, best}},
             {"presence", "float32", {kFree, 1}},
             {"boxes", "float32", {kFree, best, 4}},
             {"masks", "float32", {kFree, best, 4 * side, 4 * side}},
             {"query_index", "int32", {kFree, best}}}}}};
}

}  // namespace sam3i_edge::detail
