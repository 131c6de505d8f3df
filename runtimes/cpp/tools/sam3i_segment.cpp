// sam3i-segment: find in an image what a text means.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "draw.hpp"
#include "images.hpp"
#include "output.hpp"
#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/segmenter.hpp"
#include "sam3i_edge/verify.hpp"

namespace {

using namespace sam3i_edge;

constexpr const char* kUsage = R"(usage: sam3i-segment [options] BUNDLE IMAGE TEXT
       sam3i-segment --verify [--device NAME] [--runtime NAME] [--expect FINGERPRINT] [--json] BUNDLE
       sam3i-segment --help | --version

find in an image what a text means; or replay the bundle's golden cases on this device

  --route NAME                concept, simple, complex or auto (auto)
  --box X0,Y0,X1,Y1           an example, in pixels; may be repeated
  --negative-box X0,Y0,X1,Y1  a counterexample; may be repeated
  --threshold SCORE           least score (the bundle's own of the route, mostly 0.5)
  --nms IOU                   of two masks that overlap more, drop one (the bundle's own, mostly 1: none)
  --device NAME               a device of the runtime's (that of the bundle's target)
  --runtime NAME              another runtime than the bundle's target has
  --expect FINGERPRINT        refuse a bundle that has another one
  -o, --output FILE           write the image with the masks drawn on it, as PPM
  --force                     replace an output that exists
  --json                      print a COCO dataset of what was found, or all that was compared, as JSON
  --verify                    compare every output with the float model's; exit status 1 where one is off
)";

/// A command line that cannot be understood.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Arguments {
  std::vector<std::string> names;  // bundle, image, text
  LoadOptions load;
  Route route = Route::Auto;
  std::string output;
  std::vector<Box> boxes, negative_boxes;
  bool json = false, verify = false, force = false;
};

double number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end) throw UsageError("'" + text + "' is no number.");
  return value;
}

Box box_of(const std::string& text) {
  Box box;
  int end = 0;
  if (std::sscanf(text.c_str(), "%lf,%lf,%lf,%lf%n", &box.x0, &box.y0, &box.x1, &box.y1, &end) != 4 ||
      static_cast<std::size_t>(end) != text.size()) {
    throw PromptError("The box '" + text + "' is not of the form X0,Y0,X1,Y1, in pixels.");
  }
  return box;
}

Arguments parse(const std::vector<std::string>& given) {
  Arguments parsed;
  const std::map<std::string, std::function<void(const std::string&)>> options = {
      {"--route", [&](const std::string& value) { parsed.route = parse_route(value); }},
      {"--box", [&](const std::string& value) { parsed.boxes.push_back(box_of(value)); }},
      {"--negative-box", [&](const std::string& value) { parsed.negative_boxes.push_back(box_of(value)); }},
      {"--threshold", [&](const std::string& value) { parsed.load.threshold = number(value); }},
      {"--nms", [&](const std::string& value) { parsed.load.nms = number(value); }},
      {"--device", [&](const std::string& value) { parsed.load.device = value; }},
      {"--runtime", [&](const std::string& value) { parsed.load.runtime = value; }},
      {"--expect", [&](const std::string& value) { parsed.load.expect = value; }},
      {"--output", [&](const std::string& value) { parsed.output = value; }},
      {"-o", [&](const std::string& value) { parsed.output = value; }}};
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto option = options.find(given[i]);
    if (option != options.end()) {
      if (++i == given.size()) throw UsageError(option->first + " needs a value.");
      option->second(given[i]);
    } else if (given[i] == "--json") {
      parsed.json = true;
    } else if (given[i] == "--force") {
      parsed.force = true;
    } else if (given[i] == "--verify") {
      parsed.verify = true;
    } else if (given[i].size() > 1 && given[i][0] == '-') {
      throw UsageError("Unknown option '" + given[i] + "'.");
    } else {
      parsed.names.push_back(given[i]);
    }
  }
  const std::string& name = parsed.output;
  if (!name.empty() && (name.size() < 4 || name.compare(name.size() - 4, 4, ".ppm") != 0)) {
    throw UsageError("-o writes PPM, and nothing else: '" + name + "' does not end in .ppm.");
  }
  if (parsed.verify && parsed.names.size() != 1) throw UsageError("--verify takes a BUNDLE, and nothing else.");
  if (!parsed.verify && parsed.names.size() != 3) throw UsageError("BUNDLE, IMAGE and TEXT are needed.");
  return parsed;
}

/// Every line of the tool goes through here: what a file says is text, and acts on no terminal.
void show(std::FILE* to, const std::string& line) { tools::print(to, printable(line) + "\n"); }

template <typename... Values>
std::string format(const char* form, Values... values) {
  std::string text(static_cast<std::size_t>(std::snprintf(nullptr, 0, form, values...)) + 1, ' ');
  std::snprintf(text.data(), text.size(), form, values...);
  text.pop_back();
  return text;
}

