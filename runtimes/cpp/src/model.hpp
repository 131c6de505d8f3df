// The sizes of a model and the graphs that follow from them: what the manifest must agree with.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sam3i_edge::detail {

/// Of an image and a text; the features are `grid_size` wide and high at their coarsest.
struct ModelSizes {
  std::int64_t image_size = 0, grid_size = 0, hidden_size = 0, context_length = 0, num_queries = 0;
};

/// What one call of the grounding graph takes and gives.
struct Limits {
  std::int64_t max_prompts = 0, max_boxes = 0, max_instances = 0;
};

/// The free side of a shape: how many prompts share a call.
constexpr std::int64_t kFree = -1;

/// Name, element type and shape of a graph's input or output.
struct TensorSpec {
  std::string name, dtype;
  std::vector<std::int64_t> shape;

  bool operator==(const TensorSpec& other) const {
    return name == other.name && dtype == other.dtype && shape == other.shape;
  }
};

struct GraphSpec {
  std::string file;
  std::vector<TensorSpec> inputs, outputs;
};

/// The graphs of a model with these sizes and limits, by name. Their files are the bundle's choice.
std::map<std::string, GraphSpec> graph_specs(const ModelSizes& model, const Limits& limits);

}  // namespace sam3i_edge::detail
