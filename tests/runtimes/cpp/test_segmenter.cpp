// The same instances as in Python: every route, boxes, batches, on every runtime of this build.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <future>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

#include "engine.hpp"
#include "golden.hpp"
#include "messages.hpp"
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
  Prompt prompt(values.at("text").get<std::string>(), parse_route(values.at("route").get<std::string>()));
  for (const auto& box : values.at("boxes")) prompt.boxes.push_back(box_of(box));
  for (const auto& box : values.at("negative_boxes")) prompt.negative_boxes.push_back(box_of(box));
  return prompt;
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
  EXPECT_EQ(to_string(found.route), expected.at("route").get<std::string>());
  ASSERT_EQ(found.size(), scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    EXPECT_NEAR(found.scores[i], scores[i], 1e-3);
    for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(found.boxes[i][k], boxes[i][k], 0.05) << i;
    EXPECT_GE(iou(found, i, masks), 0.995) << "instance " << i << " of score " << scores[i];
  }
}

/// How many instances Python found, all the same as ours, and of how many prompts.
std::pair<std::size_t, std::size_t> expect_same(const Segmenter& segmenter, const fs::path& where) {
  std::size_t instances = 0, prompts = 0;
  for (const auto& one : read_json(where / "answers.json")) {
    const auto image = read_array(where, one.at("image"));
    const Frame frame = segmenter.encode(golden::view_of(image));
    for (const auto& set : one.at("sets")) {
      std::vector<Prompt> asked;
      for (const auto& answer : set) asked.push_back(prompt_of(answer.at("prompt")));
      const auto found = frame.segment(asked);
      EXPECT_EQ(found.size(), set.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        expect_same(found[i], set[i], where);
        instances += found[i].size();
      }
      prompts += found.size();
    }
  }
  return {instances, prompts};
}

/// Another session, whose ports or outputs a test may change: as a graph that was exchanged, or a device that is
/// broken.
class Altered : public detail::Session {
 public:
  using Change = std::function<void(detail::Tensors& outputs)>;

  explicit Altered(std::unique_ptr<Session> session, Change change = {})
      : inputs_(session->inputs()), outputs_(session->outputs()), session_(std::move(session)), change_(change) {}
  detail::Tensors run(const detail::Tensors& inputs) override {
    auto outputs = session_->run(inputs);
    if (change_) change_(outputs);
    return outputs;
  }
  std::string device() const override { return session_->device(); }
  const detail::Ports& inputs() const override { return inputs_; }
  const detail::Ports& outputs() const override { return outputs_; }

  detail::Ports inputs_, outputs_;

 private:
  std::unique_ptr<Session> session_;
  Change change_;
};

class Segmenters : public golden::Pictured {};

TEST_F(Segmenters, SameInstancesAsInPython) {
  ASSERT_FALSE(runtimes().empty());
  for (const auto& [name, path] : bundles()) {
    for (const std::string& runtime : golden::usable_runtimes()) {
      SCOPED_TRACE(name + " on " + runtime);
      const auto manifest = detail::open_bundle(path).manifest;
      // Below fp32 every runtime rounds in its own way; Python answered on the target's.
      if (manifest.precision != "fp32" && runtime != manifest.target.runtime) continue;
      options_.runtime = runtime;
      EXPECT_GT(expect_same(Segmenter::load(path, options_), folder() / name).second, 5u);
    }
  }
}

TEST_F(Segmenters, WithoutDuplicatesSameInstancesAsInPython) {
  const auto built = golden::usable_runtimes();
  for (const auto& [name, path] : bundles()) {
    SCOPED_TRACE(name);
    options_.runtime = detail::open_bundle(path).manifest.target.runtime;
    // Another runtime rounds in another way: an IoU that is close to the limit may lie on its other side.
    if (std::find(built.begin(), built.end(), options_.runtime) == built.end()) continue;
    options_.nms = 0.5;  // as golden.py has it
    const Segmenter segmenter = Segmenter::load(path, options_);
    const auto [instances, prompts] = expect_same(segmenter, folder() / name / "distinct");
    EXPECT_GE(instances, prompts);
    EXPECT_LT(2 * instances, prompts * static_cast<std::size_t>(segmenter.info().max_instances));
  }
}

