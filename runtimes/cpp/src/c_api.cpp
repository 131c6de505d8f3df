// The C functions of sam3i_edge.h: nothing but translation, with every exception caught.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sam3i_edge.h"
#include "sam3i_edge/segmenter.hpp"
#include "sam3i_edge/verify.hpp"

struct sam3i_segmenter {
  sam3i_edge::Segmenter segmenter;
  std::string device, fingerprint;
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

constexpr double kNotGiven = -1;  // of a threshold or nms: the bundle's own, or what it was loaded with
const sam3i_load_options kLoadDefaults = {sizeof kLoadDefaults, nullptr,   nullptr, -1,
                                          SAM3I_INTEGRITY_FULL, kNotGiven, nullptr, kNotGiven};
const sam3i_segment_options kSegmentDefaults = {sizeof kSegmentDefaults, SAM3I_MASK_BYTES, SAM3I_MASK_IMAGE, kNotGiven};
const sam3i_image kImageDefaults = {sizeof kImageDefaults, nullptr, 0, 0, SAM3I_RGB, 0};
const sam3i_prompt kPromptDefaults = {sizeof kPromptDefaults, nullptr, SAM3I_AUTO, nullptr, 0, nullptr, 0};

// A struct must end where its last field does: what filled it up would become a field's value in the next version.
#define ENDS_WITH(type, field) static_assert(sizeof(type) == offsetof(type, field) + sizeof(type::field))
ENDS_WITH(sam3i_load_options, nms);
ENDS_WITH(sam3i_image, stride);
ENDS_WITH(sam3i_prompt, negative_box_count);
ENDS_WITH(sam3i_segment_options, threshold);
ENDS_WITH(sam3i_instances, mask_stride);
#undef ENDS_WITH

constexpr std::size_t kLargestStruct = 4096;  // what is longer was never set

void check_struct_size(std::size_t size, const char* name) {
  if (size >= sizeof size && size <= kLargestStruct) return;
  throw ArgumentError("The struct_size of a " + std::string(name) + " is " + std::to_string(size) +
                      "; set it to sizeof(" + name + ").");
}

/// A caller's struct, of an older version, whose missing fields are those of `defaults`; or of a newer one, which may
/// ask for nothing that is not known here.
template <typename Struct>
Struct read(const Struct* given, Struct defaults, const char* name) {
  if (!given) return defaults;
  const std::size_t size = given->struct_size;
  check_struct_size(size, name);
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (size > sizeof defaults && std::any_of(bytes + sizeof defaults, bytes + size, [](auto byte) { return byte; })) {
    throw ArgumentError(std::string("A field of a ") + name +
                        " is set that this library does not know: it is version " + version() +
                        ", and the program was built with a later one. Leave the field 0, or update.");
  }
  std::memcpy(&defaults, given, std::min(size, sizeof defaults));
  return defaults;
}

/// `value` into a caller's struct, which may be of another version: no byte behind its end is touched.
template <typename Struct>
void write(Struct value, Struct* out, const char* name) {
  const std::size_t size = out->struct_size;
  check_struct_size(size, name);
  value.struct_size = size;
  std::memset(out, 0, size);
  std::memcpy(out, &value, std::min(size, sizeof value));
}

std::vector<Box> boxes_of(const sam3i_box* boxes, std::size_t count) {
  if (!boxes && count) throw ArgumentError("A prompt's boxes are NULL, but their count is not 0.");
  std::vector<Box> found;
  for (std::size_t i = 0; i < count; ++i) found.push_back({boxes[i].x0, boxes[i].y0, boxes[i].x1, boxes[i].y1});
  return found;
}

/// An enumerator as the number that it is in C, where it may be any.
template <typename Enum>
int number_of(const Enum& value) {
  static_assert(sizeof value == sizeof(int));
  int number = 0;
  std::memcpy(&number, &value, sizeof number);
  return number;
}

/// All of an array's prompts, whose elements are as long as the first says.
std::vector<Prompt> prompts_of(const sam3i_prompt* prompts, std::size_t count) {
  std::vector<Prompt> made;
  for (std::size_t i = 0; i < count; ++i) {
    const auto* at = reinterpret_cast<const unsigned char*>(prompts) + i * prompts->struct_size;
    const auto* given = reinterpret_cast<const sam3i_prompt*>(at);
    if (given->struct_size != prompts->struct_size) {
      throw ArgumentError("Prompt " + std::to_string(i) + " has the struct_size " + std::to_string(given->struct_size) +
                          ", the first has " + std::to_string(prompts->struct_size) +
                          "; set all to sizeof(sam3i_prompt).");
    }
    const sam3i_prompt prompt = read(given, kPromptDefaults, "sam3i_prompt");
    made.emplace_back(prompt.text ? prompt.text : "", static_cast<Route>(number_of(prompt.route)),
                      boxes_of(prompt.boxes, prompt.box_count),
                      boxes_of(prompt.negative_boxes, prompt.negative_box_count));
  }
  return made;
}

LoadOptions options_of(const sam3i_load_options* caller) {
  const sam3i_load_options given = read(caller, kLoadDefaults, "sam3i_load_options");
  const int integrity = number_of(given.integrity);
  if (integrity < SAM3I_INTEGRITY_FULL || integrity > SAM3I_INTEGRITY_SIZE) {
    throw ArgumentError("The integrity is " + std::to_string(integrity) + "; use an enumerator of sam3i_integrity.");
  }
  LoadOptions options;
  options.integrity = static_cast<Integrity>(integrity);
  if (given.device) options.device = given.device;
  if (given.runtime) options.runtime = given.runtime;
  if (given.threshold != kNotGiven) options.threshold = given.threshold;
  if (given.nms != kNotGiven) options.nms = given.nms;
  if (given.threads != -1) options.threads = given.threads;
  if (given.expect) options.expect = given.expect;
  return options;
}

/// To be freed with sam3i_string_free.
char* copied(const std::string& text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (!copy) throw std::bad_alloc();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

SegmentOptions options_of(const sam3i_segment_options* given) {
  const sam3i_segment_options options = read(given, kSegmentDefaults, "sam3i_segment_options");
  const int format = number_of(options.format), size = number_of(options.size);
  if (format < SAM3I_MASK_BYTES || format > SAM3I_MASK_NONE || size < SAM3I_MASK_IMAGE || size > SAM3I_MASK_GRAPH) {
    throw ArgumentError("The masks' format is " + std::to_string(format) + ", their size " + std::to_string(size) +
                        "; use the enumerators of sam3i_mask_format and sam3i_mask_size.");
  }
  SegmentOptions made{static_cast<MaskFormat>(format), static_cast<MaskSize>(size), std::nullopt};
  if (options.threshold != kNotGiven) made.threshold = options.threshold;
  return made;
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

sam3i_status sam3i_default_load_options(sam3i_load_options* out) {
  if (!out) return refuse("sam3i_default_load_options: out is NULL.");
  return guarded([&] { write(kLoadDefaults, out, "sam3i_load_options"); });
}

sam3i_status sam3i_default_segment_options(sam3i_segment_options* out) {
  if (!out) return refuse("sam3i_default_segment_options: out is NULL.");
  return guarded([&] { write(kSegmentDefaults, out, "sam3i_segment_options"); });
}

sam3i_status sam3i_segmenter_load(const char* bundle, const sam3i_load_options* options, sam3i_segmenter** out) {
  if (!bundle || !out) return refuse("sam3i_segmenter_load: bundle or out is NULL.");
  return guarded([&] {
    Segmenter segmenter = Segmenter::load(bundle, options_of(options));
    std::string device = segmenter.device();
    std::string fingerprint = segmenter.info().fingerprint;
    *out = new sam3i_segmenter{std::move(segmenter), std::move(device), std::move(fingerprint)};
  });
}

void sam3i_segmenter_free(sam3i_segmenter* segmenter) { delete segmenter; }

sam3i_status sam3i_segmenter_close(sam3i_segmenter* segmenter) {
  if (!segmenter) return refuse("sam3i_segmenter_close: segmenter is NULL.");
  return guarded([&] { segmenter->segmenter.close(); });
}

sam3i_status sam3i_segmenter_device(const sam3i_segmenter* segmenter, const char** out) {
  if (!segmenter || !out) return refuse("sam3i_segmenter_device: segmenter or out is NULL.");
  return guarded([&] {
    segmenter->segmenter.device();  // throws once it is closed
    *out = segmenter->device.c_str();
  });
}

sam3i_status sam3i_segmenter_fingerprint(const sam3i_segmenter* segmenter, const char** out) {
  if (!segmenter || !out) return refuse("sam3i_segmenter_fingerprint: segmenter or out is NULL.");
  *out = segmenter->fingerprint.c_str();
  return SAM3I_OK;
}

sam3i_status sam3i_verify(const char* bundle, const sam3i_load_options* options, int* passed, char** problem) {
  if (!bundle) return refuse("sam3i_verify: bundle is NULL.");
  return guarded([&] {
    const std::string text = verify(bundle, options_of(options)).problem();
    if (problem) *problem = copied(text);
    if (passed) *passed = text.empty();
  });
}

sam3i_status sam3i_segmenter_encode(const sam3i_segmenter* segmenter, const sam3i_image* image, sam3i_frame** out) {
  if (!segmenter || !image || !out) return refuse("sam3i_segmenter_encode: segmenter, image or out is NULL.");
  return guarded([&] {
    const sam3i_image given = read(image, kImageDefaults, "sam3i_image");
    const ImageView view = {given.data, given.width, given.height, static_cast<PixelFormat>(number_of(given.format)),
                            given.stride};
    *out = new sam3i_frame{segmenter->segmenter.encode(view)};
  });
}

void sam3i_frame_free(sam3i_frame* frame) { delete frame; }

sam3i_status sam3i_frame_segment(const sam3i_frame* frame, const sam3i_prompt* prompts, size_t count,
                                 const sam3i_segment_options* options, sam3i_results** out) {
  if (!frame || (!prompts && count) || !out) return refuse("sam3i_frame_segment: frame, prompts or out is NULL.");
  return guarded(
      [&] { *out = new sam3i_results{frame->frame.segment(prompts_of(prompts, count), options_of(options))}; });
}

void sam3i_results_free(sam3i_results* results) { delete results; }

size_t sam3i_results_count(const sam3i_results* results) { return results ? results->instances.size() : 0; }

sam3i_status sam3i_results_get(const sam3i_results* results, size_t prompt, sam3i_instances* out) {
  if (!results || !out || prompt >= results->instances.size()) {
    return refuse("sam3i_results_get: results or out is NULL, or there is no such prompt.");
  }
  return guarded([&] {
    const Instances& found = results->instances[prompt];
    const Masks& masks = found.masks;
    const sam3i_instances made = {sizeof made,
                                  static_cast<sam3i_route>(found.route),
                                  masks.width,
                                  masks.height,
                                  found.size(),
                                  found.scores.data(),
                                  found.boxes.empty() ? nullptr : found.boxes.front().data(),
                                  masks.data.get(),
                                  masks.stride};
    write(made, out, "sam3i_instances");
  });
}

sam3i_status sam3i_results_rle(const sam3i_results* results, size_t prompt, size_t instance, char** out) {
  if (!results || !out || prompt >= results->instances.size() || instance >= results->instances[prompt].size()) {
    return refuse("sam3i_results_rle: results or out is NULL, or there is no such prompt or instance.");
  }
  return guarded([&] { *out = copied(results->instances[prompt].rle(instance)); });
}

void sam3i_string_free(char* text) { std::free(text); }
