// The core of a ROS 2 node without ROS: messages in and out are plain structs of the same shape as sensor_msgs/Image
// and vision_msgs/Detection2DArray, so that a node only copies fields. Not yet run inside ROS.
#pragma once

#include <cstdint>
#include <sam3i_edge/segmenter.hpp>
#include <string>
#include <vector>

namespace examples {

struct Stamp {
  std::int32_t sec = 0;
  std::uint32_t nanosec = 0;
};

struct ImageMessage {  // as sensor_msgs/Image
  Stamp stamp;
  std::string frame_id;
  std::uint32_t height = 0, width = 0;
  std::string encoding;    // rgb8, bgr8, rgba8, bgra8 or mono8
  std::uint32_t step = 0;  // bytes of a row
  std::vector<std::uint8_t> data;
};

struct Detection {  // as vision_msgs/Detection2D: a centre and a size, in pixels
  double center_x = 0, center_y = 0, size_x = 0, size_y = 0;
  float score = 0;
  std::string class_id;  // the prompt's text
};

struct DetectionsMessage {
  Stamp stamp;           // the image's
  std::string frame_id;  // the image's
  std::vector<Detection> detections;
  ImageMessage
      labels;  // mono8: 0, or 1 + the index of the detection; of those that overlap the best of the first prompt
};

class NodeCore {
 public:
  NodeCore(sam3i_edge::Segmenter segmenter, std::vector<sam3i_edge::Prompt> prompts);

  /// Throws sam3i_edge::Error: an encoding that is none of the five, data shorter than it says, or as `segment`.
  DetectionsMessage handle(const ImageMessage& image) const;

 private:
  sam3i_edge::Segmenter segmenter_;
  std::vector<sam3i_edge::Prompt> prompts_;
};

/// The pixels of a message, which must outlive the view. Throws sam3i_edge::ImageError.
sam3i_edge::ImageView view_of(const ImageMessage& image);

}  // namespace examples