TEST_F(Segmenters, ThresholdAndOneStep) {
  const Segmenter segmenter = load();
  const Prompt prompt("mug", Route::Concept);
  const Instances all = segmenter.segment(view(), prompt);
  ASSERT_GT(all.size(), 2u);
  const Frame frame = segmenter.encode(view());
  SegmentOptions options;
  options.threshold = options_.threshold = all.scores[1];
  const Instances best = frame.segment(prompt, options);
  EXPECT_EQ(best.size(), 1u);
  EXPECT_EQ(best.scores[0], all.scores[0]);
  EXPECT_EQ(frame.segment(prompt).size(), all.size());  // of one call only
  EXPECT_EQ(load().segment(view(), prompt).size(), 1u);
  EXPECT_TRUE(frame.segment(std::vector<Prompt>{}).empty());
  for (const double wrong : {1.5, -1.0, std::nan("")}) {
    options.threshold = wrong;
    EXPECT_THROW(frame.segment(prompt, options), PromptError);
    EXPECT_THROW(segmenter.segment(view(), prompt, options), PromptError);
  }
}

TEST_F(Segmenters, PromptsThatAreRefused) {
  const Segmenter segmenter = load();
  const std::string size = std::to_string(view().width) + " wide and " + std::to_string(view().height) + " high";
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<Prompt, std::string>> cases = {
      {" \t\n",
       "The prompt's text is empty. Say what to segment, for example 'the red mug'; if boxes alone should decide, "
       "use the text 'visual'."},
      {"\xff", "The prompt's text is not valid UTF-8."},
      {" Visual\n",
       "The text 'visual' lets boxes alone decide, and the prompt has none. Give it boxes, or say what to segment, for "
       "example 'the red mug'."},
      {{"mug", static_cast<Route>(7)}, "The route is 7; use one of its enumerators."},
      {{"mug", Route::Auto, {{5, 5, 5, 9}}},
       "Box(x0=5.0, y0=5.0, x1=5.0, y1=9.0) is empty or inverted: Box takes (x0, y0, x1, y1) with x0 < x1 and y0 < "
       "y1."},
      {{"mug", Route::Auto, {}, {{0, 0, inf, 9}}},
       "Box(x0=0.0, y0=0.0, x1=inf, y1=9.0): the coordinates must be finite."},
      {{"mug", Route::Auto, {{-1, 0, 5, 9}}},
       "Box(x0=-1.0, y0=0.0, x1=5.0, y1=9.0) reaches outside the image, which is " + size +
           ". Clip it to the image, or check that it is in pixels of this image."},
      {{"it's", Route::Auto, std::vector<Box>(17, {0, 0, 5, 9})},
       "The prompt \"it's\" has 17 boxes; this bundle takes 16."}};
  const Frame frame = segmenter.encode(view());
  for (const auto& [prompt, message] : cases) {
    const auto& one = prompt;
    EXPECT_EQ(golden::refusal<PromptError>([&] { segmenter.segment(view(), one); }), message);
    EXPECT_EQ(golden::refusal<PromptError>([&] { frame.segment({one, one}); }), message);
  }
}

TEST(Routes, HaveNames) {
  for (const std::string name : {"auto", "concept", "simple", "complex"}) EXPECT_EQ(to_string(parse_route(name)), name);
  for (const std::string name : {"simpel", "s\xffmple"}) {
    EXPECT_EQ(
        golden::refusal<PromptError>([&] { parse_route(name); }),
        "Unknown route " + detail::in_quotes(name) + ". Known: concept, simple, complex, auto. Did you mean 'simple'?");
  }
}

