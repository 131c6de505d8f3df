#include "tensorrt_build.hpp"

#include <NvOnnxParser.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "../messages.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail::tensorrt {
namespace {

namespace fs = std::filesystem;

#ifdef TRT_MAJOR_RTX
// All of them are libtensorrt_rtx.so.1, but the classes of 1.4 and older are laid out in another way than those of 1.5
// to 1.7: a program that was built with such headers crashes in its second call.
static_assert(TRT_MAJOR_RTX == 1 && TRT_MINOR_RTX >= 5, "Build with the headers of TensorRT-RTX 1.5 or newer.");
#else
static_assert(NV_TENSORRT_MAJOR >= 10, "Bundles need TensorRT 10 or newer.");
#endif

/// Takes what the library made. Throws RuntimeUnavailableError if it made nothing.
template <typename T>
std::unique_ptr<T> owned(T* made) {
  if (!made) throw RuntimeUnavailableError(library() + " cannot build here: " + logger().take());
  return std::unique_ptr<T>(made);
}

/// A setting of the target, which are texts. Throws BundleError where it is no number.
std::size_t number(const SessionOptions& options, const std::string& name, std::size_t otherwise) {
  const auto found = options.settings.find(name);
  if (found == options.settings.end()) return otherwise;
  const std::string& text = found->second;
  const bool fits = !text.empty() && text.size() < 10 &&
                    std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!fits) throw BundleError("The target's setting " + name + " is " + in_quotes(text) + "; it must be a number.");
  return std::stoul(text);
}

/// "NODE (OPERATOR): DESC", or the description alone where no node is to blame.
std::string told(const nvonnxparser::IParserError& error) {
  const auto text = [](const char* given) { return std::string(given ? given : ""); };
  const std::string node = text(error.nodeName()), type = text(error.nodeOperator());
  if (node.empty() && type.empty()) return text(error.desc());
  return node + (node.empty() ? "(" : " (") + type + "): " + text(error.desc());
}

/// Reads a graph into a network, whose weights are then in the parser: it must live until the engine is built.
std::unique_ptr<nvonnxparser::IParser> parse(nvinfer1::INetworkDefinition& network, const fs::path& graph,
                                             const std::string* content) {
  auto parser = owned(nvonnxparser::createParser(network, logger()));
  const bool is_read =
      content ? parser->parse(content->data(), content->size())
              : parser->parseFromFile(graph.c_str(), static_cast<int>(nvinfer1::ILogger::Severity::kERROR));
  if (is_read) return parser;
  std::vector<std::string> problems;
  for (int i = 0; i < parser->getNbErrors(); ++i) problems.push_back(told(*parser->getError(i)));
  const std::string logged = logger().take();  // says the same, in more lines
  throw BundleError(library() + " cannot read " + graph.string() + ": " +
                    (problems.empty() ? logged : joined(problems, "; ")));
}

/// One profile: from one prompt to the most, tuned for one, which is what a robot asks.
void add_profile(nvinfer1::IBuilder& builder, nvinfer1::IBuilderConfig& config,
                 const nvinfer1::INetworkDefinition& network, std::int64_t max_prompts) {
  nvinfer1::IOptimizationProfile* profile = builder.createOptimizationProfile();  // the builder owns it
  bool has_free = false;
  for (int i = 0; i < network.getNbInputs(); ++i) {
    const nvinfer1::ITensor* input = network.getInput(i);
    const nvinfer1::Dims dims = input->getDimensions();
    const Port port{DType::float32, {dims.d, dims.d + dims.nbDims}};
    if (std::find(port.shape.begin(), port.shape.end(), -1) == port.shape.end()) continue;
    const nvinfer1::Dims least = dims_of(port.sized(1)), most = dims_of(port.sized(max_prompts));
    profile->setDimensions(input->getName(), nvinfer1::OptProfileSelector::kMIN, least);
    profile->setDimensions(input->getName(), nvinfer1::OptProfileSelector::kOPT, least);
    profile->setDimensions(input->getName(), nvinfer1::OptProfileSelector::kMAX, most);
    has_free = true;
  }
  if (has_free) config.addOptimizationProfile(profile);
}

