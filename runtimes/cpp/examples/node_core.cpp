#include "node_core.hpp"

#include <cstddef>
#include <map>
#include <utility>

namespace examples {

using sam3i_edge::ImageError;
using sam3i_edge::Instances;
using sam3i_edge::PixelFormat;

namespace {

constexpr std::size_t kMostLabels = 255;

Detection detection_of(const Instances& found, std::size_t i, const std::string& text) {
  const auto& box = found.boxes[i];
  return {(box[0] + box[2]) / 2.0, (box[1] + box[3]) / 2.0, box[2] - box[0], box[3] - box[1], found.scores[i], text};
}

/// Writes `label` where mask `i` is and no label stands yet.
void draw(const Instances& found, std::size_t i, std::uint8_t label, ImageMessage& labels) {
  for (std::size_t y = 0; y < labels.height; ++y) {
    for (std::size_t x = 0; x < labels.width; ++x) {
      std::uint8_t& pixel = labels.data[y * labels.step + x];
      if (pixel == 0 && found.contains(i, static_cast<int>(x), static_cast<int>(y))) pixel = label;
    }
  }
}

}  // namespace

sam3i_edge::ImageView view_of(const ImageMessage& image) {
  struct Encoding {
    PixelFormat format;
    std::size_t bytes;  // of a pixel
  };
  static const std::map<std::string, Encoding> formats = {{"rgb8", {PixelFormat::rgb, 3}},
                                                          {"bgr8", {PixelFormat::bgr, 3}},
                                                          {"rgba8", {PixelFormat::rgba, 4}},
                                                          {"bgra8", {PixelFormat::bgra, 4}},
                                                          {"mono8", {PixelFormat::grey, 1}}};
  const auto format = formats.find(image.encoding);
  if (format == formats.end()) {
    throw ImageError("The encoding is '" + image.encoding + "'; known: rgb8, bgr8, rgba8, bgra8, mono8.");
  }
  if (image.step < image.width * format->second.bytes) {  // 0 too, which a view takes for packed rows
    throw ImageError("The image's step is " + std::to_string(image.step) + " bytes, fewer than a row has.");
  }
  if (image.data.size() < std::size_t{image.step} * image.height) {
    throw ImageError("The image has " + std::to_string(image.data.size()) + " bytes, fewer than step x height.");
  }
  return {image.data.data(), static_cast<int>(image.width), static_cast<int>(image.height), format->second.format,
          static_cast<std::ptrdiff_t>(image.step)};
}

NodeCore::NodeCore(sam3i_edge::Segmenter segmenter, std::vector<sam3i_edge::Prompt> prompts)
    : segmenter_(std::move(segmenter)), prompts_(std::move(prompts)) {}

DetectionsMessage NodeCore::handle(const ImageMessage& image) const {
  const auto found = segmenter_.segment(view_of(image), prompts_);
  DetectionsMessage message{image.stamp, image.frame_id, {}, {}};
  message.labels = {image.stamp, image.frame_id, image.height, image.width, "mono8", image.width, {}};
  message.labels.data.resize(std::size_t{image.width} * image.height);
  for (std::size_t k = 0; k < found.size(); ++k) {
    for (std::size_t i = 0; i < found[k].size() && message.detections.size() < kMostLabels; ++i) {
      message.detections.push_back(detection_of(found[k], i, prompts_[k].text));
      draw(found[k], i, static_cast<std::uint8_t>(message.detections.size()), message.labels);
    }
  }
  return message;
}

}  // namespace examples
