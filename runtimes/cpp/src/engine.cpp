#include "engine.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "files.hpp"
#include "messages.hpp"
#include "postprocess.hpp"
#include "processor.hpp"
#include "prompts.hpp"
#include "resize.hpp"
#include "warning.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kTextCacheSize = 1024;

void check_threads(int threads) {
  if (threads >= 0 && threads <= kMostThreads) return;
  throw RuntimeUnavailableError("The number of threads is " + std::to_string(threads) +
                                "; it must be 0 (the runtime's own choice) or more, at most " +
                                std::to_string(kMostThreads) + ".");
}

/// How to open a bundle's graphs with its target's runtime, or with another.
SessionOptions session_options(const Manifest& manifest, const std::string& runtime, const LoadOptions& options) {
  const Target& target = manifest.target;
  const bool is_own = runtime == target.runtime;
  const std::string usual = default_device(runtime);  // refuses an unknown runtime, before its name becomes a folder's
  SessionOptions made;
  made.device = options.device != "auto" ? options.device : is_own ? target.device : usual;
  made.precision = is_own ? manifest.precision : is_int8(manifest.precision) ? "int8" : "fp32";
  made.threads = options.threads ? *options.threads : target.threads;
  made.max_prompts = manifest.limits.max_prompts;
  if (is_own) made.settings = target.settings;
  made.resident = {kFeatures.begin(), kFeatures.end()};
  made.cache = cache_folder(runtime);
  const bool on_processor = made.device == "cpu" || made.device == "CPU";
  made.as_written = is_int8(manifest.precision) && (!is_own || (on_processor && int8_saturates()));
  return made;
}

std::vector<CarriedEngine> engines_of(const Bundle& bundle, const std::string& graph) {
  std::vector<CarriedEngine> engines;
  for (const EngineRecord& engine : bundle.manifest.tensorrt.engines) {
    if (engine.graph != graph) continue;
    engines.push_back({bundle.path / engine.file, engine.compute_capabilities, engine.built_by});
  }
  return engines;
}

std::string key_of(const std::pair<std::string, std::string>& pair) { return pair.second + ' ' + pair.first; }

/// Refuses a graph that is not as the manifest says: what it gives is read by the manifest's types and shapes.
void check_ports(const Ports& ports, const std::vector<TensorSpec>& specs, std::int64_t max_prompts,
                 const std::filesystem::path& graph) {
  bool fits = ports.size() == specs.size();
  for (const TensorSpec& spec : specs) {
    const auto found = ports.find(spec.name);
    fits = fits && found != ports.end() && name_of(found->second.dtype) == spec.dtype &&
           std::equal(found->second.shape.begin(), found->second.shape.end(), spec.shape.begin(), spec.shape.end(),
                      [&](std::int64_t side, std::int64_t wanted) {  // where one prompt is all it takes, 1 is free
                        return side == wanted || (wanted < 0 && side == 1 && max_prompts == 1);
                      });
  }
  if (!fits) {
    throw BundleError(graph.string() +
                      ": what it takes or gives is not what the manifest says. Export the bundle anew.");
  }
}

const float* floats(const Tensors& tensors, const std::string& name, std::int64_t row) {
  const Tensor& tensor = tensors.at(name);
  return tensor.rows(row, 1).as<float>();
}

}  // namespace

Engine::Engine(const std::filesystem::path& path, const LoadOptions& options, const Opener& open)
    : path_(path), threshold_(check_threshold(options.threshold)), tokens_(kTextCacheSize), texts_(kTextCacheSize) {
  if (options.threads) check_threads(*options.threads);  // before a large bundle is hashed
  const Bundle bundle = open_bundle(path);
  manifest_ = bundle.manifest;
  tokenizer_ = Tokenizer::from_file(bundle.path / kTokenizerFile,
                                    static_cast<std::size_t>(bundle.manifest.model.context_length));
  classifier_ = RouteClassifier::load(path / "route.json");
  const std::string runtime = options.runtime.empty() ? manifest_.target.runtime : options.runtime;
  SessionOptions how = session_options(manifest_, runtime, options);
  precision_ = is_typed_half(manifest_) ? manifest_.precision : how.precision;
  for (const auto& [name, graph] : manifest_.graphs) {
    const auto file = bundle.graph_path(name);
    how.engines = engines_of(bundle, name);
    const auto& session = sessions_[name] = open(runtime, file, how);
    check_ports(session->inputs(), graph.inputs, how.max_prompts, file);
    check_ports(session->outputs(), graph.outputs, how.max_prompts, file);
  }
}

