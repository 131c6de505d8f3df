// What a Segmenter and its Frames share: the open graphs, the tokenizer, and what they remember of texts.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bundle.hpp"
#include "calls.hpp"
#include "lru.hpp"
#include "memory.hpp"
#include "route.hpp"
#include "sam3i_edge/segmenter.hpp"
#include "session.hpp"
#include "tokenizer.hpp"

namespace sam3i_edge::detail {

inline const std::array<std::string, 3> kFeatures = {"fine", "middle", "coarse"};

/// An image's pyramid, by name: (1, D, 4g, 4g), (1, D, 2g, 2g), (1, D, g, g) float32.
struct Features {
  Tensors tensors;
  int width, height;  ///< of the image, in pixels
};

/// Told after each stage, on the thread that ran it, how long it took: "preprocess" (one image), or one run of the
/// graph "vision", "text" or "grounding".
using Observer = std::function<void(const char* stage, std::chrono::nanoseconds duration)>;

/// What opens a graph: `open_session`, or what wraps it.
using Opener = std::function<std::unique_ptr<Session>(const std::string& runtime, const std::filesystem::path& graph,
                                                      const SessionOptions& options)>;

/// Threads may share one.
class Engine {
 public:
  Engine(const std::filesystem::path& path, const LoadOptions& options, const Opener& open = open_session,
         Observer observer = {});
  ~Engine();

  /// An image (1, S, S, 3) uint8 RGB of the model's size. Throws ImageError.
  Tensor preprocess(const ImageView& image);
  std::shared_ptr<const Features> encode(const ImageView& image);
  /// Throws BundleError where a feature in the processor's memory is not finite.
  void check_features(const Features& features);
  /// One of an image's features in the processor's memory. Throws std::out_of_range where there is none of that name.
  Tensor feature(const Features& features, const std::string& name);
  std::vector<Instances> segment(const Features& features, const std::vector<Prompt>& prompts,
                                 const SegmentOptions& options);

  using Pair = std::pair<std::string, Route>;  ///< a text and its route, not `Auto`
  std::vector<Pair> pairs_of(const std::vector<Prompt>& prompts);

  /// Runs the grounding graph on as many prompts at once as it takes, and gives each call's outputs to `take`, with the
  /// number of its first prompt and how many there are. Throws as `segment`.
  using Take = std::function<void(std::int64_t first, std::int64_t rows, const Tensors& outputs)>;
  void ground(const Features& features, const std::vector<Prompt>& prompts, const std::vector<Pair>& pairs,
              const Take& take);
  /// Text memory (N, 32, D) and padding (N, 32), remembered by pair.
  std::pair<Tensor, Tensor> encode_texts(const std::vector<Pair>& pairs);

  const Manifest& manifest() const { return manifest_; }
  const std::string& precision() const { return precision_; }
  const Postprocessing& postprocessing() const { return postprocessing_; }

  /// Refuses what `segment` would refuse on an image of that size.
  void check(const std::vector<Prompt>& prompts, const SegmentOptions& options, int width, int height);
  Route route_of(const Prompt& prompt);

  std::string device() { return session("vision")->device(); }
  BundleInfo info() const;
  /// Forget all texts and their tokens.
  void clear_caches();
  void close();

 private:
  using Tokens = std::shared_ptr<const std::vector<std::int32_t>>;
  using TextMemory = std::shared_ptr<const std::vector<float>>;  // (context_length, D)
  /// What text memory depends on.
  struct TextKey {
    Tokens tokens;
    Route route;
    std::string name;
  };
  using TextMemories = std::unordered_map<std::string, TextMemory>;  // by the name of the key

  /// A text's tokens, remembered. Throws PromptError where the text is empty or no UTF-8.
  Tokens tokens(const std::string& text);
  void encode_new_texts(const std::vector<TextKey>& keys, TextMemories& memories);
  std::shared_ptr<Session> session(const std::string& graph);
  Tensors run(const char* graph, const Tensors& inputs);
  /// Refuses what a graph computed if any of it is infinite or not a number. What is not in the processor's memory is
  /// not read.
  void check_finite(const char* graph, const Tensors& outputs);
  void warn_if_full(const std::vector<Instances>& found) const;

  const Opened opened_;
  std::once_flag encoded_, grounded_;
  std::filesystem::path path_;
  Manifest manifest_;
  Tokenizer tokenizer_;
  RouteClassifier classifier_;
  std::string precision_, fingerprint_;
  Postprocessing postprocessing_;
  std::unique_ptr<DomainAdvice> advice_;
  Observer observer_;
  Memory memory_;

  std::mutex session_mutex_, token_mutex_, text_mutex_;
  std::map<std::string, std::shared_ptr<Session>> sessions_;
  Lru<Tokens> tokens_;
  Lru<TextMemory> texts_;
};

}  // namespace sam3i_edge::detail
