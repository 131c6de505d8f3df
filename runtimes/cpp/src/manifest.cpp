// manifest.json of format 2: what a device needs of it. How the bundle was made, `provenance`, is not read.
#include <algorithm>
#include <optional>
#include <utility>

#include "bundle.hpp"
#include "messages.hpp"
#include "prompts.hpp"
#include "sam3i_edge/errors.hpp"
#include "schema.hpp"
#include "target_settings.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr const char* kFormat = "sam3i-edge-bundle";
constexpr std::int64_t kMajor = 2, kMinor = 1;
constexpr std::int64_t kMostSize = 1 << 16, kMostLimit = 1 << 12;
const std::vector<std::string> kPrecisions = {"fp32", "bf16", "fp16", "int8", "int8-bf16", "int8-fp16"};
const std::vector<std::string> kGraphs = {"vision", "text", "grounding"};
const std::vector<std::string> kAttention = {"unfused", "fused"};
const std::vector<std::string> kRoutes = {"concept", "simple", "complex"};
const std::string kTokenizer = "clip-bpe";
const std::map<std::string, std::string> kPreprocessing = {
    {"resize", "bilinear, antialiased, uint8"}, {"channels", "RGB"}, {"normalization", "in the graph"}};

bool is_known(const std::string& value, const std::vector<std::string>& known) {
  return std::find(known.begin(), known.end(), value) != known.end();
}

void check_known(const std::string& kind, const std::string& value, const std::vector<std::string>& known) {
  if (!is_known(value, known)) throw SchemaError(unknown_name(kind, value, known));
}

void check_between(const std::string& name, std::int64_t value, std::int64_t most) {
  if (value > 0 && value <= most) return;
  throw SchemaError(name + " is " + std::to_string(value) + "; it must be between 1 and " + std::to_string(most) + ".");
}

void check_positive(const std::string& name, std::int64_t value) {
  if (value <= 0) throw SchemaError(name + " is " + std::to_string(value) + "; it must be 1 or more.");
}

