// The same instances as in Python: every route, boxes, batches, on every runtime of this build.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "engine.hpp"
#include "golden.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge {
namespace {

namespace fs = std::filesystem;

using golden::bundles;
using golden::folder;
using golden::Json;
using golden::read_array;
using golden::read_json;

Box box_of(const Json& values) { return {values.at("x0"), values.at("y0"), values.at("x1"), values.at("y1")}; }

Prompt prompt_of(const Json& values) {
  Prompt prompt(values.at("text").get<std::string>(), values.at("route").get<std::string>());
  for (const auto& box : values.at("boxes")) prompt.boxes.push_back(box_of(box));
  for (const auto& box : values.at("negative_boxes")) prompt.negative_boxes.push_back(box_of(box));
  return prompt;
}

Segmenter load(const std::filesystem::path& path, const std::string& runtime, double threshold = 0) {
  LoadOptions options;
  options.runtime = runtime;
  options.threshold = threshold;
  return Segmenter::load(path, options);
}

/// Of mask `i` with one that np.packbits packed.
double iou(const Instances& found, std::size_t i, const golden::Array& packed) {
  const int height = packed.shape[1], stride = packed.shape[2];
  const std::uint8_t* expected = packed.bytes.data() + i * static_cast<std::size_t>(height * stride);
  std::size_t both = 0, either = 0;
  for (int y = 0; y < found.masks.height; ++y) {
    for (int x = 0; x < found.masks.width; ++x) {
      const bool a = found.contains(i, x, y), b = expected[y * stride + x / 8] >> (7 - x % 8) & 1;
      both += a && b;
      either += a || b;
    }
  }
  return either ? static_cast<double>(both) / static_cast<double>(either) : 1;
}

void expect_same(const Instances& found, const Json& expected, const std::filesystem::path& where) {
  const auto scores = expected.at("scores").get<std::vector<float>>();
  const auto boxes = expected.at("boxes").get<std::vector<std::array<float, 4>>>();
  const auto masks = read_array(where, expected.at("masks"));
  EXPECT_EQ(found.route, expected.at("route").get<std::string>());
  ASSERT_EQ(found.size(), scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    EXPECT_NEAR(found.scores[i], scores[i], 1e-3);
    for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(found.boxes[i][k], boxes[i][k], 0.05) << i;
    EXPECT_GE(iou(found, i, masks), 0.995) << "instance " << i << " of score " << scores[i];
  }
}

/// A session that says it takes and gives what it does not: as a graph that was exchanged, its hash with it.
class Misleading : public detail::Session {
 public:
  Misleading(std::unique_ptr<Session> session, const std::string& name, const detail::Port& port)
      : session_(std::move(session)), inputs_(session_->inputs()), outputs_(session_->outputs()) {
    auto& ports = inputs_.count(name) ? inputs_ : outputs_;
    port.shape.empty() ? static_cast<void>(ports.erase(name)) : static_cast<void>(ports[name] = port);
  }
  detail::Tensors run(const detail::Tensors& inputs) override { return session_->run(inputs); }
  std::string device() const override { return session_->device(); }
  const detail::Ports& inputs() const override { return inputs_; }
  const detail::Ports& outputs() const override { return outputs_; }