/// In ASCII: JSON has escapes of its own.
void show_json(const nlohmann::ordered_json& content) {
  show(stdout, content.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
}

double rounded(double value, double parts) { return std::round(value * parts) / parts; }

/// A COCO dataset, as Python's `segment --json` prints it: see docs/output.md.
void print_json(const Arguments& arguments, const tools::Picture& picture, const Instances& found, double threshold) {
  auto annotations = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& box = found.boxes[i];
    const auto pixels = [](double value) { return rounded(value, 1e3); };
    annotations.push_back({{"id", i + 1},
                           {"image_id", 1},
                           {"category_id", 1},
                           {"text", arguments.names[2]},
                           {"score", rounded(found.scores[i], 1e6)},
                           {"bbox", {pixels(box[0]), pixels(box[1]), pixels(box[2] - box[0]), pixels(box[3] - box[1])}},
                           {"area", found.area(i)},
                           {"iscrowd", 0},
                           {"segmentation", {{"size", {picture.height, picture.width}}, {"counts", found.rle(i)}}}});
  }
  const auto only = [](nlohmann::ordered_json one) { return nlohmann::ordered_json::array({std::move(one)}); };
  show_json(
      {{"info", {{"schema", "sam3i-edge segments"}, {"schema_version", 1}}},
       {"images",
        only({{"id", 1}, {"file_name", arguments.names[1]}, {"width", picture.width}, {"height", picture.height}})},
       {"categories",
        only({{"id", 1}, {"name", arguments.names[2]}, {"route", to_string(found.route)}, {"threshold", threshold}})},
       {"annotations", annotations}});
}

void print_text(const Instances& found, double threshold) {
  show(stdout, format("%zu found above %g on the route %s", found.size(), threshold, to_string(found.route)));
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& box = found.boxes[i];
    show(stdout, format("%3zu score %.3f  box %.1f, %.1f, %.1f, %.1f  mask %zu pixels", i + 1, found.scores[i], box[0],
                        box[1], box[2], box[3], found.area(i)));
  }
}

void print_json(const Verdict& verdict) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array(), answers = checks;
  for (const Check& check : verdict.checks) {
    checks.push_back({{"name", check.name},
                      {"difference", {{"max_abs", check.max_abs}, {"sqnr_db", check.sqnr_db}}},
                      {"passed", check.passed}});
  }
  for (const AnswerCheck& answer : verdict.answers) {
    answers.push_back({{"prompt", answer.prompt},
                       {"route", to_string(answer.route)},
                       {"mask_iou", answer.mask_iou},
                       {"score_change", answer.score_change},
                       {"passed", answer.passed}});
  }
  const nlohmann::ordered_json content = {{"device", verdict.device},   {"precision", verdict.precision},
                                          {"checks", checks},           {"answers", answers},
                                          {"remedy", verdict.remedy},   {"fingerprint", verdict.fingerprint},
                                          {"passed", verdict.passed()}, {"problem", verdict.problem()}};
  show_json(content);
}

void print_text(const Verdict& verdict) {
  const auto word = [](bool passed) { return passed ? "ok" : "FAILED"; };
  for (const Check& check : verdict.checks) {
    show(stdout, format("%-25s max |diff| %9.2e  SQNR %6.1f dB  %s", check.name.c_str(), check.max_abs, check.sqnr_db,
                        word(check.passed)));
  }
  for (const AnswerCheck& answer : verdict.answers) {
    show(stdout, format("'%s' (%s)", answer.prompt.c_str(), to_string(answer.route)));
    show(stdout, format("%-25s mask IoU >= %.4f  score change <= %.1e  %s", "", answer.mask_iou, answer.score_change,
                        word(answer.passed)));
  }
  show(stdout, (verdict.passed() ? "passed on " : "FAILED on ") + verdict.device + ", " + verdict.precision +
                   (verdict.passed() ? "" : ": " + verdict.problem()));
  show(stdout, "fingerprint " + verdict.fingerprint);
}

int run(const Arguments& arguments) {
  if (arguments.verify) {
    const Verdict verdict = verify(arguments.names[0], arguments.load);
    arguments.json ? print_json(verdict) : print_text(verdict);
    return verdict.passed() ? 0 : 1;
  }
  if (!arguments.output.empty()) tools::check_output(arguments.output, arguments.force);
  const tools::Picture picture = tools::read_picture(arguments.names[1]);
  const Segmenter segmenter = Segmenter::load(arguments.names[0], arguments.load);
  const Prompt prompt(arguments.names[2], arguments.route, arguments.boxes, arguments.negative_boxes);
  const Instances found = segmenter.segment(picture.view(), prompt);
  const double threshold = segmenter.postprocessing().thresholds.at(found.route);
  arguments.json ? print_json(arguments, picture, found, threshold) : print_text(found, threshold);
  if (!arguments.output.empty()) {
    tools::write_picture(arguments.output, tools::draw(picture, found));
    show(arguments.json ? stderr : stdout, "written to " + arguments.output);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  tools::guard_streams();
  const std::vector<std::string> given(argv + 1, argv + argc);
  const std::string only = given.size() == 1 ? given[0] : "";
  if (only == "-h" || only == "--help") {
    tools::print(stdout, kUsage);
    return tools::flushed(0);
  }
  if (only == "--version") {
    show(stdout, std::string("sam3i-segment ") + version());
    return tools::flushed(0);
  }
  try {
    const Arguments arguments = parse(given);
    return tools::flushed(run(arguments), !arguments.output.empty() && !arguments.verify);
  } catch (const UsageError& error) {
    tools::print(stderr, kUsage);
    show(stderr, "");
    show(stderr, std::string("error: ") + error.what());
    return 2;
  } catch (const std::exception& error) {
    show(stderr, std::string("error: ") + error.what());
    return 1;
  }
}
