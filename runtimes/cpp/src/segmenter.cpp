#include "sam3i_edge/segmenter.hpp"

#include <utility>

#include "engine.hpp"
#include "resize.hpp"

namespace sam3i_edge {

Frame::Frame(std::shared_ptr<detail::Engine> engine, std::shared_ptr<const detail::Features> features)
    : engine_(std::move(engine)), features_(std::move(features)) {}

Instances Frame::segment(const Prompt& prompt, const SegmentOptions& options) const {
  return std::move(segment(std::vector<Prompt>{prompt}, options).front());
}

std::vector<Instances> Frame::segment(const std::vector<Prompt>& prompts, const SegmentOptions& options) const {
  return engine_->segment(*features_, prompts, options);
}

int Frame::width() const { return features_->width; }
int Frame::height() const { return features_->height; }

Segmenter::Segmenter(std::shared_ptr<detail::Engine> engine) : engine_(std::move(engine)) {}
Segmenter::Segmenter(Segmenter&&) noexcept = default;
Segmenter& Segmenter::operator=(Segmenter&&) noexcept = default;
Segmenter::~Segmenter() = default;

Segmenter Segmenter::load(const std::filesystem::path& bundle, const LoadOptions& options) {
  return Segmenter(std::make_shared<detail::Engine>(bundle, options));
}

Frame Segmenter::encode(const ImageView& image) const {
  auto features = engine_->encode(image);
  engine_->check_features(*features);
  return {engine_, std::move(features)};
}

std::vector<Instances> Segmenter::segment(const ImageView& image, const std::vector<Prompt>& prompts,
                                          const SegmentOptions& options) const {
  detail::check_image(image);
  const SegmentOptions own = options;  // what another thread makes of them meanwhile does not count
  engine_->check(prompts, own, image.width, image.height);
  return encode(image).segment(prompts, own);
}

Instances Segmenter::segment(const ImageView& image, const Prompt& prompt, const SegmentOptions& options) const {
  return std::move(segment(image, std::vector<Prompt>{prompt}, options).front());
}

Route Segmenter::route_of(const Prompt& prompt) const { return engine_->route_of(prompt); }
std::string Segmenter::device() const { return engine_->device(); }
BundleInfo Segmenter::info() const { return engine_->info(); }
Postprocessing Segmenter::postprocessing() const { return engine_->postprocessing(); }
void Segmenter::close() { engine_->close(); }

std::vector<std::string> runtimes() { return detail::built_runtimes(); }

const char* version() { return SAM3I_EDGE_VERSION; }

}  // namespace sam3i_edge