 private:
  std::unique_ptr<Session> session_;
  detail::Ports inputs_, outputs_;
};

class Segmenters : public golden::Golden {
 protected:
  void SetUp() override {
    Golden::SetUp();
    set_warning_handler({});  // at threshold 0 every prompt finds the most there may be
  }
  golden::Array picture() {
    const auto where = folder() / bundles().front().first;
    return read_array(where, read_json(where / "answers.json").at(0).at("image"));
  }
};

TEST_F(Segmenters, SameInstancesAsInPython) {
  ASSERT_FALSE(runtimes().empty());
  for (const auto& [name, path] : bundles()) {
    for (const std::string& runtime : golden::usable_runtimes()) {
      SCOPED_TRACE(name + " on " + runtime);
      const auto manifest = detail::open_bundle(path).manifest;
      // Below fp32 every runtime rounds in its own way; Python answered on the target's.
      if (manifest.precision != "fp32" && runtime != manifest.target.runtime) continue;
      const Segmenter segmenter = load(path, runtime);
      std::size_t compared = 0;
      for (const auto& one : read_json(folder() / name / "answers.json")) {
        const auto image = read_array(folder() / name, one.at("image"));
        const Frame frame = segmenter.encode(golden::view_of(image));
        for (const auto& set : one.at("sets")) {
          std::vector<Prompt> prompts;
          for (const auto& answer : set) prompts.push_back(prompt_of(answer.at("prompt")));
          const auto found = frame.segment(prompts);
          ASSERT_EQ(found.size(), set.size());
          for (std::size_t i = 0; i < found.size(); ++i) expect_same(found[i], set[i], folder() / name);
          compared += found.size();
        }
      }
      EXPECT_GT(compared, 5u);
    }
  }
}

TEST_F(Segmenters, ThresholdAndOneStep) {
  const auto image = picture();
  Segmenter segmenter = load(bundles().front().second, runtimes().front());
  const Prompt prompt("mug", "concept");
  const Instances all = segmenter.segment(golden::view_of(image), prompt);
  ASSERT_GT(all.size(), 2u);
  segmenter.set_threshold(all.scores[1]);
  const Instances best = segmenter.encode(golden::view_of(image)).segment(prompt);
  EXPECT_EQ(best.size(), 1u);
  EXPECT_EQ(best.scores[0], all.scores[0]);
  EXPECT_EQ(segmenter.threshold(), all.scores[1]);
  EXPECT_TRUE(segmenter.encode(golden::view_of(image)).segment(std::vector<Prompt>{}).empty());
  EXPECT_THROW(segmenter.set_threshold(1.5), PromptError);
  EXPECT_THROW(segmenter.set_threshold(std::nan("")), PromptError);
}

TEST_F(Segmenters, PromptsThatAreRefused) {
  const auto image = picture();
  const auto view = golden::view_of(image);
  const Segmenter segmenter = load(bundles().front().second, runtimes().front());
  const std::string size = std::to_string(view.width) + " wide and " + std::to_string(view.height) + " high";
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<Prompt, std::string>> cases = {
      {" \t\n",
       "The prompt's text is empty. Say what to segment, for example 'the red mug'; if boxes alone should decide, "
       "use the text 'visual'."},
      {"\xff", "The prompt's text is not valid UTF-8."},
      {{"mug", "s\xffmple"},
       "Unknown route 's\\xffmple'. Known: concept, simple, complex, auto. Did you mean 'simple'?"},
      {{"mug", "simpel"}, "Unknown route 'simpel'. Known: concept, simple, complex, auto. Did you mean 'simple'?"},
      {{"mug", "auto", {{5, 5, 5, 9}}},
       "Box(x0=5.0, y0=5.0, x1=5.0, y1=9.0) is empty or inverted: Box takes (x0, y0, x1, y1) with x0 < x1 and y0 < "
       "y1."},
      {{"mug", "auto", {}, {{0, 0, inf, 9}}}, "Box(x0=0.0, y0=0.0, x1=inf, y1=9.0): the coordinates must be finite."},
      {{"mug", "auto", {{-1, 0, 5, 9}}},
       "Box(x0=-1.0, y0=0.0, x1=5.0, y1=9.0) reaches outside the image, which is " + size +
           ". Clip it to the image, or check that it is in pixels of this image."},
      {{"it's", "auto", std::vector<Box>(17, {0, 0, 5, 9})},
       "The prompt \"it's\" has 17 boxes; this bundle takes 16."}};
  const Frame frame = segmenter.encode(view);
  for (const auto& [prompt, message] : cases) {
    for (const bool in_one_step : {false, true}) {
      try {
        in_one_step ? segmenter.segment(view, prompt) : frame.segment({prompt, prompt}).front();
        ADD_FAILURE() << message;
      } catch (const PromptError& error) {
        EXPECT_EQ(error.what(), message);
      }
    }
  }
}

TEST_F(Segmenters, BracesAreAListOfPrompts) {
  const auto image = picture();
  const auto view = golden::view_of(image);
  const Segmenter segmenter = load(bundles().front().second, runtimes().front());
  const Frame frame = segmenter.encode(view);
  const std::string hammer = "hammer", mug = "mug";
  const Prompt prompt{"hammer", "simple"};
  const auto routes = [](const std::vector<Instances>& found) {
    std::vector<std::string> names;
    for (const Instances& one : found) names.push_back(one.route);
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(frame.segment({}).size(), 0u);
  EXPECT_EQ(frame.segment({"hammer"}).size(), 1u);
  EXPECT_EQ(frame.segment({"hammer", "mug"}).size(), 2u);
  EXPECT_EQ(frame.segment({hammer, mug}).size(), 2u);
  EXPECT_EQ(frame.segment({{"hammer"}, {"mug"}}).size(), 2u);
  EXPECT_EQ(routes(frame.segment({{"hammer", "simple"}, {"mug", "concept"}})), (Names{"simple", "concept"}));
  EXPECT_EQ(routes(frame.segment({{"hammer", "simple"}})), Names{"simple"});
  EXPECT_EQ(routes(frame.segment({prompt, prompt})), (Names{"simple", "simple"}));
  EXPECT_EQ(frame.segment({"hammer", {"mug", "auto", {{5, 5, 9, 9}}}}, {MaskFormat::none}).size(), 2u);
  EXPECT_EQ(segmenter.segment(view, {"hammer", "mug"}).size(), 2u);
  EXPECT_EQ(routes(segmenter.segment(view, {{"hammer", "simple"}, {"mug", "concept"}})), (Names{"simple", "concept"}));
  // Without braces around it, one prompt is one answer.
  EXPECT_EQ(frame.segment(Prompt{"hammer", "simple"}).route, "simple");
  EXPECT_EQ(frame.segment(hammer).scores, frame.segment("hammer").scores);
}

/// A session one value of whose outputs is no number: as a graph that overflowed, or a device that is broken.
class Broken : public detail::Session {
 public:
  Broken(std::unique_ptr<Session> session, std::string name, float value)
      : session_(std::move(session)), name_(std::move(name)), value_(value) {}
  detail::Tensors run(const detail::Tensors& inputs) override {
    auto outputs = session_->run(inputs);
    const auto found = outputs.find(name_);
    if (found != outputs.end()) *found->second.as<float>() = value_;
    return outputs;
  }
  std::string device() const override { return session_->device(); }
  const detail::Ports& inputs() const override { return session_->inputs(); }
  const detail::Ports& outputs() const override { return session_->outputs(); }

 private:
  std::unique_ptr<Session> session_;
  std::string name_;
  float value_;
};

TEST_F(Segmenters, ValuesThatAreNotFiniteAreNoAnswer) {
  const auto image = picture();
  const auto path = bundles().front().second;
  LoadOptions options;
  options.runtime = runtimes().front();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::string, float>> cases = {
      {"logits", std::nanf("")}, {"logits", inf}, {"presence", std::nanf("")}};
  for (const auto& one : cases) {
    const auto& name = one.first;  // a lambda of C++17 takes no structured binding
    const float value = one.second;
    detail::Engine engine(path, options, [&](const auto& runtime, const auto& graph, const auto& how) {
      return std::make_unique<Broken>(detail::open_session(runtime, graph, how), name, value);
    });
    const auto features = engine.encode(golden::view_of(image));
    try {
      engine.segment(*features, {"mug"}, {});
      ADD_FAILURE() << name << " " << value;
    } catch (const BundleError& error) {
      EXPECT_EQ(error.what(), path.string() + " computed values that are not finite on " + engine.device() +
                                  ". Do not use it here; sam3i-edge verify shows every output.");
    }
  }
}

TEST_F(Segmenters, AGraphThatIsNotAsTheManifestSays) {
  const auto path = bundles().front().second;
  LoadOptions options;
  options.runtime = runtimes().front();
  const auto load_with = [&](const std::string& name, const detail::Port& port) {
    detail::Engine(path, options, [&](const auto& runtime, const auto& graph, const auto& how) {
      auto session = detail::open_session(runtime, graph, how);
      const bool is_it = session->inputs().count(name) || session->outputs().count(name);
      return is_it ? std::make_unique<Misleading>(std::move(session), name, port) : std::move(session);
    });
  };
  const auto spec = detail::open_bundle(path).manifest.graphs.at("grounding").outputs;
  const auto masks = std::find_if(spec.begin(), spec.end(), [](const auto& one) { return one.name == "masks"; })->shape;
  load_with("masks", {detail::DType::float32, masks});
  auto smaller = masks;
  smaller.back() /= 2;
  const std::vector<std::pair<std::string, detail::Port>> cases = {
      {"masks", {detail::DType::float32, smaller}},
      {"masks", {detail::DType::uint8, masks}},
      {"masks", {detail::DType::float32, {masks.begin(), masks.end() - 1}}},
      {"masks", {}},
      {"tokens", {detail::DType::int32, {-1, 77}}}};
  for (const auto& [name, port] : cases) {
    EXPECT_THROW(load_with(name, port), BundleError) << name;
  }
}

/// A copy of a bundle, as if it had been made in fp16 for an NVIDIA runtime, with an engine of the text graph.
fs::path made_for(const std::string& runtime) {
  const fs::path copy = fs::path(testing::TempDir()) / (runtime + "-bundle-" + std::to_string(::getpid()));
  fs::remove_all(copy);
  fs::copy(bundles().front().second, copy, fs::copy_options::recursive);
  fs::create_directories(copy / "engines");
  detail::write_whole(copy / "engines/text.engine", "engine");
  auto manifest = golden::read_json(copy / "manifest.json");
  manifest["precision"] = "fp16";
  manifest["target"]["precisions"] = {"fp16"};
  manifest["target"]["runtime"] = runtime;
  manifest["files"]["engines/text.engine"] = {{"bytes", 6}, {"sha256", detail::sha256_of_bytes("engine")}};
  manifest["tensorrt"] = {{"checked_by", "TensorRT-RTX 1.7.1.116"},
                          {"engines",
                           {{{"graph", "text"},
                             {"file", "engines/text.engine"},
                             {"compute_capabilities", {"8.9"}},
                             {"built_by", "TensorRT-RTX 1.7.1.116"}}}}};
  detail::write_whole(copy / "manifest.json", manifest.dump());
  return copy;
}

TEST_F(Segmenters, AGraphGetsItsOwnEngines) {
  const fs::path path = made_for("tensorrt-rtx");
  LoadOptions options;
  options.runtime = golden::usable_runtimes().front();
  std::map<std::string, std::vector<detail::CarriedEngine>> given;
  const detail::Engine engine(path, options, [&](const auto& runtime, const auto& graph, const auto& how) {
    given[graph.stem().string()] = how.engines;
    return detail::open_session(runtime, graph, how);
  });
  EXPECT_EQ(given.size(), 3u);
  EXPECT_TRUE(given.at("vision").empty() && given.at("grounding").empty());
  ASSERT_EQ(given.at("text").size(), 1u);
  EXPECT_EQ(given.at("text").front().file, path / "engines/text.engine");
  EXPECT_EQ(given.at("text").front().compute_capabilities, std::vector<std::string>{"8.9"});
  EXPECT_EQ(given.at("text").front().built_by, "TensorRT-RTX 1.7.1.116");
  fs::remove_all(path);
}

TEST_F(Segmenters, HalfPrecisionOfNvidiasGraphsStandsInTheirTypes) {
  LoadOptions options;
  options.runtime = golden::usable_runtimes().front();
  for (const std::string runtime : {"tensorrt", "tensorrt-rtx"}) {
    const fs::path path = made_for(runtime);
    EXPECT_EQ(detail::Engine(path, options).precision(), "fp16") << runtime;
    fs::remove_all(path);
  }
}

TEST(Load, ThreadsThatNobodyCanMean) {
  for (const int threads : {-1, std::numeric_limits<int>::min(), (1 << 16) + 1, std::numeric_limits<int>::max()}) {
    LoadOptions options;
    options.threads = threads;
    try {
      Segmenter::load("none", options);
      FAIL();
    } catch (const RuntimeUnavailableError& error) {
      EXPECT_EQ(error.what(), "The number of threads is " + std::to_string(threads) +
                                  "; it must be 0 (the runtime's own choice) or more, at most 65536.");
    }
  }
}

TEST_F(Segmenters, ThreadsAsGiven) {
  const auto image = picture();
  LoadOptions options;
  options.runtime = runtimes().front();
  options.threads = 1;
  EXPECT_NO_THROW(Segmenter::load(bundles().front().second, options).segment(golden::view_of(image), "mug"));
}

TEST_F(Segmenters, ClosedOnesSaySo) {
  const auto image = picture();
  Segmenter segmenter = load(bundles().front().second, runtimes().front());
  const Frame frame = segmenter.encode(golden::view_of(image));
  segmenter.close();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(segmenter.encode(golden::view_of(image)), RuntimeUnavailableError);
    EXPECT_THROW(frame.segment("mug"), RuntimeUnavailableError);
    EXPECT_THROW(segmenter.device(), RuntimeUnavailableError);
    segmenter.close();
  }
}

TEST_F(Segmenters, AFrameOutlivesTheNextImageAndTheSegmenter) {
  const auto image = picture();
  auto other = image;
  for (auto& byte : other.bytes) byte = static_cast<std::uint8_t>(255 - byte);
  auto segmenter = std::make_unique<Segmenter>(load(bundles().front().second, runtimes().front()));
  const Frame frame = segmenter->encode(golden::view_of(image));
  const auto before = frame.segment("mug");
  segmenter->encode(golden::view_of(other));
  segmenter.reset();
  EXPECT_EQ(frame.segment("mug").scores, before.scores);
}

TEST_F(Segmenters, OneThatFindsAllItMaySaysSo) {
  const auto image = picture();
  const Segmenter segmenter = load(bundles().front().second, runtimes().front());
  std::string warning;
  set_warning_handler([&](const std::string& text) { warning = text; });
  const auto found = segmenter.segment(golden::view_of(image), "mug");
  set_warning_handler({});
  EXPECT_EQ(found.size(), static_cast<std::size_t>(segmenter.info().max_instances));
  // Where the model has no more queries than that, there cannot be more.
  EXPECT_TRUE(warning.empty() || warning.find("the most this bundle returns") != std::string::npos) << warning;
}

/// The same but for roundings, which may move a pixel of an edge.
bool is_near(const Instances& found, const Instances& expected) {
  if (found.size() != expected.size()) return false;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto area = static_cast<double>(expected.area(i));
    if (std::abs(found.scores[i] - expected.scores[i]) > 1e-5f) return false;
    if (std::abs(static_cast<double>(found.area(i)) - area) > 2 + 1e-3 * area) return false;
  }
  return true;
}

