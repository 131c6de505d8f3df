#include "sam3i_edge/verify.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "engine.hpp"
#include "golden.hpp"
#include "messages.hpp"
#include "resize.hpp"
#include "tolerances.hpp"

namespace sam3i_edge {
namespace detail {
namespace {

using Values = std::vector<float>;
using Arrays = std::map<std::string, Values>;  // by name, the rows of all prompts

Values sampled(const Values& values, std::size_t step) {
  Values kept;
  for (std::size_t i = 0; i < values.size(); i += step) kept.push_back(values[i]);
  return kept;
}

void append(const Tensor& tensor, Values& to) {
  const std::size_t count = tensor.bytes() / size_of(tensor.dtype);
  if (tensor.dtype == DType::float32) {
    to.insert(to.end(), tensor.as<float>(), tensor.as<float>() + count);
  } else if (tensor.dtype == DType::int32) {
    std::transform(tensor.as<std::int32_t>(), tensor.as<std::int32_t>() + count, std::back_inserter(to),
                   [](std::int32_t value) { return static_cast<float>(value); });
  } else {
    to.insert(to.end(), tensor.as<std::uint8_t>(), tensor.as<std::uint8_t>() + count);
  }
}

/// What the grounding graph gives for the last `kept` of the prompts.
Arrays ground(Engine& engine, const Features& features, const std::vector<Prompt>& prompts, std::size_t kept) {
  Arrays all;
  const auto first_kept = static_cast<std::int64_t>(prompts.size() - kept);
  engine.ground(features, prompts, engine.pairs_of(prompts),
                [&](std::int64_t first, std::int64_t rows, const Tensors& outputs) {
                  const std::int64_t skipped = std::clamp<std::int64_t>(first_kept - first, 0, rows);
                  if (skipped == rows) return;
                  for (const auto& [name, tensor] : outputs) append(tensor.rows(skipped, rows - skipped), all[name]);
                });
  return all;
}

struct Aligned {
  Arrays outputs;
  std::vector<bool> missing;  ///< of the instances of all prompts; their places hold what no tolerance allows
};

/// The outputs with the instances in the order of the golden ones: two that score alike may come in either order.
Aligned aligned(Arrays found, const Values& wanted) {
  const Values& indices = found.at("query_index");
  if (wanted.size() != indices.size()) {
    throw BundleError("The golden cases name " + std::to_string(wanted.size()) + " instances, the bundle finds " +
                      std::to_string(indices.size()) + ".");
  }
  const std::size_t count = found.at("presence").size(), most = indices.size() / count;
  Aligned made{{{"presence", found.at("presence")}}, std::vector<bool>(indices.size())};
  for (const char* name : {"logits", "boxes", "masks"}) {
    const Values& values = found.at(name);
    const std::size_t size = values.size() / indices.size();
    Values& picked = made.outputs[name];
    picked.resize(values.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto row = indices.begin() + static_cast<std::ptrdiff_t>(i / most * most);
      const auto place = std::find(row, row + static_cast<std::ptrdiff_t>(most), wanted[i]);
      if (place == row + static_cast<std::ptrdiff_t>(most)) {
        made.missing[i] = true;
        std::fill_n(picked.begin() + static_cast<std::ptrdiff_t>(i * size), size, std::nanf(""));
        continue;
      }
      const auto from = values.begin() + (place - indices.begin()) * static_cast<std::ptrdiff_t>(size);
      std::copy_n(from, size, picked.begin() + static_cast<std::ptrdiff_t>(i * size));
    }
  }
  return made;
}

double sigmoid(double x) { return 0.5 * (1 + std::tanh(0.5 * x)); }

/// The scores of all prompts' instances, from logits and presence.
std::vector<double> scores_of(const Values& logits, const Values& presence) {
  std::vector<double> scores;
  const std::size_t most = logits.size() / presence.size();
  for (std::size_t i = 0; i < logits.size(); ++i) scores.push_back(sigmoid(logits[i]) * sigmoid(presence[i / most]));
  return scores;
}

/// IoU of each of `count` masks with the golden one, of which `inside` has the pixels as bits; none for tiny ones.
std::vector<std::optional<double>> mask_ious(const Values& found, const std::vector<std::uint8_t>& inside,
                                             std::size_t count, std::int64_t min_pixels) {
  const std::size_t size = found.size() / count, bytes = (size + 7) / 8;
  std::vector<std::optional<double>> ious(count);
  if (inside.size() != count * bytes) return std::vector<std::optional<double>>(count, 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    double both = 0, either = 0;
    for (std::size_t pixel = 0; pixel < size; ++pixel) {
      const bool a = found[i * size + pixel] > 0, b = inside[i * bytes + pixel / 8] >> (7 - pixel % 8) & 1;
      both += a && b;
      either += a || b;
    }
    if (either >= static_cast<double>(min_pixels)) ious[i] = both / std::max(either, 1.0);
  }
  return ious;
}

class Replay {
 public:
  Replay(Engine& engine, const Golden& golden)
      : engine_(engine), golden_(golden), tolerances_(tolerances_of(engine.manifest(), engine.precision())) {}