TEST_F(Segmenters, BracesAreAListOfPrompts) {
  const Segmenter segmenter = load();
  const Frame frame = segmenter.encode(view());
  const std::string hammer = "hammer", mug = "mug";
  const Prompt prompt{"hammer", Route::Simple};
  const auto routes = [](const std::vector<Instances>& found) {
    std::vector<std::string> names;
    for (const Instances& one : found) names.push_back(to_string(one.route));
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(frame.segment({}).size(), 0u);
  EXPECT_EQ(frame.segment({"hammer"}).size(), 1u);
  EXPECT_EQ(frame.segment({"hammer", "mug"}).size(), 2u);
  EXPECT_EQ(frame.segment({hammer, mug}).size(), 2u);
  EXPECT_EQ(frame.segment({{"hammer"}, {"mug"}}).size(), 2u);
  EXPECT_EQ(routes(frame.segment({{"hammer", Route::Simple}, {"mug", Route::Concept}})), (Names{"simple", "concept"}));
  EXPECT_EQ(routes(frame.segment({{"hammer", Route::Simple}})), Names{"simple"});
  EXPECT_EQ(routes(frame.segment({prompt, prompt})), (Names{"simple", "simple"}));
  EXPECT_EQ(frame.segment({"hammer", {"mug", Route::Auto, {{5, 5, 9, 9}}}}, {MaskFormat::none}).size(), 2u);
  EXPECT_EQ(segmenter.segment(view(), {"hammer", "mug"}).size(), 2u);
  EXPECT_EQ(routes(segmenter.segment(view(), {{"hammer", Route::Simple}, {"mug", Route::Concept}})),
            (Names{"simple", "concept"}));
  // Without braces around it, one prompt is one answer.
  EXPECT_EQ(frame.segment(Prompt{"hammer", Route::Simple}).route, Route::Simple);
  EXPECT_EQ(frame.segment(hammer).scores, frame.segment("hammer").scores);
}

TEST_F(Segmenters, ValuesThatAreNotFiniteAreNoAnswer) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::string, float>> cases = {{"logits", nan}, {"logits", inf}, {"presence", nan},
                                                            {"masks", nan},  {"boxes", -inf}, {"text", nan},
                                                            {"fine", inf},   {"coarse", nan}};
  std::pair<std::string, float> one;
  const auto change = [&one](detail::Tensors& outputs) {
    const auto found = outputs.find(one.first);
    if (found != outputs.end()) *found->second.as<float>() = one.second;
  };
  detail::Engine engine(path_, options_, [&](const auto& runtime, const auto& graph, const auto& how) {
    return std::make_unique<Altered>(detail::open_session(runtime, graph, how), change);
  });
  for (const auto& each : cases) {
    one = each;
    engine.clear_caches();
    const bool is_vision = one.first == "fine" || one.first == "coarse";
    const std::string graph = is_vision ? "vision" : one.first == "text" ? "text" : "grounding";
    EXPECT_EQ(golden::refusal<BundleError>([&] {
                const auto features = engine.encode(view());
                engine.check_features(*features);
                engine.segment(*features, {"mug"}, {});
              }),
              "The " + graph + " graph computed values that are not finite (" + one.first + ") on " + engine.device() +
                  ". Do not use this bundle here: sam3i-edge verify shows every output. If they are right, this input "
                  "overflows in half precision: export again with --precision fp32 or int8.");
  }
}