/// "8.9": one or two digits, a point, one digit.
bool is_compute_capability(const std::string& text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::size_t point = text.find('.');
  return (point == 1 || point == 2) && text.size() == point + 2 && is_digit(text[0]) && is_digit(text[point - 1]) &&
         is_digit(text[point + 1]);
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

/// One of each route.
void check_thresholds(const std::map<std::string, double>& thresholds) {
  std::vector<std::string> routes;
  for (const auto& [route, threshold] : thresholds) routes.push_back(route);
  const bool has_all = std::all_of(kRoutes.begin(), kRoutes.end(), [&](auto& one) { return thresholds.count(one); });
  if (has_all && routes.size() == kRoutes.size()) return;
  throw SchemaError("thresholds are of " + (routes.empty() ? "nothing" : joined(routes)) + "; give " + joined(kRoutes) +
                    ".");
}

/// What must be this library's own.
struct Strict {
  std::vector<std::string> routes;
  std::map<std::string, std::string> preprocessing;
  std::string tokenizer;
};

/// Reads the parts of a manifest; all throw SchemaError, also for unknown keys in any of them, unless they are ignored.
class ManifestReader {
 public:
  explicit ManifestReader(UnknownKeys unknown) : unknown_(unknown) {}

  void read_manifest(const Json& content, Manifest& made, Strict& strict) const {
    std::string format;
    const Reader any = [](const Json&, const std::string&) {};
    const Reader object_of_any = [](const Json& value, const std::string& at) {
      if (!value.is_object()) refuse(value, at, "an object");
    };
    object(content, "",
           {{"format", into(format)},
            {"format_version", any},
            {"runtime", [&](const Json& value, const std::string& at) { read_runtime(value, at, made, strict); }},
            {"provenance", object_of_any},
            {"files", values_of(made.files)}});
  }

 private:
  /// Reads one of the structs below into `target`.
  template <typename T>
  Reader part(T& target) const {
    return [this, &target](const Json& value, const std::string& name) { read(value, name, target); };
  }

  template <typename T>
  Reader items_of(std::vector<T>& target, const char* type) const {
    return [this, &target, type](const Json& list, const std::string& name) {
      read_list(list, name, type,
                [&](const Json& value, const std::string& at) { read(value, at, target.emplace_back()); });
    };
  }

  template <typename T>
  Reader values_of(std::map<std::string, T>& target) const {
    return [this, &target](const Json& value, const std::string& name) {
      read_map(value, name,
               [&](const std::string& key, const Json& item, const std::string& at) { read(item, at, target[key]); });
    };
  }

  void object(const Json& value, const std::string& name, const std::vector<Field>& fields) const {
    read_object(value, name, fields, unknown_);
  }

  void read_runtime(const Json& value, const std::string& name, Manifest& made, Strict& strict) const {
    object(value, name,
           {{"target", part(made.target)},
            {"precision", into(made.precision)},
            {"model", part(made.model)},
            {"limits", part(made.limits)},
            {"routes", into(strict.routes)},
            {"preprocessing", [&](const Json& item, const std::string& at) { read_preprocessing(item, at, strict); }},
            {"tokenizer",
             [&](const Json& item, const std::string& at) {
               object(item, at, {{"kind", into(strict.tokenizer)}, {"file", into(made.tokenizer)}});
             }},
            {"router",
             [&](const Json& item, const std::string& at) {
               object(item, at, {{"file", into(made.router)}});
             }},
            {"graphs", values_of(made.graphs)},
            {"engines", items_of(made.engines, "PrebuiltEngine")},
            {"golden", part(made.golden)},
            {"tolerances", values_of(made.tolerances)},
            {"note", into(made.note)},
            {"postprocessing", part(made.postprocessing), false},
            {"domain", part(made.domain), false}});
    check_engines(made.engines);
    const auto hidden_size = static_cast<std::size_t>(made.model.hidden_size);
    if (made.domain && made.domain->features && made.domain->features->mean.size() != hidden_size) {
      throw SchemaError("domain.features is of " + std::to_string(made.domain->features->mean.size()) +
                        " channels; the model has " + std::to_string(hidden_size) + ".");
    }
  }

  void read(const Json& value, const std::string& name, FileRecord& made) const {
    object(value, name, {{"sha256", into(made.sha256)}, {"bytes", into(made.bytes)}});
  }

  void read(const Json& value, const std::string& name, Target& made) const {
    object(value, name,
           {{"name", into(made.name)},
            {"runtime", into(made.runtime)},
            {"device", into(made.device)},
            {"threads", into(made.threads)},
            {"settings", into(made.settings)},
            {"attention", into(made.attention)}});
    check_settings(made.runtime, made.settings);
    if (made.threads < 0 || made.threads > kMostThreads) {
      throw SchemaError("threads is " + std::to_string(made.threads) +
                        "; it must be 0 (the runtime's choice) or more, at most " + std::to_string(kMostThreads) + ".");
    }
    if (!made.attention.empty()) check_known("attention", made.attention, kAttention);
  }

  void read(const Json& value, const std::string& name, ModelSizes& made) const {
    read_sizes(value, name, "model.", kMostSize,
               {{"image_size", &made.image_size},
                {"grid_size", &made.grid_size},
                {"hidden_size", &made.hidden_size},
                {"context_length", &made.context_length},
                {"num_queries", &made.num_queries}});
  }

  void read(const Json& value, const std::string& name, Limits& made) const {
    read_sizes(
        value, name, "limits.", kMostLimit,
        {{"max_prompts", &made.max_prompts}, {"max_boxes", &made.max_boxes}, {"max_instances", &made.max_instances}});
  }

  void read_sizes(const Json& value, const std::string& name, const std::string& prefix, std::int64_t most,
                  const std::vector<std::pair<const char*, std::int64_t*>>& sizes) const {
    std::vector<Field> fields;
    for (const auto& [key, target] : sizes) fields.push_back({key, into(*target)});
    object(value, name, fields);
    for (const auto& [key, target] : sizes) check_between(prefix + key, *target, most);
  }

  void read_preprocessing(const Json& value, const std::string& name, Strict& strict) const {
    std::vector<Field> fields;
    for (const auto& [key, own] : kPreprocessing) fields.push_back({key, into(strict.preprocessing[key])});
    object(value, name, fields);
  }

  void read(const Json& value, const std::string& name, GraphSpec& made) const {
    object(value, name,
           {{"file", into(made.file)},
            {"inputs", items_of(made.inputs, "TensorSpec")},
            {"outputs", items_of(made.outputs, "TensorSpec")}});
  }

  void read(const Json& value, const std::string& name, TensorSpec& made) const {
    const Reader side = [&](const Json& item, const std::string& at) {
      if (!item.is_number_integer() && !item.is_string()) refuse(item, at, "int or str");
      if (item.is_number_unsigned() && item.get<std::uint64_t>() > INT64_MAX) refuse(item, at, "int");
      constexpr std::int64_t kNone = kFree - 1;  // no graph has a side of that name, or less than nothing
      made.shape.push_back(item.is_number_unsigned() ? item.get<std::int64_t>() : item == "prompts" ? kFree : kNone);
    };
    object(value, name,
           {{"name", into(made.name)},
            {"dtype", into(made.dtype)},
            {"shape", [&](const Json& item, const std::string& at) { read_list(item, at, "int or str", side); }}});
  }

  void read(const Json& value, const std::string& name, EngineRecord& made) const {
    object(value, name,
           {{"graph", into(made.graph)},
            {"file", into(made.file)},
            {"compute_capabilities", into(made.compute_capabilities)},
            {"built_by", into(made.built_by)}});
    check_known("graph", made.graph, kGraphs);
    if (made.compute_capabilities.empty()) throw SchemaError("compute_capabilities is empty; give some, such as 8.9.");
    for (const std::string& one : made.compute_capabilities) {
      if (!is_compute_capability(one)) {
        throw SchemaError("The compute capability " + in_quotes(one) + " is not of the form 8.9.");
      }
    }
  }

  void read(const Json& value, const std::string& name, GoldenRecord& made) const {
    object(value, name,
           {{"prompts", into(made.prompts)}, {"tensors", into(made.tensors)}, {"steps", into(made.steps)}});
    for (const auto& [output, step] : made.steps) check_positive("golden.steps." + output, step);
  }

  void read(const Json& value, const std::string& name, Tolerance& made) const {
    object(value, name, {{"max_abs", into(made.max_abs)}, {"min_sqnr_db", into(made.min_sqnr_db)}});
  }

  void read(const Json& value, const std::string& name, InstanceTolerance& made) const {
    object(value, name,
           {{"min_mask_iou", into(made.min_mask_iou)},
            {"max_score_change", into(made.max_score_change)},
            {"min_score", into(made.min_score)},
            {"best", into(made.best)},
            {"min_pixels", into(made.min_pixels)}});
    check_positive("best", made.best);
  }

  void read(const Json& value, const std::string& name, Tolerances& made) const {
    object(value, name, {{"outputs", values_of(made.outputs)}, {"instances", part(made.instances)}});
  }

  void read(const Json& value, const std::string& name, Postprocessing& made) const {
    std::map<std::string, double> thresholds;
    for (const auto& [route, threshold] : made.thresholds) thresholds[to_string(route)] = threshold;
    const Reader read_thresholds = [&](const Json& item, const std::string& at) {
      thresholds.clear();
      into(thresholds)(item, at);
    };
    object(value, name, {{"thresholds", read_thresholds, false}, {"nms", into(made.nms), false}});
    check_thresholds(thresholds);
    try {
      for (auto& [route, threshold] : made.thresholds) threshold = check_threshold(thresholds.at(to_string(route)));
      check_nms(made.nms);
    } catch (const PromptError& error) {
      throw SchemaError(error.what());
    }
  }

  void read(const Json& value, const std::string& name, Domain& made) const {
    object(value, name,
           {{"note", into(made.note)},
            {"kinds", into(made.kinds)},
            {"words", into(made.words)},
            {"features", part(made.features), false}});
  }

  void read(const Json& value, const std::string& name, FeatureStatistics& made) const {
    std::string precision;
    const Reader read_mean = [&](const Json& list, const std::string& at) {
      read_list(list, at, "float", [&](const Json& item, const std::string& item_name) {
        into(made.mean.emplace_back())(item, item_name);
      });
    };
    object(value, name, {{"mean", read_mean}, {"precision", into(precision)}, {"limit", into(made.limit)}});
    made.precision = decode_precision(precision, made.mean);
    if (!(made.limit > 0)) throw SchemaError("limit is " + shown(made.limit) + "; it must be greater than 0.");
  }

  /// What may be null.
  template <typename T>
  void read(const Json& value, const std::string& name, std::optional<T>& made) const {
    if (!value.is_null()) read(value, name, made.emplace());
  }

  UnknownKeys unknown_;
};

/// Major and minor of "2.0"; nothing if it is not of that form.
std::optional<std::pair<std::int64_t, std::int64_t>> version_of(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.get_ref<const std::string&>();
  const std::size_t point = text.find('.');
  if (point == text.npos) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const std::string& part : {text.substr(0, point), text.substr(point + 1)}) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (part.empty() || part.size() > 9 || !std::all_of(part.begin(), part.end(), is_digit)) return std::nullopt;
    numbers.push_back(std::stoll(part));
  }
  return std::make_pair(numbers[0], numbers[1]);
}

