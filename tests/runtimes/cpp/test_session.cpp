// Every runtime in this build takes what a graph takes, and refuses the rest in the same words.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include "bundle.hpp"
#include "files.hpp"
#include "golden.hpp"
#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/segmenter.hpp"
#include "session.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

SessionOptions options_of(const std::string& runtime) {
  SessionOptions options;
  options.device = default_device(runtime);
  return options;
}

bool is_built(const std::string& runtime) {
  const auto built = built_runtimes();
  return std::find(built.begin(), built.end(), runtime) != built.end();
}

Tensors zeros(std::int64_t rows) {
  return {{"tokens", make_tensor(DType::int32, {rows, 32})}, {"gates", make_tensor(DType::float32, {rows, 3})}};
}

class Runtime : public golden::Golden {
 protected:
  fs::path graph() { return open_bundle(golden::bundles().front().second).graph_path("text"); }
};

TEST_F(Runtime, OutputsAreNobodyElses) {
  for (const std::string& runtime : golden::usable_runtimes()) {
    const auto session = open_session(runtime, graph(), options_of(runtime));
    EXPECT_NE(session->device().find(' '), std::string::npos);
    Tensors inputs = zeros(2);
    const Tensor first = session->run(inputs).at("text");
    const std::vector<float> before(first.as<float>(), first.as<float>() + first.bytes() / 4);
    std::fill_n(inputs.at("tokens").as<std::int32_t>(), 64, 7);
    const Tensor second = session->run(inputs).at("text");
    EXPECT_NE(std::vector<float>(second.as<float>(), second.as<float>() + before.size()), before);
    EXPECT_EQ(std::vector<float>(first.as<float>(), first.as<float>() + before.size()), before);
  }
}

TEST_F(Runtime, InputsThatDoNotFit) {
  const auto change = [](const std::string& name, Tensor tensor) {
    Tensors inputs = zeros(2);
    inputs[name] = std::move(tensor);
    return inputs;
  };
  Tensors missing = zeros(2);
  missing.erase("tokens");
  const std::vector<std::pair<Tensors, std::string>> cases = {
      {missing, "the input 'tokens' is missing."},
      {change("tokns", make_tensor(DType::int32, {1})),
       "Unknown input 'tokns'. Known: gates, tokens. Did you mean 'tokens'?"},
      {change("gates", make_tensor(DType::int32, {2, 3})), "the input 'gates' is int32; it must be float32."},
      {change("gates", make_tensor(DType::float32, {2, 4})),
       "the input 'gates' is 2 x 4; it must be N x 3, N alike for all inputs."},
      {change("tokens", make_tensor(DType::int32, {3, 32})),
       "the input 'tokens' is 3 x 32; it must be N x 32, N alike for all inputs."},
      {change("gates", make_tensor(DType::float32, {3})),
       "the input 'gates' is 3; it must be N x 3, N alike for all inputs."}};
  for (const std::string& runtime : golden::usable_runtimes()) {
    const auto session = open_session(runtime, graph(), options_of(runtime));
    for (const auto& [inputs, message] : cases) {
      const auto run = [&session, &inputs = inputs] { session->run(inputs); };
      EXPECT_EQ(golden::refusal<BundleError>(run), graph().string() + ": " + message);
    }
    session->run(zeros(2));  // and goes on
  }
}

TEST_F(Runtime, AFileThatIsNoGraph) {
  const fs::path file = fs::path(testing::TempDir()) / "graph.onnx";
  std::ofstream(file) << "no graph";
#if defined(__SANITIZE_ADDRESS__)
  const __lsan::ScopedDisabler disabler;  // OpenVINO asks all its readers, and unloads one that has lost 8 bytes
#endif
  for (const std::string& runtime : golden::usable_runtimes()) {
    EXPECT_THROW(open_session(runtime, file, options_of(runtime)), BundleError) << runtime;
  }
}

TEST_F(Runtime, DevicesThatAreNotHere) {
  for (const std::string& runtime : built_runtimes()) {
    SessionOptions options = options_of(runtime);
    for (const char* device : {"nonsense", "", "cuda:x", "AUTO:NPU,CPU"}) {
      options.device = device;
      EXPECT_THROW(open_session(runtime, graph(), options), RuntimeUnavailableError) << runtime << " " << device;
    }
  }
}

bool has_openvino() { return is_built("openvino"); }

TEST_F(Runtime, ADeviceThatOpenVinoDoesNotFind) {
  if (!has_openvino()) GTEST_SKIP() << "OpenVINO is not in this build";
  SessionOptions options = options_of("openvino");
  const auto refusal = [&](const std::string& device) {
    options.device = device;
    return golden::refusal<RuntimeUnavailableError>([&] { open_session("openvino", graph(), options); });
  };
  EXPECT_NE(refusal("GPX").find("Unknown device of OpenVINO here 'GPX'. Known: AUTO, CPU"), std::string::npos);
  for (const std::string device : {"GPU.7", "NPU.7", "AUTO:GPU.7,CPU"}) {  // so many no machine has
    const std::string name = device.substr(device.find("PU.") - 1, 5), told = refusal(device);
    EXPECT_EQ(told.rfind("OpenVINO finds no " + name + " here, only CPU", 0), 0u) << told;
    EXPECT_NE(told.find(". If there is one, install its driver (apt install intel-opencl-icd for graphics, Intel's NPU "
                        "driver for an NPU); sam3i-edge doctor says what is there."),
              std::string::npos)
        << told;
  }
}

