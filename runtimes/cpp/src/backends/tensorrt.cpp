// TensorRT 10 and 11, on NVIDIA GPUs. Written against the documented API; not yet run on hardware.
//
// Networks are strongly typed: a graph's types are the engine's, in 10 by a flag and in 11 always. An engine is built
// on the first load, on the device, and kept.
#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "../memory.hpp"
#include "../messages.hpp"
#include "../session.hpp"
#include "../warning.hpp"
#include "cuda.hpp"
#include "engine_cache.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

constexpr int kOldest = 10;
static_assert(NV_TENSORRT_MAJOR >= kOldest, "Bundles need TensorRT 10 or newer.");

/// Of the library that was loaded: it may be newer than the headers.
std::string version() {
  return std::to_string(getInferLibMajorVersion()) + "." + std::to_string(getInferLibMinorVersion()) + "." +
         std::to_string(getInferLibPatchVersion());
}

/// Keeps TensorRT's errors for our messages.
class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard lock(mutex_);
    errors_ += (errors_.empty() ? "" : "; ") + std::string(message);
  }
  /// What went wrong since the last time.
  std::string take() {
    const std::lock_guard lock(mutex_);
    std::string text = std::exchange(errors_, "");
    return text.empty() ? "TensorRT gives no reason" : text;
  }

 private:
  std::mutex mutex_;
  std::string errors_;
};

Logger& logger() {
  static auto* kept = new Logger;  // never freed: engines of other statics may still speak to it
  return *kept;
}

nvinfer1::IRuntime& runtime() {
  static auto* kept = nvinfer1::createInferRuntime(logger());
  if (!kept) throw RuntimeUnavailableError("TensorRT " + version() + " does not start: " + logger().take());
  return *kept;
}

DType type_of(nvinfer1::DataType type, const std::string& name) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT:
      return DType::float32;
    case nvinfer1::DataType::kUINT8:
      return DType::uint8;
    case nvinfer1::DataType::kBOOL:
      return DType::boolean;
    case nvinfer1::DataType::kINT32:
      return DType::int32;
    default:
      throw BundleError("The engine's " + in_quotes(name) + " is of no type that a bundle has.");
  }
}

nvinfer1::Dims dims_of(const std::vector<std::int64_t>& shape) {
  nvinfer1::Dims dims{};
  dims.nbDims = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), dims.d);
  return dims;
}

Ports ports_of(const nvinfer1::ICudaEngine& engine, nvinfer1::TensorIOMode mode) {
  Ports ports;
  for (int i = 0; i < engine.getNbIOTensors(); ++i) {
    const char* name = engine.getIOTensorName(i);
    if (engine.getTensorIOMode(name) != mode) continue;
    const nvinfer1::Dims dims = engine.getTensorShape(name);
    ports.emplace(name, Port{type_of(engine.getTensorDataType(name), name), {dims.d, dims.d + dims.nbDims}});
  }
  return ports;
}

/// An execution context with its stream and its buffers; one call at a time.
struct Context {
  std::unique_ptr<nvinfer1::IExecutionContext> context;
  cuda::Stream stream;
  std::map<std::string, std::shared_ptr<void>> buffers;  // for what goes through the host, enough for the fullest call
};

class TensorRtSession : public Session {
 public:
  TensorRtSession(std::unique_ptr<nvinfer1::ICudaEngine> engine, fs::path graph, int gpu, const SessionOptions& options,
                  const std::string& gpu_name)
      : engine_(std::move(engine)),
        graph_(std::move(graph)),
        gpu_(gpu),
        max_prompts_(options.max_prompts),
        resident_(options.resident),
        inputs_(ports_of(*engine_, nvinfer1::TensorIOMode::kINPUT)),
        outputs_(ports_of(*engine_, nvinfer1::TensorIOMode::kOUTPUT)),
        device_("TensorRT " + version() + " on " + gpu_name) {}

