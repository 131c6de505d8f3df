#include "engine.hpp"

#include <algorithm>
#include <cstring>

#include "files.hpp"
#include "messages.hpp"
#include "postprocess.hpp"
#include "processor.hpp"
#include "prompts.hpp"
#include "resize.hpp"
#include "target_settings.hpp"
#include "warning.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kTokenCacheBytes = std::size_t{4} << 20;
constexpr std::size_t kTextCacheBytes = std::size_t{64} << 20;  // 1024 texts of the full-size model

void check_threads(int threads) {
  if (threads >= 0 && threads <= kMostThreads) return;
  throw RuntimeUnavailableError("The number of threads is " + std::to_string(threads) +
                                "; it must be 0 (the runtime's own choice) or more, at most " +
                                std::to_string(kMostThreads) + ".");
}

/// What the options put in the place of a bundle's own. Throws PromptError.
Postprocessing postprocessed_by(const LoadOptions& options, Postprocessing own) {
  if (options.nms) own.nms = check_nms(*options.nms);
  if (!options.threshold) return own;
  for (auto& [route, threshold] : own.thresholds) threshold = check_threshold(*options.threshold);
  return own;
}

/// How to open a bundle's graphs with its target's runtime, or with another.
SessionOptions session_options(const Manifest& manifest, const std::string& runtime, const LoadOptions& options) {
  const Target& target = manifest.target;
  const bool is_own = runtime == target.runtime;
  const std::string usual = default_device(runtime);  // refuses an unknown runtime, before its name becomes a folder's
  SessionOptions made;
  made.device = device_name(runtime, options.device != "auto" ? options.device : is_own ? target.device : usual);
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
  for (const EngineRecord& engine : bundle.manifest.engines) {
    if (engine.graph != graph) continue;
    engines.push_back({bundle.path / engine.file, engine.compute_capabilities, engine.built_by,
                       bundle.integrity == Integrity::full ? bundle.manifest.files.at(engine.file).sha256 : ""});
  }
  return engines;
}

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
                      ": what it takes or gives is not what the manifest says. Export the bundle again.");
  }
}

/// Runs `work`, and tells the observer, if there is one, how long it took.
template <typename Work>
auto timed(const Observer& observer, const char* stage, const Work& work) {
  if (!observer) return work();
  const auto start = std::chrono::steady_clock::now();
  auto made = work();
  observer(stage, std::chrono::steady_clock::now() - start);
  return made;
}

/// Never frees what the parent process opened: that would wait for threads which only the parent has.
void leave(std::map<std::string, std::shared_ptr<Session>>& sessions) {
  static auto* kept = new std::vector<std::shared_ptr<Session>>;
  for (auto& opened : sessions) kept->push_back(std::move(opened.second));
}

const float* floats(const Tensors& tensors, const std::string& name, std::int64_t row) {
  const Tensor& tensor = tensors.at(name);
  return tensor.rows(row, 1).as<float>();
}

}  // namespace

Engine::Engine(const std::filesystem::path& path, const LoadOptions& options, const Opener& open, Observer observer)
    : path_(path), observer_(std::move(observer)), tokens_(kTokenCacheBytes), texts_(kTextCacheBytes) {
  if (options.threads) check_threads(*options.threads);  // before a large bundle is hashed
  postprocessed_by(options, {});
  const Call call(opened_);
  Bundle bundle = open_bundle(path, options.integrity, options.expect, true);
  fingerprint_ = bundle.fingerprint;
  manifest_ = bundle.manifest;
  postprocessing_ = postprocessed_by(options, manifest_.postprocessing);
  advice_ = std::make_unique<DomainAdvice>(manifest_.domain);
  tokenizer_ =
      Tokenizer::from_file(path / manifest_.tokenizer, static_cast<std::size_t>(manifest_.model.context_length),
                           bundle.read(manifest_.tokenizer));
  classifier_ = RouteClassifier::load(path / manifest_.router, bundle.read(manifest_.router));
  const std::string runtime = options.runtime.empty() ? manifest_.target.runtime : options.runtime;
  SessionOptions how = session_options(manifest_, runtime, options);
  precision_ = is_typed_half(manifest_) ? manifest_.precision : how.precision;
  const Opening opening(runtime);
  for (const auto& [name, graph] : manifest_.graphs) {
    const auto file = bundle.graph_path(name);
    how.engines = engines_of(bundle, name);
    how.content = bundle.graph_content(name);
    const auto& session = sessions_[name] = open(runtime, file, how);
    if (!how.content) bundle.check_unchanged(name);
    check_ports(session->inputs(), graph.inputs, how.max_prompts, file);
    check_ports(session->outputs(), graph.outputs, how.max_prompts, file);
  }
  wait_at_exit();
}

