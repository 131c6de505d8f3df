#include "domain.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base64.hpp"
#include "messages.hpp"
#include "schema.hpp"
#include "warning.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kMostToldWords = 100;

double distance(const FeatureStatistics& features, const std::vector<double>& means) {
  const std::size_t count = means.size();
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double row = 0;
    for (std::size_t j = 0; j < count; ++j) {
      row += double{features.precision[i * count + j]} * (means[j] - features.mean[j]);
    }
    sum += row * (means[i] - features.mean[i]);
  }
  return std::sqrt(std::max(sum, 0.0));
}

}  // namespace

std::vector<float> decode_precision(const std::string& text, const std::vector<double>& mean) {
  const auto bytes = decode_base64(text, "precision");
  std::vector<float> values(bytes.size() / sizeof(float));
  if (bytes.size() % sizeof(float) || values.size() != mean.size() * mean.size() || mean.empty()) {
    throw SchemaError("precision has " + std::to_string(values.size()) + " values; expected " +
                      std::to_string(mean.size()) + " x " + std::to_string(mean.size()) + ".");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {  // little-endian, on any processor
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 4; ++k) bits |= std::uint32_t{bytes[4 * i + k]} << 8 * k;
    std::memcpy(&values[i], &bits, sizeof(bits));
  }
  return values;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> found;
  std::string word;
  std::vector<std::string> piece;
  bool is_ascii = true;
  const auto end_word = [&] {
    if (word.size() > 1) piece.push_back(word);
    word.clear();
  };
  const auto end_piece = [&] {
    end_word();
    if (is_ascii) found.insert(found.end(), piece.begin(), piece.end());
    piece.clear();
    is_ascii = true;
  };
  for (const char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      end_piece();
    } else if (c >= 'a' && c <= 'z') {
      word += c;
    } else if (c >= 'A' && c <= 'Z') {
      word += static_cast<char>(c - 'A' + 'a');
    } else {
      end_word();
      is_ascii = is_ascii && static_cast<unsigned char>(c) < 0x80;
    }
  }
  end_piece();
  return found;
}

DomainAdvice::DomainAdvice(std::optional<Domain> domain) : domain_(std::move(domain)) {
  if (domain_) known_.insert(domain_->words.begin(), domain_->words.end());
}

void DomainAdvice::on_text(const std::string& text) {
  if (!domain_) return;
  for (const std::string& word : words_of(text)) {
    if (known_.count(word)) continue;
    {
      const std::lock_guard lock(mutex_);
      if (told_.size() >= kMostToldWords || !told_.insert(word).second) continue;
    }
    warn("The word " + in_quotes(word) + " is in none of the texts that this model was trained on (" + domain_->note +
         ").");
  }
}

void DomainAdvice::on_image(const float* coarse, std::size_t channels, std::size_t cells) {
  if (!domain_ || !domain_->features || channels != domain_->features->mean.size()) return;
  {
    const std::lock_guard lock(mutex_);
    if (told_of_image_) return;
  }
  std::vector<double> means;
  for (std::size_t i = 0; i < channels; ++i) {
    double sum = 0;
    for (std::size_t cell = 0; cell < cells; ++cell) sum += coarse[i * cells + cell];
    means.push_back(sum / static_cast<double>(cells));
  }
  if (!(distance(*domain_->features, means) > domain_->features->limit)) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(told_of_image_, true)) return;
  }
  warn("The image is unlike those that this model was trained on (" + domain_->note + ").");
}

}  // namespace sam3i_edge::detail
