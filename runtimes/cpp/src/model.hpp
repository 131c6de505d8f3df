// The sizes of a model and the graphs that follow from them: what the manifest must agree with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "schema.hpp"

namespace sam3i_edge::detail {

struct ModelConfig {
  std::int64_t image_size = 1008, patch_size = 14, hidden_size = 256, num_queries = 200, context_length = 32;

  std::int64_t grid_size() const { return image_size / patch_size; }
};

/// What one call of the grounding graph takes and gives.
struct Limits {
  std::int64_t max_prompts = 0, max_boxes = 0, max_instances = 0;
};

/// Name, element type and shape of a graph's input or output; -1: the free side, how many prompts share a call.
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

  bool operator==(const GraphSpec& other) const {
    return file == other.file && inputs == other.inputs && outputs == other.outputs;
  }
};

/// Both throw SchemaError; what a configuration leaves out has the full-size model's value.
ModelConfig read_model(const Json& value, const std::string& name);
Limits read_limits(const Json& value, const std::string& name);
GraphSpec read_graph(const Json& value, const std::string& name);

/// The graphs of a model with these sizes and limits, by name.
std::map<std::string, GraphSpec> graph_specs(const ModelConfig& model, const Limits& limits);

}  // namespace sam3i_edge::detail
