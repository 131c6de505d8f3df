// manifest.json: every key of it.
#include <algorithm>

#include "bundle.hpp"
#include "messages.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr const char* kFormat = "sam3i-edge-bundle";
constexpr std::int64_t kFormatVersion = 6;
const std::vector<std::string> kPrecisions = {"fp32", "bf16", "fp16", "int8", "int8-bf16", "int8-fp16"};
const std::vector<std::string> kGraphs = {"vision", "text", "grounding"};
const std::vector<std::string> kAttention = {"unfused", "fused"};
const std::vector<std::string> kRoutes = {"concept", "simple", "complex"};
const std::map<std::string, std::string> kPreprocessing = {
    {"resize", "bilinear, antialiased, uint8"}, {"channels", "RGB"}, {"normalization", "in the graph"}};

void check_known(const std::string& kind, const std::string& value, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) == known.end()) throw SchemaError(unknown_name(kind, value, known));
}

Target read_target(const Json& value, const std::string& name) {
  Target target;
  std::string unused, int8;
  std::vector<std::string> unread;
  std::map<std::string, std::int64_t> sizes = {
      {"opset", 1}, {"ir_version", 1}, {"max_prompts", 1}, {"attention_mb", 1}};
  std::vector<Field> fields = {
      {"name", into(target.name)},     {"description", into(unused)},           {"runtime", into(target.runtime)},
      {"device", into(target.device)}, {"precisions", into(target.precisions)}, {"int8", into(int8)}};
  for (const char* key : {"opset", "ir_version", "max_prompts", "attention_mb"})
    fields.push_back({key, into(sizes[key])});
  fields.insert(fields.end(), {{"why", into(unused)},
                               {"hardware", into(unused)},
                               {"machine", into(unread), false},
                               {"threads", into(target.threads), false},
                               {"settings", into(target.settings), false},
                               {"attention", into(target.attention), false},
                               {"compute_capabilities", into(unread), false}});
  read_object(value, name, fields);
  for (const char* key : {"opset", "ir_version", "max_prompts", "attention_mb"}) {
    if (sizes[key] <= 0) {
      throw SchemaError(std::string(key) + " is " + std::to_string(sizes[key]) + "; it must be greater than 0.");
    }
  }
  if (target.threads < 0 || target.threads > kMostThreads) {
    throw SchemaError("threads is " + std::to_string(target.threads) +
                      "; it must be 0 (the runtime's choice) or more.");
  }
  check_known("int8", int8, {"symmetric", "affine"});
  if (!target.attention.empty()) check_known("attention", target.attention, kAttention);
  if (target.precisions.empty()) throw SchemaError("precisions is empty; give some of " + joined(kPrecisions) + ".");
  for (const std::string& precision : target.precisions) check_known("precision", precision, kPrecisions);
  return target;
}

void read_recipe(const Json& value, const std::string& name) {
  std::string observer = "mse", embedding = "int8";
  double smooth = 0.5;
  bool correction = true;
  std::map<std::string, std::map<std::string, std::string>> graphs;
  std::vector<Field> fields = {{"observer", into(observer), false},
                               {"smooth", into(smooth), false},
                               {"bias_correction", into(correction), false},
                               {"embedding", into(embedding), false}};
  for (const std::string& graph : kGraphs) fields.push_back({graph, into(graphs[graph]), false});
  read_object(value, name, fields);
  check_known("observer", observer, {"min-max", "percentile", "mse"});
  check_known("embedding", embedding, {"int8", "int4", "fp32"});
  if (!(smooth >= 0 && smooth <= 1)) throw SchemaError("smooth is " + shown(smooth) + "; it must lie between 0 and 1.");
  for (const auto& [graph, blocks] : graphs) {
    for (const auto& [block, choice] : blocks)
      check_known(graph + "." + block + " precision", choice, {"int8", "int4", "fp16", "fp32"});
  }
}