void Engine::set_threshold(double threshold) { threshold_ = check_threshold(threshold); }

BundleInfo Engine::info() const {
  return {precision_,
          manifest_.target.name,
          manifest_.note,
          static_cast<int>(manifest_.model.image_size),
          static_cast<int>(manifest_.limits.max_prompts),
          static_cast<int>(manifest_.limits.max_boxes),
          static_cast<int>(manifest_.limits.max_instances)};
}

void Engine::close() {
  std::map<std::string, std::shared_ptr<Session>> closing;
  const std::lock_guard lock(session_mutex_);
  sessions_.swap(closing);
}

std::shared_ptr<Session> Engine::session(const std::string& graph) {
  const std::lock_guard lock(session_mutex_);
  const auto found = sessions_.find(graph);
  if (found == sessions_.end()) {
    throw RuntimeUnavailableError("This Segmenter is closed. Load the bundle again.");
  }
  return found->second;
}

std::shared_ptr<const Features> Engine::encode(const ImageView& image) {
  check_image(image);
  const auto side = static_cast<int>(manifest_.model.image_size);
  const auto vision = session("vision");
  Tensor pixels{DType::uint8, {1, side, side, 3}, nullptr, nullptr};
  pixels.data = masks_.take("image", pixels.bytes());
  resize(image, side, side, pixels.data.get());
  return std::make_shared<const Features>(Features{vision->run({{"image", pixels}}), image.width, image.height});
}

Engine::Tokens Engine::tokens(const std::string& text) {
  {
    const std::lock_guard lock(token_mutex_);
    if (const Tokens* known = tokens_.find(text)) return *known;
  }
  check_text(text);
  auto made = std::make_shared<const std::vector<std::int32_t>>(tokenizer_.encode(text));
  const std::lock_guard lock(token_mutex_);
  if (!tokens_.find(text)) tokens_.add(text, made);
  tokens_.trim();
  return made;
}

std::string Engine::route_of(const Prompt& prompt) {
  check_route(prompt.route);
  const Tokens ids = tokens(prompt.text);
  return prompt.route == kAuto ? classifier_.route(*ids) : prompt.route;
}

std::vector<Engine::Pair> Engine::pairs_of(const std::vector<Prompt>& prompts) {
  std::vector<Pair> pairs;
  for (const Prompt& prompt : prompts) pairs.emplace_back(prompt.text, route_of(prompt));
  return pairs;
}

void Engine::check(const std::vector<Prompt>& prompts, int width, int height) {
  pairs_of(prompts);
  pack_boxes(prompts, width, height, manifest_.limits.max_boxes);
}

std::pair<Tensor, Tensor> Engine::encode_texts(const std::vector<Pair>& pairs) {
  const auto count = static_cast<std::int64_t>(pairs.size()), length = manifest_.model.context_length;
  Tensor memory = make_tensor(DType::float32, {count, length, manifest_.model.hidden_size});
  Tensor padding = make_tensor(DType::boolean, {count, length});
  const std::lock_guard lock(text_mutex_);
  std::set<std::string> seen;
  std::vector<Pair> missing;
  for (const Pair& pair : pairs) {
    if (!texts_.find(key_of(pair)) && seen.insert(key_of(pair)).second) missing.push_back(pair);
  }
  const auto most = static_cast<std::size_t>(manifest_.limits.max_prompts);
  for (std::size_t start = 0; start < missing.size(); start += most) {
    const auto first = missing.begin() + static_cast<std::ptrdiff_t>(start);
    encode_new_texts({first, first + static_cast<std::ptrdiff_t>(std::min(most, missing.size() - start))});
  }
  float* row = memory.as<float>();
  auto* is_padding = padding.as<std::uint8_t>();
  for (const Pair& pair : pairs) {
    const Text& text = *texts_.find(key_of(pair));
    row = std::copy(text.memory->begin(), text.memory->end(), row);
    for (const std::int32_t id : *text.tokens) *is_padding++ = id == kPaddingId;
  }
  texts_.trim();
  return {memory, padding};
}