  Verdict verdict() {
    verdict_.device = engine_.device();
    verdict_.precision = engine_.precision();
    verdict_.remedy = remedy_of(engine_.manifest(), engine_.device());
    const auto side = static_cast<int>(engine_.manifest().model.image_size);
    std::vector<std::uint8_t> pixels(std::size_t{3} * static_cast<std::size_t>(side) * static_cast<std::size_t>(side));
    resize(golden_.image(), side, side, pixels.data());
    check("preprocess/image", {pixels.begin(), pixels.end()});
    const auto features = engine_.encode(golden_.image());
    for (const std::string& name : kFeatures) check("vision/" + name, values_of(engine_.feature(*features, name)));
    check("text/text", values_of(engine_.encode_texts(engine_.pairs_of(golden_.prompts)).first));
    check_grounding(*features);
    return std::move(verdict_);
  }

 private:
  static Values values_of(const Tensor& tensor) {
    Values values;
    append(tensor, values);
    return values;
  }

  const Values& expected(const std::string& name) const { return golden_.expected.at(name).values; }

  void check_grounding(const Features& features) {
    const auto& prompts = golden_.prompts;
    const auto most = static_cast<std::size_t>(engine_.manifest().limits.max_prompts);
    Arrays alone;
    for (const Prompt& prompt : prompts) {
      for (auto& [name, values] : ground(engine_, features, {prompt}, 1)) {
        alone[name].insert(alone[name].end(), values.begin(), values.end());
      }
    }
    check_answers(check_stage("grounding", alone));
    if (most > 1) {
      std::vector<Prompt> full;
      while (full.size() < most) full.insert(full.end(), prompts.begin(), prompts.end());
      check_stage("grounding of " + std::to_string(most), ground(engine_, features, full, prompts.size()));
    }
  }

  /// What was found, in the golden order; `missing` says which instances gave way to others, and no more.
  Aligned check_stage(const std::string& stage, const Arrays& outputs) {
    Aligned found = aligned(outputs, expected("grounding/query_index"));
    const std::vector<bool> displaced = displaced_of(outputs, found.missing);
    check(stage + "/presence", found.outputs.at("presence"));
    for (const char* name : {"logits", "boxes", "masks"}) check(stage + "/" + name, found.outputs.at(name), displaced);
    found.missing = displaced;
    return found;
  }

  /// Of the missing instances those that the graph may leave for others. The last stand at the edge of what it chooses:
  /// those of the worse half that score like its last do.
  std::vector<bool> displaced_of(const Arrays& outputs, std::vector<bool> missing) const {
    const auto wanted = scores_of(expected("grounding/logits"), expected("grounding/presence"));
    const auto scores = scores_of(outputs.at("logits"), outputs.at("presence"));
    const std::size_t most = wanted.size() / golden_.prompts.size();
    for (std::size_t i = 0; i < missing.size(); ++i) {
      const auto row = scores.begin() + static_cast<std::ptrdiff_t>(i / most * most);
      const double last = *std::min_element(row, row + static_cast<std::ptrdiff_t>(most));
      const bool is_alike = wanted[i] - last <= tolerances_.instances.max_score_change;
      missing[i] = missing[i] && is_alike && i % most >= (most + 1) / 2;
    }
    return missing;
  }

