// What a Segmenter and its Frames share: the open graphs, the tokenizer, and what they remember of texts.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "bundle.hpp"
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

/// What opens a graph: `open_session`, or what wraps it.
using Opener = std::function<std::unique_ptr<Session>(const std::string& runtime, const std::filesystem::path& graph,
                                                      const SessionOptions& options)>;

/// Threads may share one.
class Engine {
 public:
  Engine(const std::filesystem::path& path, const LoadOptions& options, const Opener& open = open_session);

  std::shared_ptr<const Features> encode(const ImageView& image);
  std::vector<Instances> segment(const Features& features, const std::vector<Prompt>& prompts,
                                 const SegmentOptions& options);

  using Pair = std::pair<std::string, std::string>;  ///< a text and its route
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

  /// Refuses what `segment` would refuse on an image of that size.
  void check(const std::vector<Prompt>& prompts, int width, int height);
  std::string route_of(const Prompt& prompt);

  double threshold() const { return threshold_; }
  void set_threshold(double threshold);
  std::string device() { return session("vision")->device(); }
  BundleInfo info() const;
  void close();

 private:
  using Tokens = std::shared_ptr<const std::vector<std::int32_t>>;
  struct Text {
    std::shared_ptr<const std::vector<float>> memory;  // (context_length, D)
    Tokens tokens;
  };

  /// A text's tokens, remembered. Throws PromptError where the text is empty or no UTF-8.
  Tokens tokens(const std::string& text);
  void encode_new_texts(const std::vector<Pair>& pairs);
  std::shared_ptr<Session> session(const std::string& graph);
  void warn_if_full(const std::vector<Instances>& found) const;

  std::filesystem::path path_;
  Manifest manifest_;
  Tokenizer tokenizer_;
  RouteClassifier classifier_;
  std::string precision_;
  std::atomic<double> threshold_;
  Memory masks_;

  std::mutex session_mutex_, token_mutex_, text_mutex_;
  std::map<std::string, std::shared_ptr<Session>> sessions_;
  Lru<Tokens> tokens_;
  Lru<Text> texts_;
};

}  // namespace sam3i_edge::detail