/// For the GPU that is here, or for those that are named.
void choose_gpus(nvinfer1::IBuilderConfig& config, const std::vector<std::string>& compute_capabilities) {
#ifdef TRT_MAJOR_RTX
  std::vector<nvinfer1::ComputeCapability> chosen;
  for (std::string one : compute_capabilities) {
    one.erase(std::remove(one.begin(), one.end(), '.'), one.end());  // the enumerator of 8.9 is 89
    chosen.push_back(static_cast<nvinfer1::ComputeCapability>(std::stoi(one)));
  }
  if (chosen.empty()) chosen = {nvinfer1::ComputeCapability::kCURRENT};
  bool fits = config.setNbComputeCapabilities(static_cast<int>(chosen.size()));
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    fits = fits && config.setComputeCapability(chosen[i], static_cast<int>(i));
  }
  if (!fits) {
    throw RuntimeUnavailableError(library() + " cannot build for compute capability " + joined(compute_capabilities) +
                                  ": " + logger().take());
  }
#else
  static_cast<void>(config);
  if (compute_capabilities.empty()) return;
  throw RuntimeUnavailableError("TensorRT builds for the GPU that is here, and for no other.");
#endif
}

}  // namespace

void Logger::log(Severity severity, const char* message) noexcept {
  if (severity > Severity::kERROR) return;
  const std::lock_guard lock(mutex_);
  errors_ += (errors_.empty() ? "" : "; ") + std::string(message);
}

std::string Logger::take() {
  const std::lock_guard lock(mutex_);
  std::string text = std::exchange(errors_, "");
  return text.empty() ? std::string(kName) + " gives no reason" : text;
}

Logger& logger() {
  static auto* kept = new Logger;  // never freed: engines of other statics may still speak to it
  return *kept;
}

std::string library() {
  return std::string(kName) + " " + std::to_string(getInferLibMajorVersion()) + "." +
         std::to_string(getInferLibMinorVersion()) + "." + std::to_string(getInferLibPatchVersion()) + "." +
         std::to_string(getInferLibBuildVersion());
}

void check_library() {
  constexpr int kMajor = NV_TENSORRT_MAJOR, kMinor = NV_TENSORRT_MINOR;
  if (getInferLibMajorVersion() == kMajor && getInferLibMinorVersion() >= kMinor) return;
  const std::string headers = std::string(kName) + " " + std::to_string(kMajor) + "." + std::to_string(kMinor);
  throw RuntimeUnavailableError("This build was made with the headers of " + headers + " and finds " + library() +
                                ". Install " + headers + " or a newer " + std::to_string(kMajor) +
                                ".x, or build with the headers of the one that is here.");
}

nvinfer1::Dims dims_of(const std::vector<std::int64_t>& shape) {
  nvinfer1::Dims dims{};
  dims.nbDims = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), dims.d);
  return dims;
}

std::string build_engine(const fs::path& graph, const SessionOptions& options,
                         const std::vector<std::string>& compute_capabilities) {
  const std::size_t workspace = number(options, "workspace_mb", 1024) << 20;
  const int level = static_cast<int>(number(options, "builder_optimization_level", 3));
  const auto builder = owned(nvinfer1::createInferBuilder(logger()));
#if defined(TRT_MAJOR_RTX) || NV_TENSORRT_MAJOR >= 11
  constexpr unsigned kFlags = 0;  // networks are strongly typed, always
#else
  constexpr unsigned kFlags = 1u << static_cast<unsigned>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
  const auto network = owned(builder->createNetworkV2(kFlags));
  const auto parser = parse(*network, graph, options.content.get());
  const auto config = owned(builder->createBuilderConfig());
  config->setMemoryPoolLimit(nvinfer1::MemoryPoolType::kWORKSPACE, workspace);
  config->setBuilderOptimizationLevel(level);
  config->clearFlag(nvinfer1::BuilderFlag::kTF32);  // on by default: fp32 would keep 10 bits of its 23
  choose_gpus(*config, compute_capabilities);
  add_profile(*builder, *config, *network, options.max_prompts);
  const std::unique_ptr<nvinfer1::IHostMemory> engine(builder->buildSerializedNetwork(*network, *config));
  if (!engine) {
    throw BundleError(library() + " cannot build an engine of " + graph.string() + ": " + logger().take());
  }
  return {static_cast<const char*>(engine->data()), engine->size()};
}

}  // namespace sam3i_edge::detail::tensorrt