Engine::~Engine() {
  if (opened_.is_inherited()) leave(sessions_);
}

Tensor Engine::feature(const Features& features, const std::string& name) {
  const Call call(opened_);
  const Tensor& tensor = features.tensors.at(name);
  return tensor.data ? tensor : session("vision")->to_host(tensor);
}

BundleInfo Engine::info() const {
  return {precision_,
          manifest_.target.name,
          manifest_.note,
          static_cast<int>(manifest_.model.image_size),
          static_cast<int>(manifest_.limits.max_prompts),
          static_cast<int>(manifest_.limits.max_boxes),
          static_cast<int>(manifest_.limits.max_instances),
          fingerprint_};
}

void Engine::clear_caches() {
  const Call call(opened_);
  const std::scoped_lock lock(token_mutex_, text_mutex_);
  tokens_.clear();
  texts_.clear();
}

void Engine::close() {
  if (opened_.is_torn()) return;  // nobody can use it, and the lock may be held for ever
  const Call call(opened_);
  std::map<std::string, std::shared_ptr<Session>> closing;
  {
    const std::lock_guard lock(session_mutex_);
    sessions_.swap(closing);
  }
  if (opened_.is_inherited()) leave(closing);
}

std::shared_ptr<Session> Engine::session(const std::string& graph) {
  const Call call(opened_);
  const std::lock_guard lock(session_mutex_);
  const auto found = sessions_.find(graph);
  if (found == sessions_.end()) {
    throw RuntimeUnavailableError("This Segmenter is closed. Load the bundle again.");
  }
  return found->second;
}

Tensors Engine::run(const char* graph, const Tensors& inputs) {
  return timed(observer_, graph, [&, opened = session(graph)] { return opened->run(inputs); });
}

void Engine::check_finite(const char* graph, const Tensors& outputs) {
  std::string wrong;
  for (const auto& [name, tensor] : outputs) {
    if (tensor.dtype != DType::float32 || !tensor.data) continue;
    if (!is_finite(tensor.as<float>(), tensor.bytes() / sizeof(float))) wrong += (wrong.empty() ? "" : ", ") + name;
  }
  if (wrong.empty()) return;
  throw BundleError("The " + std::string(graph) + " graph computed values that are not finite (" + wrong + ") on " +
                    device() +
                    ". Do not use this bundle here: sam3i-edge verify shows every output. If they are right, this "
                    "input overflows in half precision: export again with --precision fp32 or int8.");
}

void Engine::check_features(const Features& features) {
  check_finite("vision", features.tensors);
  const Tensor& coarse = features.tensors.at("coarse");  // (1, D, g, g)
  if (!coarse.data || coarse.dtype != DType::float32) return;
  const auto cells = static_cast<std::size_t>(coarse.shape[2] * coarse.shape[3]);
  advice_->on_image(coarse.as<float>(), static_cast<std::size_t>(coarse.shape[1]), cells);
}

Tensor Engine::preprocess(const ImageView& image) {
  check_image(image);
  const Call call(opened_);
  return timed(observer_, "preprocess", [&] {
    const auto side = static_cast<int>(manifest_.model.image_size);
    Tensor pixels{DType::uint8, {1, side, side, 3}, nullptr, nullptr};
    pixels.data = memory_.take("image", pixels.bytes());
    resize(image, side, side, pixels.data.get());
    return pixels;
  });
}

std::shared_ptr<const Features> Engine::encode(const ImageView& image) {
  const Call call(opened_);
  session("vision");  // one that is closed says so before it resizes
  auto features = std::make_shared<const Features>(
      Features{run("vision", {{"image", preprocess(image)}}), image.width, image.height});
  std::call_once(encoded_, wait_at_exit);
  return features;
}

Engine::Tokens Engine::tokens(const std::string& text) {
  const Call call(opened_);
  {
    const std::lock_guard lock(token_mutex_);
    if (const Tokens* known = tokens_.find(text)) return *known;
  }
  auto made = std::make_shared<const std::vector<std::int32_t>>(tokenizer_.encode(check_text(text)));
  advice_->on_text(text);
  const std::lock_guard lock(token_mutex_);
  tokens_.add(text, made, made->size() * sizeof(std::int32_t));
  return made;
}

Route Engine::route_of(const Prompt& prompt) {
  check_route(prompt.route);
  const Tokens ids = tokens(prompt.text);
  return prompt.route == Route::Auto ? classifier_.route(*ids) : prompt.route;
}

std::vector<Engine::Pair> Engine::pairs_of(const std::vector<Prompt>& prompts) {
  std::vector<Pair> pairs;
  for (const Prompt& prompt : prompts) pairs.emplace_back(prompt.text, route_of(prompt));
  return pairs;
}

