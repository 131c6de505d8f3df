#include "model.hpp"

namespace sam3i_edge::detail {

std::map<std::string, GraphSpec> graph_specs(const ModelSizes& model, const Limits& limits) {
  const std::int64_t side = model.grid_size, size = model.hidden_size, length = model.context_length;
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
  return {{"vision", {"", {{"image", "uint8", {1, model.image_size, model.image_size, 3}}}, pyramid}},
          {"text", {"", {{"tokens", "int32", {kFree, length}}, gates}, {text}}},
          {"grounding",
           {"",
            grounding,
            {{"logits", "float32", {kFree, best}},
             {"presence", "float32", {kFree, 1}},
             {"boxes", "float32", {kFree, best, 4}},
             {"masks", "float32", {kFree, best, 4 * side, 4 * side}},
             {"query_index", "int32", {kFree, best}}}}}};
}

}  // namespace sam3i_edge::detail
