// A cv::Mat as an ImageView. Include it only where OpenCV is; the library itself does without.
#pragma once

#include <opencv2/core/mat.hpp>

#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/image.hpp"

namespace sam3i_edge {

/// The pixels of `mat`, CV_8UC1, CV_8UC3 (BGR) or CV_8UC4 (BGRA), without a copy; `mat` must outlive the view.
/// For channels in another order set the format of the view. Throws ImageError for any other type.
inline ImageView view_of(const cv::Mat& mat) {
  const auto step = static_cast<std::ptrdiff_t>(mat.step[0]);
  switch (mat.dims == 2 ? mat.type() : -1) {
    case CV_8UC1:
      return {mat.data, mat.cols, mat.rows, PixelFormat::grey, step};
    case CV_8UC3:
      return {mat.data, mat.cols, mat.rows, PixelFormat::bgr, step};
    case CV_8UC4:
      return {mat.data, mat.cols, mat.rows, PixelFormat::bgra, step};
    default:
      throw ImageError("The cv::Mat is not of type CV_8UC1, CV_8UC3 or CV_8UC4. Convert it with cv::Mat::convertTo.");
  }
}

}  // namespace sam3i_edge