void Engine::check(const std::vector<Prompt>& prompts, const SegmentOptions& options, int width, int height) {
  if (options.threshold) check_threshold(*options.threshold);
  pairs_of(prompts);
  pack_boxes(prompts, width, height, manifest_.limits.max_boxes);
}

std::pair<Tensor, Tensor> Engine::encode_texts(const std::vector<Pair>& pairs) {
  const Call call(opened_);
  const auto count = static_cast<std::int64_t>(pairs.size()), length = manifest_.model.context_length;
  Tensor memory = make_tensor(DType::float32, {count, length, manifest_.model.hidden_size});
  Tensor padding = make_tensor(DType::boolean, {count, length});
  std::vector<TextKey> keys, missing;
  TextMemories memories;
  for (const auto& [text, route] : pairs) {
    const Tokens ids = tokens(text);
    keys.push_back({ids, route, to_string(route)});
    keys.back().name.append(reinterpret_cast<const char*>(ids->data()), ids->size() * sizeof(std::int32_t));
  }
  {
    const std::lock_guard lock(text_mutex_);
    for (const TextKey& key : keys) {
      const TextMemory* known = texts_.find(key.name);
      if (memories.emplace(key.name, known ? *known : nullptr).second && !known) missing.push_back(key);
    }
  }
  const auto most = static_cast<std::size_t>(manifest_.limits.max_prompts);
  for (std::size_t start = 0; start < missing.size(); start += most) {  // without the lock: others need not wait
    const auto first = missing.begin() + static_cast<std::ptrdiff_t>(start);
    encode_new_texts({first, first + static_cast<std::ptrdiff_t>(std::min(most, missing.size() - start))}, memories);
  }
  float* row = memory.as<float>();
  auto* is_padding = padding.as<std::uint8_t>();
  for (const TextKey& key : keys) {
    const TextMemory& text = memories.at(key.name);
    row = std::copy(text->begin(), text->end(), row);
    for (const std::int32_t id : *key.tokens) *is_padding++ = id == kPaddingId;
  }
  return {memory, padding};
}

void Engine::encode_new_texts(const std::vector<TextKey>& keys, TextMemories& memories) {
  const auto count = static_cast<std::int64_t>(keys.size());
  Tensor ids = make_tensor(DType::int32, {count, manifest_.model.context_length});
  std::vector<Route> routes;
  auto* next = ids.as<std::int32_t>();
  for (const TextKey& key : keys) {
    next = std::copy(key.tokens->begin(), key.tokens->end(), next);
    routes.push_back(key.route);
  }
  const Tensors outputs = run("text", {{"tokens", ids}, {"gates", gates(routes)}});
  check_finite("text", outputs);
  const auto size = static_cast<std::size_t>(manifest_.model.context_length * manifest_.model.hidden_size);
  const std::lock_guard lock(text_mutex_);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const float* row = floats(outputs, "text", static_cast<std::int64_t>(i));
    const TextMemory& made = memories[keys[i].name] = std::make_shared<const std::vector<float>>(row, row + size);
    texts_.add(keys[i].name, made, size * sizeof(float));
  }
}

void Engine::ground(const Features& features, const std::vector<Prompt>& prompts, const std::vector<Pair>& pairs,
                    const Take& take) {
  const Call call(opened_);
  session("grounding");  // one that is closed says so before it encodes texts
  const PackedBoxes boxes = pack_boxes(prompts, features.width, features.height, manifest_.limits.max_boxes);
  const auto [text, padding] = encode_texts(pairs);
  std::vector<Route> routes;
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
    take(start, rows, run("grounding", inputs));
  }
  std::call_once(grounded_, wait_at_exit);
}

std::vector<Instances> Engine::segment(const Features& features, const std::vector<Prompt>& prompts,
                                       const SegmentOptions& options) {
  const Call call(opened_);
  std::vector<Instances> found;
  if (prompts.empty()) return found;
  if (options.threshold) check_threshold(*options.threshold);
  const std::vector<Pair> pairs = pairs_of(prompts);
  ground(features, prompts, pairs, [&](std::int64_t start, std::int64_t rows, const Tensors& outputs) {
    check_finite("grounding", outputs);
    for (std::int64_t i = 0; i < rows; ++i) {
      const Outputs one = {floats(outputs, "logits", i),
                           floats(outputs, "presence", i),
                           floats(outputs, "boxes", i),
                           floats(outputs, "masks", i),
                           static_cast<int>(manifest_.limits.max_instances),
                           static_cast<int>(4 * manifest_.model.grid_size)};
      const Route route = pairs[static_cast<std::size_t>(start + i)].second;
      const double threshold = options.threshold.value_or(postprocessing_.thresholds.at(route));
      found.push_back(
          postprocess(one, features.width, features.height, threshold, postprocessing_.nms, route, options, memory_));
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