  /// Resident outputs stay on the GPU, and go into another session without a copy.
  Tensors run(const Tensors& inputs) override {
    const std::int64_t rows = check_inputs(inputs_, inputs, graph_);
    if (rows > max_prompts_) {
      throw BundleError(graph_.string() + ": " + std::to_string(rows) + " prompts in one call; the engine takes " +
                        std::to_string(max_prompts_) + ".");
    }
    cuda::check(cudaSetDevice(gpu_));
    std::unique_ptr<Context> context = take_context();
    give_inputs(*context, inputs);
    Tensors outputs = give_outputs(*context, rows);
    if (!context->context->enqueueV3(context->stream.get())) {
      throw BundleError("TensorRT " + version() + " failed in " + graph_.string() + ": " + logger().take());
    }
    for (auto& [name, tensor] : outputs) {
      if (tensor.data) context->stream.download(tensor.data.get(), context->buffers.at(name).get(), tensor.bytes());
    }
    context->stream.wait();
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(context));  // one that failed is dropped
    return outputs;
  }

  std::string device() const override { return device_; }
  const Ports& inputs() const override { return inputs_; }
  const Ports& outputs() const override { return outputs_; }

 private:
  std::unique_ptr<Context> take_context() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto context = std::move(idle_.back());
        idle_.pop_back();
        return context;
      }
    }
    auto context = std::make_unique<Context>();
    context->context.reset(engine_->createExecutionContext());
    if (!context->context) {
      throw RuntimeUnavailableError("TensorRT cannot run " + graph_.string() + ": " + logger().take() +
                                    ". Often the GPU's memory is full.");
    }
    return context;
  }

  void* buffer(Context& context, const std::string& name, const Port& port) const {
    auto& held = context.buffers[name];
    if (!held) held = cuda::allocate(Tensor{port.dtype, port.sized(max_prompts_), nullptr, nullptr}.bytes());
    return held.get();
  }

  void give_inputs(Context& context, const Tensors& inputs) const {
    for (const auto& [name, tensor] : inputs) {
      void* address = tensor.resident.get();
      if (!address) {
        address = buffer(context, name, inputs_.at(name));
        context.stream.upload(address, tensor.data.get(), tensor.bytes());
      }
      context.context->setInputShape(name.c_str(), dims_of(tensor.shape));
      context.context->setTensorAddress(name.c_str(), address);
    }
  }

  Tensors give_outputs(Context& context, std::int64_t rows) {
    Tensors outputs;
    for (const auto& [name, port] : outputs_) {
      Tensor& output = outputs[name];
      output = {port.dtype, port.sized(rows), nullptr, nullptr};
      if (resident_.count(name)) {
        output.resident = cuda::allocate(output.bytes());
      } else {
        output.data = memory_.take(name, output.bytes());
      }
      void* address = output.resident ? output.resident.get() : buffer(context, name, port);
      context.context->setTensorAddress(name.c_str(), address);
    }
    return outputs;
  }

  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  fs::path graph_;
  int gpu_;
  std::int64_t max_prompts_;
  std::set<std::string> resident_;
  Ports inputs_, outputs_;
  std::string device_;
  Memory memory_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Context>> idle_;
};

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

std::string build(const fs::path& graph, const SessionOptions& options, const std::string& gpu) {
  warn("Building the TensorRT engine of " + graph.string() + " for " + gpu + "; it is kept for the next time.");
  const std::unique_ptr<nvinfer1::IBuilder> builder(nvinfer1::createInferBuilder(logger()));
  if (!builder) throw RuntimeUnavailableError("TensorRT " + version() + " cannot build here: " + logger().take());
#if NV_TENSORRT_MAJOR >= 11
  constexpr unsigned kFlags = 0;  // networks are strongly typed, always
#else
  constexpr unsigned kFlags = 1u << static_cast<unsigned>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
  const std::unique_ptr<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(kFlags));
  const std::unique_ptr<nvonnxparser::IParser> parser(nvonnxparser::createParser(*network, logger()));
  if (!parser->parseFromFile(graph.c_str(), static_cast<int>(nvinfer1::ILogger::Severity::kERROR))) {
    std::vector<std::string> problems;
    for (int i = 0; i < parser->getNbErrors(); ++i) problems.emplace_back(parser->getError(i)->desc());
    throw BundleError("TensorRT " + version() + " cannot read " + graph.string() + ": " + joined(problems, "; "));
  }
  const std::unique_ptr<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
  config->setMemoryPoolLimit(nvinfer1::MemoryPoolType::kWORKSPACE, number(options, "workspace_mb", 1024) << 20);
  config->setBuilderOptimizationLevel(static_cast<int>(number(options, "builder_optimization_level", 3)));
  config->clearFlag(nvinfer1::BuilderFlag::kTF32);  // on by default: fp32 would keep 10 bits of its 23
  add_profile(*builder, *config, *network, options.max_prompts);
  const std::unique_ptr<nvinfer1::IHostMemory> engine(builder->buildSerializedNetwork(*network, *config));
  if (!engine) {
    throw BundleError("TensorRT " + version() + " cannot build an engine of " + graph.string() + ": " +
                      logger().take());
  }
  return {static_cast<const char*>(engine->data()), engine->size()};
}

std::string one_line(const std::map<std::string, std::string>& settings) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : settings) parts.push_back(name + "=" + value);
  return joined(parts, " ");
}

}  // namespace

std::unique_ptr<Session> open_tensorrt(const fs::path& graph, const SessionOptions& options) {
  const auto found = cuda::gpus();
  const auto gpu = found.find(options.device);
  if (gpu == found.end()) {
    std::vector<std::string> known;
    for (const auto& [name, about] : found) known.push_back(name);
    throw RuntimeUnavailableError(unknown_name("device of TensorRT here", options.device, known));
  }
  const int index = std::stoi(options.device.substr(options.device.find(':') + 1));
  cuda::check(cudaSetDevice(index));
  const EngineKey key = {graph_sha256(graph), version(), gpu->second, options.max_prompts, one_line(options.settings)};
  const EngineCache kept(options.cache);
  std::unique_ptr<nvinfer1::ICudaEngine> engine;
  for (const bool is_last : {false, true}) {
    const std::string content = kept.get(key, [&] { return build(graph, options, gpu->second); });
    engine.reset(runtime().deserializeCudaEngine(content.data(), content.size()));
    if (engine) break;
    if (is_last) {
      throw BundleError("TensorRT " + version() + " cannot load its own engine of " + graph.string() + ": " +
                        logger().take());
    }
    warn("TensorRT refuses the kept engine of " + graph.string() + " (" + logger().take() + "); building it again.");
    kept.drop(key);
  }
  return std::make_unique<TensorRtSession>(std::move(engine), graph, index, options, gpu->second);
}

}  // namespace sam3i_edge::detail