TEST_F(Segmenters, ATextThatIsEncodedHoldsUpNoOther) {
  std::promise<void> inside, leave;
  std::atomic<int> runs{0};
  const auto change = [&](detail::Tensors& outputs) {
    if (!outputs.count("text") || runs++ > 0) return;
    inside.set_value();
    leave.get_future().wait();
  };
  detail::Engine engine(path_, options_, [&](const auto& runtime, const auto& graph, const auto& how) {
    return std::make_unique<Altered>(detail::open_session(runtime, graph, how), change);
  });
  const auto features = engine.encode(view());
  auto slow = std::async(std::launch::async, [&] { return engine.segment(*features, {"the slow one"}, {}); });
  inside.get_future().wait();
  auto other = std::async(std::launch::async, [&] { return engine.segment(*features, {"hammer"}, {}); });
  EXPECT_EQ(other.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  leave.set_value();
  EXPECT_EQ(slow.get().size(), 1u);
}

TEST(Lru, HoldsNoMoreThanItsBytes) {
  detail::Lru<int> kept(1000);
  kept.add("too large", 1, 1000);
  EXPECT_EQ(kept.find("too large"), nullptr);
  EXPECT_EQ(kept.bytes(), 0u);
  for (const char* key : {"a", "b", "c"}) kept.add(key, *key, 100);
  EXPECT_EQ(kept.find("a"), nullptr);
  EXPECT_EQ(*kept.find("b"), 'b');  // now the newest
  kept.add("d", 'd', 100);
  EXPECT_EQ(kept.find("c"), nullptr);
  kept.add(std::string(100, 'x'), 'x', 0);  // a long key takes its place, too
  EXPECT_EQ(kept.find("b"), nullptr);
  EXPECT_EQ(*kept.find("d"), 'd');
  EXPECT_LE(kept.bytes(), 1000u);
  kept.clear();
  EXPECT_EQ(kept.bytes(), 0u);
}

TEST_F(Segmenters, AGraphThatIsNotAsTheManifestSays) {
  const auto load_with = [&](const std::string& name, const detail::Port& port) {
    detail::Engine(path_, options_, [&](const auto& runtime, const auto& graph, const auto& how) {
      auto session = std::make_unique<Altered>(detail::open_session(runtime, graph, how));
      for (auto* ports : {&session->inputs_, &session->outputs_}) {
        if (ports->count(name)) port.shape.empty() ? void(ports->erase(name)) : void((*ports)[name] = port);
      }
      return session;
    });
  };
  const auto spec = detail::open_bundle(path_).manifest.graphs.at("grounding").outputs;
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
  for (const auto& [name, port] : cases) EXPECT_THROW(load_with(name, port), BundleError) << name;
}

/// Changes a copy of a bundle as if it had been made in fp16 for an NVIDIA runtime, with an engine of the text graph.
void make_for(const std::string& runtime, const fs::path& copy) {
  fs::create_directories(copy / "engines");
  detail::write_whole(copy / "engines/text.engine", "engine");
  auto manifest = golden::read_json(copy / "manifest.json");
  manifest["files"]["engines/text.engine"] = {{"bytes", 6}, {"sha256", detail::sha256_of_bytes("engine")}};
  auto& part = manifest["runtime"];
  part["precision"] = "fp16";
  part["target"]["attention"] = "unfused";
  part["target"]["runtime"] = runtime;
  part["target"]["settings"] = nlohmann::json::object();  // those of the bundle's own runtime are not known to this one
  part["engines"] = {{{"graph", "text"},
                      {"file", "engines/text.engine"},
                      {"compute_capabilities", {"8.9"}},
                      {"built_by", "TensorRT-RTX 1.7.1.116"}}};
  detail::write_whole(copy / "manifest.json", manifest.dump());
}

TEST_F(Segmenters, AGraphGetsItsOwnEngines) {
  const golden::Copy copy(path_);
  make_for("tensorrt-rtx", copy.path);
  options_.runtime = golden::usable_runtimes().front();
  std::map<std::string, std::vector<detail::CarriedEngine>> given;
  const detail::Engine engine(copy.path, options_, [&](const auto& runtime, const auto& graph, const auto& how) {
    given[graph.stem().string()] = how.engines;
    return detail::open_session(runtime, graph, how);
  });
  EXPECT_EQ(given.size(), 3u);
  EXPECT_TRUE(given.at("vision").empty() && given.at("grounding").empty());
  ASSERT_EQ(given.at("text").size(), 1u);
  EXPECT_EQ(detail::open_bundle(copy.path).manifest.target.attention, "unfused");
  EXPECT_EQ(given.at("text").front().file, copy.path / "engines/text.engine");
  EXPECT_EQ(given.at("text").front().compute_capabilities, std::vector<std::string>{"8.9"});
  EXPECT_EQ(given.at("text").front().built_by, "TensorRT-RTX 1.7.1.116");
}

TEST_F(Segmenters, HalfPrecisionOfNvidiasGraphsStandsInTheirTypes) {
  options_.runtime = golden::usable_runtimes().front();
  for (const std::string runtime : {"tensorrt", "tensorrt-rtx"}) {
    const golden::Copy copy(path_);
    make_for(runtime, copy.path);
    EXPECT_EQ(detail::Engine(copy.path, options_).precision(), "fp16") << runtime;
  }
}

TEST(Load, ThreadsThatNobodyCanMean) {
  for (const int threads : {-1, std::numeric_limits<int>::min(), 1025, std::numeric_limits<int>::max()}) {
    LoadOptions options;
    options.threads = threads;
    EXPECT_EQ(golden::refusal<RuntimeUnavailableError>([&] { Segmenter::load("none", options); }),
              "The number of threads is " + std::to_string(threads) +
                  "; it must be 0 (the runtime's own choice) or more, at most 1024.");
  }
}

TEST_F(Segmenters, ThreadsAsGiven) {
  options_.threads = 1;
  EXPECT_NO_THROW(load().segment(view(), "mug"));
}

TEST_F(Segmenters, ClosedOnesSaySo) {
  Segmenter segmenter = load();
  const Frame frame = segmenter.encode(view());
  segmenter.close();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(segmenter.encode(view()), RuntimeUnavailableError);
    EXPECT_THROW(frame.segment("mug"), RuntimeUnavailableError);
    EXPECT_THROW(segmenter.device(), RuntimeUnavailableError);
    segmenter.close();
  }
}

