// A cv::Mat is taken as it lies in memory.
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "resize.hpp"
#include "sam3i_edge/opencv.hpp"

namespace sam3i_edge {
namespace {

TEST(OpenCv, EveryKindAndASubRegion) {
  cv::Mat bgr(60, 80, CV_8UC3);
  cv::randu(bgr, 0, 256);
  const cv::Mat part = bgr(cv::Rect(10, 20, 33, 17));
  const ImageView view = view_of(part);
  EXPECT_EQ(view.format, PixelFormat::bgr);
  EXPECT_EQ(view.stride, 80 * 3);
  std::vector<std::uint8_t> from_part(16 * 16 * 3), from_copy(16 * 16 * 3);
  const cv::Mat copy = part.clone();
  detail::resize(view, 16, 16, from_part.data());
  detail::resize(view_of(copy), 16, 16, from_copy.data());
  EXPECT_EQ(from_part, from_copy);
  EXPECT_EQ(view_of(cv::Mat(3, 4, CV_8UC1)).format, PixelFormat::grey);
  EXPECT_EQ(view_of(cv::Mat(3, 4, CV_8UC4)).format, PixelFormat::bgra);
  EXPECT_THROW(view_of(cv::Mat(3, 4, CV_32FC3)), ImageError);
  EXPECT_THROW(detail::check_image(view_of(cv::Mat())), ImageError);
}

}  // namespace
}  // namespace sam3i_edge