void read_quantization(const Json& value, const std::string& name) {
  if (value.is_null()) return;
  std::string text;
  std::int64_t count = 0;
  std::map<std::string, std::int64_t> counts;
  std::map<std::string, double> scores;
  read_object(value, name,
              {{"recipe", read_recipe},
               {"calibration", into(text)},
               {"calibration_sha256", into(text)},
               {"calibration_images", into(count)},
               {"calibration_prompts", into(counts)},
               {"scored_on", into(text)},
               {"scored_images", into(count)},
               {"float_scores", into(scores)},
               {"scores", into(scores)}});
}

/// "8.9": one or two digits, a point, one digit.
bool is_compute_capability(const std::string& text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::size_t point = text.find('.');
  return (point == 1 || point == 2) && text.size() == point + 2 && is_digit(text[0]) && is_digit(text[point - 1]) &&
         is_digit(text[point + 1]);
}

EngineRecord read_engine(const Json& value, const std::string& name) {
  EngineRecord engine;
  read_object(value, name,
              {{"graph", into(engine.graph)},
               {"file", into(engine.file)},
               {"compute_capabilities", into(engine.compute_capabilities)},
               {"built_by", into(engine.built_by)}});
  check_known("graph", engine.graph, kGraphs);
  if (engine.compute_capabilities.empty()) throw SchemaError("compute_capabilities is empty; give some, such as 8.9.");
  for (const std::string& one : engine.compute_capabilities) {
    if (!is_compute_capability(one)) {
      throw SchemaError("The compute capability " + in_quotes(one) + " is not of the form 8.9.");
    }
  }
  return engine;
}

/// One a graph, and all in their folder.
void check_engines(const std::vector<EngineRecord>& engines) {
  for (const EngineRecord& engine : engines) {
    const auto is_alike = [&engine](const EngineRecord& other) { return other.graph == engine.graph; };
    if (std::count_if(engines.begin(), engines.end(), is_alike) > 1) {
      throw SchemaError("The " + engine.graph + " graph has more than one engine.");
    }
    if (engine.file.rfind("engines/", 0) != 0) {
      throw SchemaError("The engine " + in_quotes(engine.file) + " must lie in engines/.");
    }
  }
}

Reader tensorrt_into(TensorRtRecord& record) {
  return [&record](const Json& value, const std::string& name) {
    if (value.is_null()) return;
    const Reader engines = [&record](const Json& list, const std::string& at) {
      read_list(list, at, "PrebuiltEngine", [&record](const Json& item, const std::string& item_name) {
        record.engines.push_back(read_engine(item, item_name));
      });
      check_engines(record.engines);
    };
    read_object(value, name, {{"checked_by", into(record.checked_by)}, {"engines", engines}});
  };
}

Reader accuracy_into(Manifest& manifest) {
  return [&manifest](const Json& value, const std::string& name) {
    read_map(value, name, [&](const std::string& key, const Json& item, const std::string& at) {
      double largest = 0;
      read_object(item, at, {{"max_abs", into(largest)}, {"sqnr_db", into(manifest.sqnr_at_export[key])}});
    });
  };
}

Reader source_into(Manifest& manifest) {
  return [&manifest](const Json& value, const std::string& name) {
    std::string unused;
    read_object(value, name,
                {{"checkpoint", into(unused)}, {"sha256", into(unused)}, {"note", into(manifest.note), false}});
  };
}

Reader files_into(Manifest& manifest) {
  return [&manifest](const Json& value, const std::string& name) {
    read_map(value, name, [&](const std::string& key, const Json& item, const std::string& at) {
      FileRecord& record = manifest.files[key];
      read_object(item, at, {{"sha256", into(record.sha256)}, {"bytes", into(record.bytes)}});
    });
  };
}

Reader graphs_into(Manifest& manifest) {
  return [&manifest](const Json& value, const std::string& name) {
    read_map(value, name, [&](const std::string& key, const Json& item, const std::string& at) {
      manifest.graphs[key] = read_graph(item, at);
    });
  };
}

