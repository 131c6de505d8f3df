// What a model was trained on, where that is little: it says so when it is asked for more.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sam3i_edge::detail {

/// Which images are like those of the training: a normal distribution of the means of D feature channels.
struct FeatureStatistics {
  std::vector<double> mean;      ///< (D,)
  std::vector<float> precision;  ///< (D, D) the inverse of the covariance
  double limit = 0;              ///< an image at a greater Mahalanobis distance is unlike them
};

/// The manifest's section.
struct Domain {
  std::string note;
  std::vector<std::string> kinds, words;
  std::optional<FeatureStatistics> features;
};

/// The matrix that stands in base64 in the manifest. Throws SchemaError where it does not fit `mean`.
std::vector<float> decode_precision(const std::string& text, const std::vector<double>& mean);

/// The words of a text of which `Domain::words` may know: of pieces without anything but ASCII, in lower case.
std::vector<std::string> words_of(const std::string& text);

/// Warns of words and images that a model has never seen the like of, of each word and of the first image. Threads may
/// share one.
class DomainAdvice {
 public:
  explicit DomainAdvice(std::optional<Domain> domain);
  void on_text(const std::string& text);
  /// `coarse` is (D, cells), the vision graph's output of an image.
  void on_image(const float* coarse, std::size_t channels, std::size_t cells);

 private:
  std::optional<Domain> domain_;
  std::set<std::string> known_, told_;
  bool told_of_image_ = false;
  std::mutex mutex_;
};

}  // namespace sam3i_edge::detail