  /// `name` is "stage/output"; a stage may say how many prompts shared a call. `displaced` instances are left out.
  void check(const std::string& name, const Values& actual, const std::vector<bool>& displaced = {}) {
    const std::size_t slash = name.find('/');
    const std::string stored = name.substr(0, std::min(slash, name.find(' '))) + name.substr(slash);
    const auto& [wanted, step] = golden_.expected.at(stored);
    Values found = sampled(actual, step);
    if (found.size() != wanted.size()) {
      throw BundleError("The golden cases have " + std::to_string(wanted.size()) + " values of " + stored +
                        ", the bundle gives " + std::to_string(found.size()) + ". Export it again.");
    }
    for (std::size_t i = 0; !displaced.empty() && i < found.size(); ++i) {
      if (displaced[i * step / (actual.size() / displaced.size())]) found[i] = wanted[i];
    }
    const Difference difference = measure(found, wanted);
    const Tolerance& tolerance = tolerance_of(tolerances_, name);
    double peak = 1;
    for (const float value : wanted) peak = std::max(peak, std::abs(static_cast<double>(value)));
    const bool passed = difference.max_abs <= tolerance.max_abs * peak && difference.sqnr_db >= tolerance.min_sqnr_db;
    verdict_.checks.push_back({name, difference.max_abs, difference.sqnr_db, passed});
  }

  void check_answers(const Aligned& aligned) {
    const InstanceTolerance& limits = tolerances_.instances;
    const Arrays& found = aligned.outputs;
    const auto wanted = scores_of(expected("grounding/logits"), expected("grounding/presence"));
    const auto scores = scores_of(found.at("logits"), found.at("presence"));
    const auto ious = mask_ious(found.at("masks"), golden_.inside, scores.size(), limits.min_pixels);
    const std::size_t most = scores.size() / golden_.prompts.size();
    for (std::size_t k = 0; k < golden_.prompts.size(); ++k) {
      std::vector<std::size_t> best(most);
      std::iota(best.begin(), best.end(), k * most);
      std::stable_sort(best.begin(), best.end(), [&](std::size_t a, std::size_t b) { return wanted[a] > wanted[b]; });
      best.resize(std::min(most, static_cast<std::size_t>(limits.best)));
      AnswerCheck answer{golden_.prompts[k].text, golden_.prompts[k].route, 1, 0, false};
      for (const std::size_t i : best) {
        if (aligned.missing[i]) continue;
        const double change = std::abs(scores[i] - wanted[i]);
        answer.score_change = std::max(answer.score_change, std::isnan(change) ? 1 : change);  // none can change more
        if (wanted[i] >= limits.min_score && ious[i]) answer.mask_iou = std::min(answer.mask_iou, *ious[i]);
      }
      answer.passed = answer.mask_iou >= limits.min_mask_iou && answer.score_change <= limits.max_score_change;
      verdict_.answers.push_back(std::move(answer));
    }
  }

  Engine& engine_;
  const Golden& golden_;
  const Tolerances& tolerances_;
  Verdict verdict_;
};

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace
}  // namespace detail

bool Verdict::passed() const { return problem().empty(); }

std::string Verdict::problem() const {
  using detail::formatted;
  bool is_suspected = false;  // in the graphs whose fused attention is known to fail
  const Check *first = nullptr, *worst = nullptr;
  std::size_t failed = 0;
  for (const Check& check : checks) {
    if (check.passed) continue;
    ++failed;
    if (!first) first = &check;
    if (!worst || check.sqnr_db < worst->sqnr_db) worst = &check;
    is_suspected |= check.name.rfind("vision/", 0) == 0 || check.name.rfind("grounding", 0) == 0;
  }
  const std::string advice = remedy.empty() ? "" : ". " + remedy;
  if (first) {
    return "first at " + first->name + ", worst " + worst->name + " (SQNR " + formatted("%.1f", worst->sqnr_db) +
           " dB); " + std::to_string(failed) + " of " + std::to_string(checks.size()) +
           " outputs are beyond their tolerance" + (is_suspected ? advice : "");
  }
  const auto wrong = std::find_if(answers.begin(), answers.end(), [](const AnswerCheck& one) { return !one.passed; });
  if (wrong == answers.end()) return "";
  return "the outputs are within their tolerance, but not the instances of " + detail::in_quotes(wrong->prompt) +
         ": mask IoU " + formatted("%.3f", wrong->mask_iou) + ", score changed by " +
         formatted("%.2g", wrong->score_change) + advice;
}

Verdict verify(const std::filesystem::path& bundle, const LoadOptions& options) {
  using namespace detail;
  Engine engine(bundle, options);
  const Golden golden = read_golden(bundle, engine.manifest().golden);
  Verdict verdict = Replay(engine, golden).verdict();
  verdict.fingerprint = engine.info().fingerprint;
  return verdict;
}

}  // namespace sam3i_edge