struct Strict {  // what must be this library's own
  std::vector<std::string> routes;
  std::map<std::string, std::string> preprocessing;
};

Manifest read_manifest(const Json& content, Strict& strict) {
  Manifest manifest;
  std::string unused;
  std::int64_t version = 0;
  std::map<std::string, std::string> versions;
  read_object(content, "",
              {{"format", into(unused)},
               {"format_version", into(version)},
               {"tool_versions", into(versions)},
               {"source", source_into(manifest)},
               {"model", [&](const Json& value, const std::string& at) { manifest.model = read_model(value, at); }},
               {"target", [&](const Json& value, const std::string& at) { manifest.target = read_target(value, at); }},
               {"precision", into(manifest.precision)},
               {"routes", into(strict.routes)},
               {"preprocessing", into(strict.preprocessing)},
               {"limits", [&](const Json& value, const std::string& at) { manifest.limits = read_limits(value, at); }},
               {"graphs", graphs_into(manifest)},
               {"accuracy", accuracy_into(manifest)},
               {"checked_on", into(unused)},
               {"files", files_into(manifest)},
               {"quantization", read_quantization, false},
               {"tensorrt", tensorrt_into(manifest.tensorrt), false}});
  return manifest;
}

/// Refuses what is no bundle, and one of another format version.
void check_format(const Json& content, const std::filesystem::path& file) {
  if (!content.is_object() || !content.contains("format") || content["format"] != kFormat) {
    throw BundleError(file.string() + " is no manifest of a " + kFormat + ".");
  }
  const Json version = content.contains("format_version") ? content["format_version"] : Json();
  if (version.is_number_integer() && version == kFormatVersion) return;
  const bool is_newer = version.is_number_integer() && version > kFormatVersion;
  throw BundleError(file.parent_path().string() + " has bundle format version " +
                    (version.is_null() ? "None" : version.dump()) + "; this library reads version " +
                    std::to_string(kFormatVersion) + ". " + (is_newer ? "Update this library." : "Export it anew."));
}

}  // namespace

Manifest parse_manifest(const std::string& content, const std::filesystem::path& file) {
  Json parsed;
  try {
    parsed = parse_json(content);
  } catch (const SchemaError& error) {
    throw BundleError(file.string() + " cannot be read: " + error.what() + " Copy or export the bundle anew.");
  }
  check_format(parsed, file);
  Manifest manifest;
  Strict strict;
  try {
    manifest = read_manifest(parsed, strict);
  } catch (const SchemaError& error) {
    throw BundleError(file.string() + ": " + error.what() + " Copy or export the bundle anew.");
  }
  const auto& may_be = manifest.target.precisions;
  if (std::find(may_be.begin(), may_be.end(), manifest.precision) == may_be.end()) {
    throw BundleError(file.string() + ": " + unknown_name("precision", manifest.precision, may_be) +
                      " Export the bundle anew.");
  }
  if (manifest.graphs != graph_specs(manifest.model, manifest.limits)) {
    throw BundleError(file.string() + ": its graphs do not fit its model and limits. Export the bundle anew.");
  }
  if (strict.routes != kRoutes || strict.preprocessing != kPreprocessing) {
    throw BundleError(file.string() +
                      ": its routes or its preprocessing are not those of this library. Export it anew.");
  }
  return manifest;
}

bool is_int8(const std::string& precision) { return precision.rfind("int8", 0) == 0; }

std::string float_type(const std::string& precision) {
  if (!is_int8(precision)) return precision;
  return precision.size() > 5 ? precision.substr(5) : "fp32";
}

bool is_typed_half(const Manifest& manifest) {
  const std::string& runtime = manifest.target.runtime;
  return float_type(manifest.precision) == "fp16" && (runtime == "tensorrt" || runtime == "tensorrt-rtx");
}

}  // namespace sam3i_edge::detail