TEST_F(Segmenters, AFrameOutlivesTheNextImageAndTheSegmenter) {
  auto other = picture_;
  for (auto& byte : other.bytes) byte = static_cast<std::uint8_t>(255 - byte);
  auto segmenter = std::make_unique<Segmenter>(load());
  const Frame frame = segmenter->encode(view());
  const auto before = frame.segment("mug");
  segmenter->encode(golden::view_of(other));
  segmenter.reset();
  EXPECT_EQ(frame.segment("mug").scores, before.scores);
}

TEST_F(Segmenters, OneThatFindsAllItMaySaysSo) {
  const Segmenter segmenter = load();
  std::string warning;
  set_warning_handler([&](const std::string& text) { warning = text; });
  const auto found = segmenter.segment(view(), "mug");
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
  // A corner of it, and two masks for each text: the sanitizers' time is for threads, and pixels are no thread's but
  // one.
  ImageView image = view();
  image.stride = 3 * image.width;
  image.width = 64, image.height = 48;
  const Segmenter segmenter = load();
  const std::vector<Prompt> prompts = {"cup 1", {"cup 2", Route::Simple}, {"cup 3", Route::Complex}};
  double least = 1;
  for (const auto& found : segmenter.segment(image, prompts)) least = std::min<double>(least, found.scores.at(2));
  SegmentOptions options;
  options.threshold = least;
  const auto expected = segmenter.segment(image, prompts, options);
  for (const auto& found : expected) ASSERT_GE(found.size(), 2u);
  std::atomic<int> wrong = 0, done = 0;
  std::vector<std::thread> workers;
  for (int number = 0; number < threads; ++number) {
    workers.emplace_back([&, number] {
      for (int i = 0; i < frames / threads; ++i) {
        auto asking = prompts;
        asking.emplace_back("new text " + std::to_string(number * frames + i));  // the caches grow and forget
        const auto found = segmenter.segment(image, asking, options);
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
    const Segmenter segmenter = Segmenter::load(path, options_);
    EXPECT_EQ(segmenter.info().precision, "fp32");
    EXPECT_EQ(segmenter.info().image_size, 224);
    EXPECT_EQ(segmenter.info().max_boxes, 16);
    EXPECT_EQ(segmenter.route_of({"mug", Route::Complex}), Route::Complex);
    EXPECT_NE(segmenter.route_of("mug"), Route::Auto);
    EXPECT_NE(segmenter.device().find("CPU"), std::string::npos);
  }
}

/// What a program does whose other threads do not know that it ends.
void end_during_calls(const fs::path& bundle) {
  static std::vector<std::uint8_t> pixels(64 * 48 * 3, 90);
  static const ImageView image{pixels.data(), 64, 48};
  static const Segmenter segmenter = Segmenter::load(bundle);
  segmenter.segment(image, "mug");
  std::thread([] {
    for (;;) segmenter.segment(image, "mug");
  }).detach();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  std::exit(7);
}

TEST(Processes, EndDuringCalls) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const auto& [name, bundle] : bundles()) EXPECT_EXIT(end_during_calls(bundle), testing::ExitedWithCode(7), "");
}

/// How a forked child ended that did `work` and then left as programs do.
template <typename Work>
int status_of_child(const Work& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    work();
    std::exit(7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Processes, ForkAfterLoading) {
  const std::vector<std::uint8_t> pixels(64 * 48 * 3, 90);
  const ImageView image{pixels.data(), 64, 48};
  for (const auto& [name, bundle] : bundles()) {
    std::optional<Segmenter> segmenter(Segmenter::load(bundle));
    segmenter->segment(image, "mug");
    EXPECT_EQ(status_of_child([&] { segmenter->segment(image, "mug"); }), 7);
    EXPECT_EQ(status_of_child([&] { segmenter.reset(); }), 7);
    EXPECT_EQ(status_of_child([&] { segmenter->close(); }), 7);
    segmenter->segment(image, "mug");
  }
}

TEST(Processes, ForkDuringALoad) {
  for (const auto& [name, bundle] : bundles()) {
    std::promise<void> entered, forked;
    std::once_flag first;
    const detail::Opener open = [&](const auto& runtime, const auto& graph, const auto& options) {
      std::call_once(first, [&] {
        entered.set_value();
        forked.get_future().wait();
      });
      return detail::open_session(runtime, graph, options);
    };
    std::thread loader([&, path = bundle] { detail::Engine(path, {}, open); });
    entered.get_future().wait();
    const auto refused = [path = bundle] {
      try {
        Segmenter::load(path);
      } catch (const RuntimeUnavailableError& error) {
        const std::string told = error.what();
        if (told.find("forked while another thread was loading a bundle with ") != std::string::npos) return;
      }
      std::_Exit(1);
    };
    EXPECT_EQ(status_of_child(refused), 7);
    forked.set_value();
    loader.join();
  }
}

/// Ends as a child that loads, while its parent keeps what it loaded open or not: with 3 where that is refused.
void load_in_a_child(const fs::path& bundle, const std::string& runtime, bool is_open) {
  LoadOptions options;
  options.runtime = runtime;
  std::optional<Segmenter> segmenter(Segmenter::load(bundle, options));
  if (!is_open) segmenter.reset();
  std::_Exit(status_of_child([&] {
    try {
      Segmenter::load(bundle, options);
    } catch (const RuntimeUnavailableError& error) {
      std::_Exit(std::string(error.what()).find("or after one was closed") == std::string::npos ? 1 : 3);
    }
  }));
}

TEST(Processes, LoadInAChild) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // in a process of its own, which closed nothing before
  const fs::path bundle = bundles().front().second;
  for (const std::string& runtime : golden::usable_runtimes()) {
    EXPECT_EXIT(load_in_a_child(bundle, runtime, true), testing::ExitedWithCode(7), "") << runtime;
    const int status = runtime == "openvino" ? 3 : 7;  // which keeps idle threads
    EXPECT_EXIT(load_in_a_child(bundle, runtime, false), testing::ExitedWithCode(status), "") << runtime;
  }
}

TEST(Processes, ForkDuringACall) {
  const std::vector<std::uint8_t> pixels(64 * 48 * 3, 90);
  const ImageView image{pixels.data(), 64, 48};
  for (const auto& [name, bundle] : bundles()) {
    std::promise<void> entered, forked;
    detail::Engine engine(bundle, {}, detail::open_session, [&](const char* stage, auto) {
      if (stage == std::string("vision")) {
        entered.set_value();
        forked.get_future().wait();
      }
    });
    std::thread caller([&] { engine.encode(image); });
    entered.get_future().wait();
    const auto refused = [&] {
      try {
        engine.encode(image);
      } catch (const RuntimeUnavailableError& error) {
        if (std::string(error.what()).find("another thread was inside it just then") != std::string::npos) return;
      }
      std::_Exit(1);
    };
    EXPECT_EQ(status_of_child(refused), 7);
    forked.set_value();
    caller.join();
  }
}

}  // namespace
}  // namespace sam3i_edge
