// The C functions of sam3i_edge.h: nothing but translation, with every exception caught.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sam3i_edge.h"
#include "sam3i_edge/segmenter.hpp"
#include "sam3i_edge/verify.hpp"

struct sam3i_segmenter {
  sam3i_edge::Segmenter segmenter;
  std::string device;
};

struct sam3i_frame {
  sam3i_edge::Frame frame;
};

struct sam3i_results {
  std::vector<sam3i_edge::Instances> instances;
};

namespace {

using namespace sam3i_edge;

/// Kept in a fixed place, so that saying "out of memory" needs none.
thread_local char last_error[2048] = "no error";

sam3i_status fail(sam3i_status status, const char* text) {
  std::size_t length = std::min(std::strlen(text), sizeof last_error - 1);
  while (length > 0 && (text[length] & 0xC0) == 0x80) --length;  // no character is cut in two
  std::memcpy(last_error, text, length);
  last_error[length] = 0;
  return status;
}

/// What the caller gave cannot be meant.
class ArgumentError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Runs `action`, and says with a status what it threw.
template <typename Action>
sam3i_status guarded(const Action& action) noexcept {
  try {
    action();
    return SAM3I_OK;
  } catch (const BundleError& error) {
    return fail(SAM3I_BUNDLE_ERROR, error.what());
  } catch (const ImageError& error) {
    return fail(SAM3I_IMAGE_ERROR, error.what());
  } catch (const PromptError& error) {
    return fail(SAM3I_PROMPT_ERROR, error.what());
  } catch (const RuntimeUnavailableError& error) {
    return fail(SAM3I_UNAVAILABLE, error.what());
  } catch (const ArgumentError& error) {
    return fail(SAM3I_ARGUMENT_ERROR, error.what());
  } catch (const std::bad_alloc&) {
    return fail(SAM3I_OTHER_ERROR, "The memory ran out.");
  } catch (const std::exception& error) {
    return fail(SAM3I_OTHER_ERROR, error.what());
  } catch (...) {
    return fail(SAM3I_OTHER_ERROR, "An unknown exception.");
  }
}

sam3i_status refuse(const char* what) { return fail(SAM3I_ARGUMENT_ERROR, what); }

const sam3i_load_options kLoadDefaults = {sizeof kLoadDefaults, nullptr, nullptr, LoadOptions().threshold, -1};
const sam3i_segment_options kSegmentDefaults = {sizeof kSegmentDefaults, SAM3I_MASK_BYTES, SAM3I_MASK_IMAGE};

/// A caller's struct, which may be of an older version and shorter; what it lacks keeps its default.
template <typename Struct>
Struct complete(const Struct* given, Struct defaults) {
  if (!given) return defaults;
  if (given->struct_size < sizeof given->struct_size) {  // all of it would be left out without a word
    throw ArgumentError("The struct_size of the options is " + std::to_string(given->struct_size) +
                        "; begin with sam3i_default_load_options() or sam3i_default_segment_options().");
  }
  std::memcpy(&defaults, given, std::min(given->struct_size, sizeof defaults));
  return defaults;
}

/// The defaults into a caller's struct, which may be of another version: no byte behind its end is touched.
template <typename Struct>
sam3i_status fill(Struct defaults, Struct* out, std::size_t struct_size) {
  if (!out || struct_size < sizeof struct_size) return refuse("The options are NULL, or their struct_size is none.");
  defaults.struct_size = struct_size;
  std::memset(out, 0, struct_size);
  std::memcpy(out, &defaults, std::min(struct_size, sizeof defaults));
  return SAM3I_OK;
}

std::vector<Box> boxes_of(const sam3i_box* boxes, std::size_t count) {
  if (!boxes && count) throw ArgumentError("A prompt's boxes are NULL, but their count is not 0.");
  std::vector<Box> found;
  for (std::size_t i = 0; i < count; ++i) found.push_back({boxes[i].x0, boxes[i].y0, boxes[i].x1, boxes[i].y1});
  return found;
}

Prompt prompt_of(const sam3i_prompt& prompt) {
  return {prompt.text ? prompt.text : "", prompt.route ? prompt.route : "auto",
          boxes_of(prompt.boxes, prompt.box_count), boxes_of(prompt.negative_boxes, prompt.negative_box_count)};
}

/// An enumerator as the number that it is in C, where it may be any.
template <typename Enum>
int number_of(const Enum& value) {
  static_assert(sizeof value == sizeof(int));
  int number = 0;
  std::memcpy(&number, &value, sizeof number);
  return number;
}

LoadOptions options_of(const sam3i_load_options& given) {
  LoadOptions options;
  if (given.device) options.device = given.device;
  if (given.runtime) options.runtime = given.runtime;
  options.threshold = given.threshold;
  if (given.threads != -1) options.threads = given.threads;
  return options;
}

/// To be freed with sam3i_string_free.
char* copied(const std::string& text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (!copy) throw std::bad_alloc();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

SegmentOptions options_of(const sam3i_segment_options& options) {
  const int format = number_of(options.format), size = number_of(options.size);
  if (format < SAM3I_MASK_BYTES || format > SAM3I_MASK_NONE || size < SAM3I_MASK_IMAGE || size > SAM3I_MASK_GRAPH) {
    throw ArgumentError("The masks' format is " + std::to_string(format) + ", their size " + std::to_string(size) +
                        "; use the enumerators of sam3i_mask_format and sam3i_mask_size.");
  }
  return {static_cast<MaskFormat>(format), static_cast<MaskSize>(size)};
}

}  // namespace

const char* sam3i_last_error(void) { return last_error; }
const char* sam3i_version(void) { return version(); }

sam3i_status sam3i_set_warning_handler(sam3i_warning_handler handler, void* data) {
  return guarded([&] {
    set_warning_handler(handler ? [handler, data](const std::string& text) { handler(text.c_str(), data); }
                                : std::function<void(const std::string&)>());
  });
}

sam3i_status sam3i_default_load_options(sam3i_load_options* out, size_t struct_size) {
  return fill(kLoadDefaults, out, struct_size);
}

sam3i_status sam3i_default_segment_options(sam3i_segment_options* out, size_t struct_size) {
  return fill(kSegmentDefaults, out, struct_size);
}

sam3i_status sam3i_segmenter_load(const char* bundle, const sam3i_load_options* options, sam3i_segmenter** out) {
  if (!bundle || !out) return refuse("sam3i_segmenter_load: bundle or out is NULL.");
  return guarded([&] {
    Segmenter segmenter = Segmenter::load(bundle, options_of(complete(options, kLoadDefaults)));
    std::string device = segmenter.device();
    *out = new sam3i_segmenter{std::move(segmenter), std::move(device)};
  });
}

void sam3i_segmenter_free(sam3i_segmenter* segmenter) { delete segmenter; }

sam3i_status sam3i_segmenter_close(sam3i_segmenter* segmenter) {
  if (!segmenter) return refuse("sam3i_segmenter_close: segmenter is NULL.");
  return guarded([&] { segmenter->segmenter.close(); });
}

sam3i_status sam3i_segmenter_set_threshold(sam3i_segmenter* segmenter, double threshold) {
  if (!segmenter) return refuse("sam3i_segmenter_set_threshold: segmenter is NULL.");
  return guarded([&] { segmenter->segmenter.set_threshold(threshold); });
}

sam3i_status sam3i_segmenter_device(sam3i_segmenter* segmenter, const char** out) {
  if (!segmenter || !out) return refuse("sam3i_segmenter_device: segmenter or out is NULL.");
  return guarded([&] {
    segmenter->segmenter.device();  // throws once it is closed
    *out = segmenter->device.c_str();
  });
}

sam3i_status sam3i_verify(const char* bundle, const sam3i_load_options* options, int* passed, char** problem) {
  if (!bundle) return refuse("sam3i_verify: bundle is NULL.");
  return guarded([&] {
    const std::string text = verify(bundle, options_of(complete(options, kLoadDefaults))).problem();
    if (problem) *problem = copied(text);
    if (passed) *passed = text.empty();
  });
}

sam3i_status sam3i_segmenter_encode(const sam3i_segmenter* segmenter, const sam3i_image* image, sam3i_frame** out) {
  if (!segmenter || !image || !out) return refuse("sam3i_segmenter_encode: segmenter, image or out is NULL.");
  return guarded([&] {
    const ImageView view = {image->data, image->width, image->height,
                            static_cast<PixelFormat>(number_of(image->format)), image->stride};
    *out = new sam3i_frame{segmenter->segmenter.encode(view)};
  });
}

void sam3i_frame_free(sam3i_frame* frame) { delete frame; }

sam3i_status sam3i_frame_segment(const sam3i_frame* frame, const sam3i_prompt* prompts, size_t count,
                                 const sam3i_segment_options* options, sam3i_results** out) {
  if (!frame || (!prompts && count) || !out) return refuse("sam3i_frame_segment: frame, prompts or out is NULL.");
  return guarded([&] {
    std::vector<Prompt> asked;
    for (std::size_t i = 0; i < count; ++i) asked.push_back(prompt_of(prompts[i]));
    const auto how = options_of(complete(options, kSegmentDefaults));
    *out = new sam3i_results{frame->frame.segment(asked, how)};
  });
}

void sam3i_results_free(sam3i_results* results) { delete results; }

size_t sam3i_results_count(const sam3i_results* results) { return results ? results->instances.size() : 0; }

sam3i_status sam3i_results_get(const sam3i_results* results, size_t prompt, sam3i_instances* out) {
  if (!results || !out || prompt >= results->instances.size()) {
    return refuse("sam3i_results_get: results or out is NULL, or there is no such prompt.");
  }
  const Instances& found = results->instances[prompt];
  const float* boxes = found.boxes.empty() ? nullptr : found.boxes.front().data();
  *out = {found.route.c_str(),    found.size(),      found.scores.data(), boxes,
          found.masks.data.get(), found.masks.width, found.masks.height,  found.masks.stride};
  return SAM3I_OK;
}

sam3i_status sam3i_results_rle(const sam3i_results* results, size_t prompt, size_t instance, char** out) {
  if (!results || !out || prompt >= results->instances.size() || instance >= results->instances[prompt].size()) {
    return refuse("sam3i_results_rle: results or out is NULL, or there is no such prompt or instance.");
  }
  return guarded([&] { *out = copied(results->instances[prompt].rle(instance)); });
}

void sam3i_string_free(char* text) { std::free(text); }