void Engine::encode_new_texts(const std::vector<Pair>& pairs) {
  const auto count = static_cast<std::int64_t>(pairs.size());
  Tensor ids = make_tensor(DType::int32, {count, manifest_.model.context_length});
  std::vector<std::string> routes;
  std::vector<Tokens> all;
  auto* next = ids.as<std::int32_t>();
  for (const auto& [text, route] : pairs) {
    all.push_back(tokens(text));
    next = std::copy(all.back()->begin(), all.back()->end(), next);
    routes.push_back(route);
  }
  const Tensors outputs = session("text")->run({{"tokens", ids}, {"gates", gates(routes)}});
  const auto size = static_cast<std::size_t>(manifest_.model.context_length * manifest_.model.hidden_size);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const float* row = floats(outputs, "text", static_cast<std::int64_t>(i));
    texts_.add(key_of(pairs[i]), {std::make_shared<const std::vector<float>>(row, row + size), all[i]});
  }
}

void Engine::ground(const Features& features, const std::vector<Prompt>& prompts, const std::vector<Pair>& pairs,
                    const Take& take) {
  const auto grounding = session("grounding");
  const PackedBoxes boxes = pack_boxes(prompts, features.width, features.height, manifest_.limits.max_boxes);
  const auto [text, padding] = encode_texts(pairs);
  std::vector<std::string> routes;
  for (const Pair& pair : pairs) routes.push_back(pair.second);
  const Tensor route_gates = gates(routes);
  const auto count = static_cast<std::int64_t>(prompts.size());
  for (std::int64_t start = 0; start < count; start += manifest_.limits.max_prompts) {
    const std::int64_t rows = std::min(manifest_.limits.max_prompts, count - start);
    Tensors inputs = features.tensors;
    inputs["text"] = text.rows(start, rows);
    inputs["text_padding"] = padding.rows(start, rows);
    inputs["gates"] = route_gates.rows(start, rows);
    inputs["box_prompts"] = boxes.boxes.rows(start, rows);
    inputs["box_labels"] = boxes.labels.rows(start, rows);
    take(start, rows, grounding->run(inputs));
  }
}

std::vector<Instances> Engine::segment(const Features& features, const std::vector<Prompt>& prompts,
                                       const SegmentOptions& options) {
  std::vector<Instances> found;
  if (prompts.empty()) return found;
  const double threshold = threshold_;
  const std::vector<Pair> pairs = pairs_of(prompts);
  ground(features, prompts, pairs, [&](std::int64_t start, std::int64_t rows, const Tensors& outputs) {
    for (std::int64_t i = 0; i < rows; ++i) {
      const Outputs one = {floats(outputs, "logits", i),
                           floats(outputs, "presence", i),
                           floats(outputs, "boxes", i),
                           floats(outputs, "masks", i),
                           static_cast<int>(manifest_.limits.max_instances),
                           static_cast<int>(4 * manifest_.model.grid_size())};
      if (!is_finite(one)) {
        throw BundleError(path_.string() + " computed values that are not finite on " + device() +
                          ". Do not use it here; sam3i-edge verify shows every output.");
      }
      const std::string& route = pairs[static_cast<std::size_t>(start + i)].second;
      found.push_back(postprocess(one, features.width, features.height, threshold, route, options, masks_));
    }
  });
  warn_if_full(found);
  return found;
}

void Engine::warn_if_full(const std::vector<Instances>& found) const {
  const auto limit = manifest_.limits.max_instances;
  const bool is_full = std::any_of(found.begin(), found.end(), [&](const Instances& instances) {
    return static_cast<std::int64_t>(instances.size()) == limit;
  });
  if (limit < manifest_.model.num_queries && is_full) {
    warn("A prompt found " + std::to_string(limit) + " instances, the most this bundle returns; there may be more.");
  }
}

}  // namespace sam3i_edge::detail
