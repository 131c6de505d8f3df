// sam3i-segment: find in an image what a text means.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "images.hpp"
#include "sam3i_edge/segmenter.hpp"
#include "sam3i_edge/verify.hpp"

namespace {

using namespace sam3i_edge;

constexpr const char* kUsage = R"(usage: sam3i-segment [options] BUNDLE IMAGE TEXT
       sam3i-segment --verify [--device NAME] [--runtime NAME] [--json] BUNDLE

find in an image what a text means; or replay the bundle's golden cases on this device

  --route NAME                concept, simple, complex or auto (auto)
  --box X0,Y0,X1,Y1           an example, in pixels; may be repeated
  --negative-box X0,Y0,X1,Y1  a counterexample; may be repeated
  --threshold SCORE           least score (0.5)
  --device NAME               a device of the runtime's (that of the bundle's target)
  --runtime NAME              another runtime than the bundle's target has
  -o, --output FILE           write the image with the masks drawn on it, as PPM
  --json                      print boxes, scores and masks (COCO RLE), or all that was compared, as JSON
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
  std::string route = "auto", output;
  std::vector<Box> boxes, negative_boxes;
  bool json = false, verify = false;
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
      {"--route", [&](const std::string& value) { parsed.route = value; }},
      {"--box", [&](const std::string& value) { parsed.boxes.push_back(box_of(value)); }},
      {"--negative-box", [&](const std::string& value) { parsed.negative_boxes.push_back(box_of(value)); }},
      {"--threshold", [&](const std::string& value) { parsed.load.threshold = number(value); }},
      {"--device", [&](const std::string& value) { parsed.load.device = value; }},
      {"--runtime", [&](const std::string& value) { parsed.load.runtime = value; }},
      {"--output", [&](const std::string& value) { parsed.output = value; }},
      {"-o", [&](const std::string& value) { parsed.output = value; }}};
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto option = options.find(given[i]);
    if (option != options.end()) {
      if (++i == given.size()) throw UsageError(option->first + " needs a value.");
      option->second(given[i]);
    } else if (given[i] == "--json") {
      parsed.json = true;
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

void print_json(const Arguments& arguments, const Instances& found) {
  nlohmann::ordered_json content = {{"image", arguments.names[1]},
                                    {"text", arguments.names[2]},
                                    {"threshold", arguments.load.threshold},
                                    {"route", found.route},
                                    {"instances", nlohmann::ordered_json::array()}};
  for (std::size_t i = 0; i < found.size(); ++i) {
    content["instances"].push_back(
        {{"score", found.scores[i]},
         {"box", found.boxes[i]},
         {"segmentation", {{"size", {found.masks.height, found.masks.width}}, {"counts", found.rle(i)}}}});
  }
  std::cout << content.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";  // a path
}

void print_text(const Arguments& arguments, const Instances& found) {
  std::printf("%zu found above %g on the route %s\n", found.size(), arguments.load.threshold, found.route.c_str());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& box = found.boxes[i];
    std::printf("  score %.3f  box %.1f, %.1f, %.1f, %.1f  mask %zu pixels\n", found.scores[i], box[0], box[1], box[2],
                box[3], found.area(i));
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
                       {"route", answer.route},
                       {"mask_iou", answer.mask_iou},
                       {"score_change", answer.score_change},
                       {"passed", answer.passed}});
  }
  const nlohmann::ordered_json content = {
      {"device", verdict.device},    {"precision", verdict.precision}, {"checks", checks},
      {"answers", answers},          {"remedy", verdict.remedy},       {"passed", verdict.passed()},
      {"problem", verdict.problem()}};
  std::cout << content.dump() << "\n";
}

void print_text(const Verdict& verdict) {
  const auto word = [](bool passed) { return passed ? "ok" : "FAILED"; };
  for (const Check& check : verdict.checks) {
    std::printf("%-25s max |diff| %9.2e  SQNR %6.1f dB  %s\n", check.name.c_str(), check.max_abs, check.sqnr_db,
                word(check.passed));
  }
  for (const AnswerCheck& answer : verdict.answers) {
    std::printf("'%s' (%s)\n%-25s mask IoU >= %.4f  score change <= %.1e  %s\n", answer.prompt.c_str(),
                answer.route.c_str(), "", answer.mask_iou, answer.score_change, word(answer.passed));
  }
  std::printf("%s on %s, %s%s%s\n", verdict.passed() ? "passed" : "FAILED", verdict.device.c_str(),
              verdict.precision.c_str(), verdict.passed() ? "" : ": ", verdict.problem().c_str());
}

/// Tints each instance in a colour of its own.
tools::Picture draw(tools::Picture picture, const Instances& found) {
  constexpr int kColours[][3] = {{230, 60, 60}, {60, 140, 230}, {70, 190, 90}, {240, 180, 40}, {170, 90, 210}};
  for (std::size_t i = found.size(); i-- > 0;) {
    const auto& colour = kColours[i % 5];
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        if (!found.contains(i, x, y)) continue;
        std::uint8_t* pixel = &picture.rgb[(static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
                                            static_cast<std::size_t>(x)) *
                                           3];
        for (int k = 0; k < 3; ++k) pixel[k] = static_cast<std::uint8_t>((pixel[k] + colour[k]) / 2);
      }
    }
  }
  return picture;
}

int run(const Arguments& arguments) {
  if (arguments.verify) {
    const Verdict verdict = verify(arguments.names[0], arguments.load);
    arguments.json ? print_json(verdict) : print_text(verdict);
    return verdict.passed() ? 0 : 1;
  }
  const tools::Picture picture = tools::read_picture(arguments.names[1]);
  const Segmenter segmenter = Segmenter::load(arguments.names[0], arguments.load);
  const Prompt prompt(arguments.names[2], arguments.route, arguments.boxes, arguments.negative_boxes);
  const Instances found = segmenter.segment(picture.view(), prompt);
  arguments.json ? print_json(arguments, found) : print_text(arguments, found);
  if (!arguments.output.empty()) tools::write_picture(arguments.output, draw(picture, found));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> given(argv + 1, argv + argc);
  if (given == std::vector<std::string>{"-h"} || given == std::vector<std::string>{"--help"}) {
    std::cout << kUsage;
    return 0;
  }
  try {
    return run(parse(given));
  } catch (const UsageError& error) {
    std::cerr << kUsage << "\nerror: " << error.what() << "\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