TEST_F(Segmenters, ThreadsShareOne) {
  const char* asked = std::getenv("SAM3I_EDGE_FRAMES");
  const int frames = asked ? std::atoi(asked) : 40, threads = 4;
  const auto picture = this->picture();
  // A corner of it, and two masks for each text: the sanitizers' time is for threads, and pixels are no thread's but
  // one.
  ImageView image = golden::view_of(picture);
  image.stride = 3 * image.width;
  image.width = 64, image.height = 48;
  Segmenter segmenter = load(bundles().front().second, runtimes().front());
  const std::vector<Prompt> prompts = {"cup 1", {"cup 2", "simple"}, {"cup 3", "complex"}};
  double least = 1;
  for (const auto& found : segmenter.segment(image, prompts)) least = std::min<double>(least, found.scores.at(2));
  segmenter.set_threshold(least);
  const auto expected = segmenter.segment(image, prompts);
  for (const auto& found : expected) ASSERT_GE(found.size(), 2u);
  std::atomic<int> wrong = 0, done = 0;
  std::vector<std::thread> workers;
  for (int number = 0; number < threads; ++number) {
    workers.emplace_back([&, number] {
      for (int i = 0; i < frames / threads; ++i) {
        auto asking = prompts;
        asking.emplace_back("new text " + std::to_string(number * frames + i));  // the caches grow and forget
        const auto found = segmenter.segment(image, asking);
        for (std::size_t k = 0; k < prompts.size(); ++k) wrong += !is_near(found.at(k), expected[k]);
        ++done;
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(done, frames / threads * threads);
}

TEST_F(Segmenters, InfoSaysWhatWasLoaded) {
  for (const auto& [name, path] : bundles()) {
    const Segmenter segmenter = load(path, runtimes().front());
    EXPECT_EQ(segmenter.info().precision, "fp32");
    EXPECT_EQ(segmenter.info().image_size, 224);
    EXPECT_EQ(segmenter.info().max_boxes, 16);
    EXPECT_EQ(segmenter.route_of({"mug", "complex"}), "complex");
    EXPECT_NE(segmenter.route_of("mug"), "auto");
    EXPECT_NE(segmenter.device().find("CPU"), std::string::npos);
  }
}

}  // namespace
}  // namespace sam3i_edge
