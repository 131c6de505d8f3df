// Segmenter: load a bundle, encode an image once, ask it anything.
#pragma once

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
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

/// How a bundle's files are held to its manifest before they are read.
enum class Integrity {
  full,  ///< names, sizes and SHA-256: a changed byte is found
  size,  ///< names and sizes: faster to load, for storage that verifies what it gives. Promises nothing of their
         ///< content
};

struct LoadOptions {
  std::string device = "auto";      ///< "auto": the device of the bundle's target; or a name of the runtime's, as "CPU"
  std::string runtime;              ///< empty: that of the bundle's target; or one of `runtimes()`, as "openvino"
  std::optional<double> threshold;  ///< instances scoring above this, in 0..1, are returned; none: above the bundle's
                                    ///< own threshold of the prompt's route, 0.5 for most
  std::optional<double> nms;  ///< of two masks of a prompt with a greater IoU than this, above 0 and at most 1, the one
                              ///< that scores lower is left out; none: as the bundle says, and most say 1: none is
  std::optional<int> threads;  ///< processor threads, 0..1024, 0: the runtime's own choice; none: the target's
  Integrity integrity = Integrity::full;  ///< how the bundle's files are checked
  std::optional<std::string> expect;      ///< the fingerprint that the bundle must have; none: any
};

/// What makes instances of a prompt's candidates: those of a bundle, or what `LoadOptions` put in their place.
struct Postprocessing {
  std::map<Route, double> thresholds = {  ///< by route, but `Auto`: instances scoring above it are returned
      {Route::Concept, 0.5},
      {Route::Simple, 0.5},
      {Route::Complex, 0.5}};
  double nms = 1;  ///< greedy: of two masks with a greater IoU, before they are resized, the lower score is left out
};

/// What the loaded bundle says of itself.
struct BundleInfo {
  std::string precision;    ///< what the graphs compute in here
  std::string target;       ///< the name of the target that the bundle was made for
  std::string note;         ///< what the weights lack, in words; may be empty
  int image_size;           ///< side of the square that an image is resized to, in pixels
  int max_prompts;          ///< most prompts in one call of the grounding graph; more run in several calls
  int max_boxes;            ///< most boxes of a prompt
  int max_instances;        ///< most instances of a prompt
  std::string fingerprint;  ///< the SHA-256 of the bundle's manifest.json, which stands for all of its bytes
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
  /// Find what `prompt` means. Throws as the next call.
  Instances segment(const Prompt& prompt, const SegmentOptions& options = {}) const;

  /// Find what each of `prompts` means: prompts of any routes, with or without boxes, run as one batch; as several
  /// where there are more than the bundle's `max_prompts`. The answer has one entry for each, in their order.
  ///
  /// Throws PromptError (a text is empty or not UTF-8, or "visual" without boxes, a box is empty or outside the image,
  /// there are too many boxes, or the threshold is out of range), BundleError (a graph fails, or computes values that
  /// are not finite), RuntimeUnavailableError (closed).
  std::vector<Instances> segment(const std::vector<Prompt>& prompts, const SegmentOptions& options = {}) const;
  /// Braces always hold a list: {"hammer", "mug"} are two prompts, {"hammer"} is a list of one. A single prompt with a
  /// route is Prompt{"hammer", Route::Simple}.
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
  /// Throws BundleError (damaged, incomplete, newer than this library, or not the one expected),
  /// RuntimeUnavailableError (the runtime is not in this build, the device not in this machine, or the number of
  /// threads out of range), PromptError (the threshold or `nms` is out of range).
  static Segmenter load(const std::filesystem::path& bundle, const LoadOptions& options = {});

  Segmenter(Segmenter&&) noexcept;
  Segmenter& operator=(Segmenter&&) noexcept;
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;
  ~Segmenter();

  /// Run the vision graph on an image of any size. Throws ImageError (no pixels, too many, or a wrong stride),
  /// BundleError (the graph fails, or computes values that are not finite), RuntimeUnavailableError (closed).
  Frame encode(const ImageView& image) const;

  /// `encode(image).segment(prompts)` in one step; a bad prompt is refused before the image is encoded. Throws as
  /// `encode` and `Frame::segment`.
  std::vector<Instances> segment(const ImageView& image, const std::vector<Prompt>& prompts,
                                 const SegmentOptions& options = {}) const;
  std::vector<Instances> segment(const ImageView& image, std::initializer_list<Prompt> prompts,
                                 const SegmentOptions& options = {}) const {
    return segment(image, std::vector<Prompt>(prompts), options);
  }
  Instances segment(const ImageView& image, const Prompt& prompt, const SegmentOptions& options = {}) const;

  /// The route that will run: the prompt's own, or what the bundle's classifier makes of its text for `Auto`. Throws
  /// PromptError (the text is empty or not UTF-8).
  Route route_of(const Prompt& prompt) const;

  /// What really runs the graphs, in the runtime's words. Throws RuntimeUnavailableError (closed).
  std::string device() const;
  BundleInfo info() const;
  /// The thresholds of the routes, and NMS. A call may give its own threshold.
  Postprocessing postprocessing() const;

  /// Free the graphs, once the calls that run are over. Encoding and segmenting then throw RuntimeUnavailableError.
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