/// What becomes of keys that this version does not know. Refuses what is no bundle, and other major versions.
UnknownKeys check_format(const Json& content, const std::filesystem::path& file) {
  if (!content.is_object() || !content.contains("format") || content["format"] != kFormat) {
    throw BundleError(file.string() + " is no manifest of a " + kFormat + ". Copy or export the bundle again.");
  }
  const Json shown = content.contains("format_version") ? content["format_version"] : Json();
  const auto version = version_of(shown);
  if (version && version->first == kMajor) {
    return version->second > kMinor ? UnknownKeys::ignored : UnknownKeys::refused;
  }
  throw BundleError(file.parent_path().string() + " has bundle format version " +
                    (shown.is_string() ? shown.get<std::string>() : shown.dump()) +
                    "; this version of sam3i-edge reads " + std::to_string(kMajor) + ".x. " +
                    (version && version->first > kMajor ? "Update sam3i-edge." : "Export the bundle again."));
}

/// Takes out the settings, the graphs and their engines that a later minor version added.
void drop_unknown(Json& content) {
  Json& runtime = content["runtime"];
  const auto is_other = [](const Json& name) { return name.is_string() && !is_known(name, kGraphs); };
  if (!runtime.is_object()) return;
  if (runtime.contains("target") && runtime["target"].is_object() && runtime["target"].contains("settings")) {
    Json& settings = runtime["target"]["settings"];
    const Json name = runtime["target"].value("runtime", Json());
    for (auto at = settings.begin(); settings.is_object() && name.is_string() && at != settings.end();) {
      at = is_setting(name, at.key()) ? std::next(at) : settings.erase(at);
    }
  }
  if (runtime.contains("graphs") && runtime["graphs"].is_object()) {
    Json& graphs = runtime["graphs"];
    for (auto at = graphs.begin(); at != graphs.end();) at = is_other(at.key()) ? graphs.erase(at) : std::next(at);
  }
  if (runtime.contains("engines") && runtime["engines"].is_array()) {
    auto& engines = runtime["engines"].get_ref<Json::array_t&>();
    const auto is_others = [&](const Json& one) { return one.is_object() && is_other(one.value("graph", Json())); };
    engines.erase(std::remove_if(engines.begin(), engines.end(), is_others), engines.end());
  }
}