/// The blobs of a cache, in the folders of all settings.
std::vector<fs::path> blobs_below(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".blob") found.push_back(entry.path());
  }
  return found;
}

TEST(Files, OneThatManyWriteAtOnceIsWhole) {
  const fs::path file = fs::path(testing::TempDir()) / ("written-" + std::to_string(::getpid()));
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c'}) {
    threads.emplace_back([&file, letter] {
      for (int i = 0; i < 100; ++i) EXPECT_NO_THROW(write_whole(file, std::string(1000, letter)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string content = read_file(file);
  EXPECT_EQ(content, std::string(1000, content.front()));
  fs::remove(file);
}

TEST(Files, CacheOfAServiceWithoutAHome) {
  const char* const kNames[] = {"SAM3I_EDGE_CACHE", "XDG_CACHE_HOME", "HOME"};
  std::map<std::string, std::string> before;
  for (const char* name : kNames) {
    if (const char* value = std::getenv(name)) before[name] = value;
    ::unsetenv(name);
  }
  const auto folder = cache_folder("service");
  for (const char* name : {"XDG_CACHE_HOME", "HOME"}) ::setenv(name, "relative", 1);  // counts as not set
  EXPECT_EQ(cache_folder("service"), folder);
  for (const char* name : kNames) ::unsetenv(name);
  for (const auto& [name, value] : before) ::setenv(name.c_str(), value.c_str(), 1);
  if (folder) {
    EXPECT_EQ(folder->parent_path().filename(), "sam3i-edge");
    EXPECT_EQ(folder->parent_path().parent_path().filename(), ".cache");
    fs::remove(*folder);
  }
}

/// Another byte in the middle of a file of the same size, in a file of its own: OpenVINO may have mapped the old one.
void damage(const fs::path& file) {
  std::string content = read_file(file);
  content[content.size() / 2] = static_cast<char>(~content[content.size() / 2]);
  fs::remove(file);
  write_whole(file, content);
}

TEST_F(Runtime, OpenVinosBlobsAreCheckedBeforeTheyAreLoaded) {
  if (!has_openvino()) GTEST_SKIP() << "OpenVINO is not in this build";
  SessionOptions options = options_of("openvino");
  options.cache = fs::path(testing::TempDir()) / ("blobs-" + std::to_string(::getpid()));
  fs::create_directories(*options.cache);
  std::vector<std::string> warnings;
  set_warning_handler([&](const std::string& text) { warnings.push_back(text); });
  const auto answer = [&] {
    const Tensor text = open_session("openvino", graph(), options)->run(zeros(2)).at("text");
    return std::vector<float>(text.as<float>(), text.as<float>() + text.bytes() / 4);
  };
  const auto expected = answer();
  ASSERT_EQ(blobs_below(*options.cache).size(), 2u);  // for one row, and for several
  const fs::path blob = blobs_below(*options.cache).front(), sum = blob.string() + ".sha256";
  EXPECT_EQ(read_file(sum), sha256_of(blob));
  EXPECT_TRUE(warnings.empty());

  damage(blob);
  EXPECT_EQ(answer(), expected);
  EXPECT_EQ(warnings,
            std::vector<std::string>{"OpenVINO's cached " + blob.filename().string() + " is damaged; compiling anew."});
  EXPECT_EQ(read_file(sum), sha256_of(blob));
  warnings.clear();

  write_whole(sum, read_file(sum) + "\n");  // as sha256sum's readers expect it
  fs::last_write_time(blob, fs::last_write_time(blob) - std::chrono::hours(1));
  const auto written = fs::last_write_time(blob);
  EXPECT_EQ(answer(), expected);
  EXPECT_EQ(fs::last_write_time(blob), written);  // it was loaded

  damage(blob);
  fs::remove(sum);  // one that nobody vouched for, as of an older version of this library
  EXPECT_EQ(answer(), expected);
  EXPECT_EQ(read_file(sum), sha256_of(blob));
  EXPECT_TRUE(warnings.empty());
  set_warning_handler({});
  fs::remove_all(*options.cache);
}

TEST_F(Runtime, PrecisionIsPinnedOrRefused) {
  if (!has_openvino()) GTEST_SKIP() << "OpenVINO is not in this build";
  SessionOptions options = options_of("openvino");
  options.precision = "fp16";
#ifdef __x86_64__
  const bool has_fp16 = __builtin_cpu_supports("avx512fp16");
#else
  const bool has_fp16 = true;
#endif
  const auto open = [&] { open_session("openvino", graph(), options); };
  if (has_fp16) return open();
  const std::string told = golden::refusal<RuntimeUnavailableError>(open);
  EXPECT_NE(told.find(" where the bundle says fp16."), std::string::npos) << told;
}

TEST(Sessions, ARuntimeThatIsNotInThisBuild) {
  const bool has_tensorrt = is_built("tensorrt");
  const std::string none = has_tensorrt ? "tensorrt-rtx" : "tensorrt";  // a build has one of the two at most
  const std::string told = golden::refusal<RuntimeUnavailableError>([&] { open_session(none, "graph.onnx", {}); });
  EXPECT_EQ(told.rfind("The runtime " + none + " is not in this build, which has ", 0), 0u) << told;
  const bool has_other = has_tensorrt || is_built("tensorrt-rtx");
  EXPECT_EQ(told.find("A build has one of tensorrt and tensorrt-rtx") != told.npos, has_other) << told;
  EXPECT_EQ(told.find("Build the library where CMake finds it (docs/cpp.md)") == told.npos, has_other) << told;
}

}  // namespace
}  // namespace sam3i_edge::detail
