// Segmenter: load a bundle, encode an image once, ask it anything.
#pragma once

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/export.hpp"
#include "sam3i_edge/image.hpp"
#include "sam3i_edge/instances.hpp"
#include "sam3i_edge/prompt.hpp"

namespace sam3i_edge {

struct LoadOptions {
  std::string device = "auto";  ///< "auto": the device of the bundle's target; or a name of the runtime's, as "CPU"
  std::string runtime;          ///< empty: that of the bundle's target; or one of `runtimes()`, as "openvino"
  double threshold = 0.5;       ///< instances scoring above this, in 0..1, are returned
  std::optional<int> threads;   ///< processor threads, 0..65536, 0: the runtime's own choice; none: the target's
};

/// What the loaded bundle says of itself.
struct BundleInfo {
  std::string precision;  ///< what the graphs compute in here
  std::string target;     ///< the name of the target that the bundle was made for
  std::string note;       ///< what the weights lack, in words; may be empty
  int image_size;         ///< side of the square that an image is resized to, in pixels
  int max_prompts;        ///< most prompts in one call of the grounding graph; more run in several calls
  int max_boxes;          ///< most boxes of a prompt
  int max_instances;      ///< most instances of a prompt
};

namespace detail {
class Engine;
struct Features;
}  // namespace detail

/// An encoded image: prompts on it cost only text and grounding. A copy shares the features.
///
/// Threads may share one. It keeps the Segmenter's graphs alive, but not open: after `Segmenter::close` it throws
/// RuntimeUnavailableError.
class SAM3I_EDGE_API Frame {
 public:
  /// Find what `prompt` means. Throws as the call below.
  Instances segment(const Prompt& prompt, const SegmentOptions& options = {}) const;

  /// Find what each of `prompts` means: prompts of any routes, with or without boxes, run as one batch; as several
  /// where there are more than the bundle's `max_prompts`. The answer has one entry for each, in their order.
  ///
  /// Throws PromptError (a text is empty or no UTF-8, a route unknown, a box empty or outside the image, or there are
  /// too many boxes), BundleError (a graph fails, or scores are no finite numbers), RuntimeUnavailableError (closed).
  std::vector<Instances> segment(const std::vector<Prompt>& prompts, const SegmentOptions& options = {}) const;
  /// Braces always hold a list: {"hammer", "mug"} are two prompts, {"hammer"} is a list of one. A single prompt with a
  /// route is Prompt{"hammer", "simple"}.
  std::vector<Instances> segment(std::initializer_list<Prompt> prompts, const SegmentOptions& options = {}) const {
    return segment(std::vector<Prompt>(prompts), options);
  }

  int width() const;   ///< of the image, in pixels
  int height() const;  ///< of the image, in pixels

 private:
  friend class Segmenter;
  Frame(std::shared_ptr<detail::Engine> engine, std::shared_ptr<const detail::Features> features);
  std::shared_ptr<detail::Engine> engine_;
  std::shared_ptr<const detail::Features> features_;
};

/// Instruction-following segmentation on one device.
///
///     auto segmenter = sam3i_edge::Segmenter::load("bundle");
///     auto frame = segmenter.encode({pixels, width, height});   // the heavy step, once per image
///     auto found = frame.segment("the red mug left of the laptop");
///
/// Threads may share one, and call anything but a move or the destructor at the same time. One that was moved from may
/// only be assigned to, or destroyed.
class SAM3I_EDGE_API Segmenter {
 public:
  /// Check a bundle, the folder that `sam3i-edge export` wrote, and open its graphs.
  ///
  /// Throws BundleError (damaged, incomplete, or newer than this library), RuntimeUnavailableError (the runtime is
  /// not in this build, the device is not here, or so many threads are none to ask for), PromptError (the threshold is
  /// out of range).
  static Segmenter load(const std::filesystem::path& bundle, const LoadOptions& options = {});

  Segmenter(Segmenter&&) noexcept;
  Segmenter& operator=(Segmenter&&) noexcept;
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;
  ~Segmenter();

  /// Run the vision graph on an image of any size. Throws ImageError, BundleError, RuntimeUnavailableError (closed).
  Frame encode(const ImageView& image) const;

  /// `encode(image).segment(prompts)` in one step; a bad prompt is refused before the image is encoded.
  std::vector<Instances> segment(const ImageView& image, const std::vector<Prompt>& prompts,
                                 const SegmentOptions& options = {}) const;
  std::vector<Instances> segment(const ImageView& image, std::initializer_list<Prompt> prompts,
                                 const SegmentOptions& options = {}) const {
    return segment(image, std::vector<Prompt>(prompts), options);
  }
  Instances segment(const ImageView& image, const Prompt& prompt, const SegmentOptions& options = {}) const;

  /// The route that will run: the prompt's own, or what the bundle's classifier makes of its text for "auto". Throws
  /// PromptError.
  std::string route_of(const Prompt& prompt) const;

  double threshold() const;
  /// Instances scoring above this are returned from now on. Throws PromptError unless it lies in 0..1.
  void set_threshold(double threshold);

  std::string device() const;  ///< what really runs the graphs, in the runtime's words; throws after `close`
  BundleInfo info() const;

  /// Free the graphs, once the calls that run are over. Who encodes or segments afterwards gets a
  /// RuntimeUnavailableError.
  void close();

 private:
  explicit Segmenter(std::shared_ptr<detail::Engine> engine);
  std::shared_ptr<detail::Engine> engine_;
};

/// The runtimes in this build, by the names that `LoadOptions::runtime` takes.
SAM3I_EDGE_API std::vector<std::string> runtimes();

/// What to do with a warning: a text too long, a cache that cannot be written. The default prints it to stderr.
/// An empty function silences them. It may be called from any thread, and once more by a thread that warns just now
/// after another one has taken its place.
SAM3I_EDGE_API void set_warning_handler(std::function<void(const std::string&)> handler);

/// The version of this library, as "0.1.0".
SAM3I_EDGE_API const char* version();

}  // namespace sam3i_edge