/// Whether the graphs take what this library gives, and give what it reads; those of a later minor version may give
/// more.
bool graphs_fit(const Manifest& manifest, UnknownKeys unknown) {
  const auto wanted = graph_specs(manifest.model, manifest.limits);
  bool fit = manifest.graphs.size() == wanted.size();
  for (const auto& [name, graph] : wanted) {
    const auto found = manifest.graphs.find(name);
    fit = fit && found != manifest.graphs.end() && found->second.inputs == graph.inputs;
    if (!fit) return false;
    const auto& outputs = found->second.outputs;
    if (unknown == UnknownKeys::refused) fit = outputs == graph.outputs;
    for (const TensorSpec& output : graph.outputs) fit = fit && std::count(outputs.begin(), outputs.end(), output) == 1;
  }
  return fit;
}

}  // namespace

Manifest parse_manifest(const std::string& content, const std::filesystem::path& file) {
  Json parsed;
  try {
    parsed = parse_json(content);
  } catch (const SchemaError& error) {
    throw BundleError(file.string() + " cannot be read: " + error.what() + " Copy or export the bundle again.");
  }
  const UnknownKeys unknown = check_format(parsed, file);
  if (unknown == UnknownKeys::ignored) drop_unknown(parsed);
  Manifest manifest;
  Strict strict;
  try {
    ManifestReader(unknown).read_manifest(parsed, manifest, strict);
  } catch (const SchemaError& error) {
    throw BundleError(file.string() + ": " + error.what() + " Copy or export the bundle again.");
  }
  std::string problem;
  if (!is_known(manifest.precision, kPrecisions)) {
    problem = unknown_name("precision", manifest.precision, kPrecisions);
  } else if (!graphs_fit(manifest, unknown)) {
    problem = "its graphs do not fit its model and limits.";
  } else if (strict.routes != kRoutes || strict.preprocessing != kPreprocessing || strict.tokenizer != kTokenizer) {
    problem = "its routes, preprocessing or tokenizer are not those of this version of sam3i-edge.";
  }
  if (problem.empty()) return manifest;
  throw BundleError(file.string() + ": " + problem + " Export the bundle again.");
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
