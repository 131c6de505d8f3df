// TensorRT 10 and 11, or TensorRT-RTX 1.5 and newer, on NVIDIA GPUs: one file, compiled with the headers of the one
// that CMake found. Not yet run on hardware.
//
// Networks are strongly typed: a graph's types are the engine's. An engine that the bundle carries is used where it
// fits; otherwise one is built on the first load, on the device, and kept. TensorRT-RTX finishes an engine's kernels on
// the device when it first runs; these are kept, too.
#include <NvInfer.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "../files.hpp"
#include "../memory.hpp"
#include "../messages.hpp"
#include "../session.hpp"
#include "../warning.hpp"
#include "carried_engines.hpp"
#include "cuda.hpp"
#include "engine_cache.hpp"
#include "sam3i_edge/errors.hpp"
#include "tensorrt_build.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

using tensorrt::dims_of;
using tensorrt::library;
using tensorrt::logger;

nvinfer1::IRuntime& runtime() {
  static auto* kept = nvinfer1::createInferRuntime(logger());
  if (!kept) throw RuntimeUnavailableError(library() + " does not start: " + logger().take());
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

/// Makes an engine's execution contexts.
#ifdef TRT_MAJOR_RTX
class Contexts {
 public:
  /// With what was compiled for this GPU before, which the library checks against itself, the driver and the GPU.
  Contexts(nvinfer1::ICudaEngine& engine, EngineCache kept, EngineKey key)
      : engine_(engine), kept_(std::move(kept)), key_(std::move(key)), config_(engine.createRuntimeConfig()) {
    if (config_) compiled_.reset(config_->createRuntimeCache());
    if (compiled_) load();
    if (!compiled_ || !config_->setRuntimeCache(*compiled_)) {
      throw RuntimeUnavailableError(library() + " makes no runtime cache: " + logger().take());
    }
  }

  nvinfer1::IExecutionContext* make() const { return engine_.createExecutionContext(config_.get()); }

  /// Keep what was compiled since the last time, for the next process.
  void save() {
    const std::unique_ptr<nvinfer1::IHostMemory> now(compiled_->serialize());
    if (!now) return;
    std::string content(static_cast<const char*>(now->data()), now->size());
    if (content == saved_) return;
    kept_.keep_runtime_cache(key_, content);
    saved_ = std::move(content);
  }

 private:
  void load() {
    std::string before = kept_.runtime_cache(key_).value_or("");
    if (before.empty()) return;
    if (compiled_->deserialize(before.data(), before.size())) {
      saved_ = std::move(before);
    } else {
      logger().take();  // no fault: after an update of the driver it compiles again
    }
  }

  nvinfer1::ICudaEngine& engine_;
  EngineCache kept_;
  EngineKey key_;
  std::unique_ptr<nvinfer1::IRuntimeCache> compiled_;  // outlives the configuration, which uses it
  std::unique_ptr<nvinfer1::IRuntimeConfig> config_;
  std::string saved_;
};
#else
class Contexts {  // an engine of TensorRT's is whole
 public:
  Contexts(nvinfer1::ICudaEngine& engine, const EngineCache&, const EngineKey&) : engine_(engine) {}
  nvinfer1::IExecutionContext* make() const { return engine_.createExecutionContext(); }
  void save() {}

 private:
  nvinfer1::ICudaEngine& engine_;
};
#endif

/// An execution context with its stream and its buffers; one call at a time.
struct Context {
  std::unique_ptr<nvinfer1::IExecutionContext> context;
  cuda::Stream stream;
  std::map<std::string, std::shared_ptr<void>> buffers;  // for what goes through the host, enough for the fullest call
};

class TensorRtSession : public Session {
 public:
  TensorRtSession(std::unique_ptr<nvinfer1::ICudaEngine> engine, Contexts contexts, fs::path graph, int gpu,
                  const SessionOptions& options, const std::string& gpu_name)
      : engine_(std::move(engine)),
        contexts_(std::move(contexts)),
        graph_(std::move(graph)),
        gpu_(gpu),
        max_prompts_(options.max_prompts),
        resident_(options.resident),
        inputs_(ports_of(*engine_, nvinfer1::TensorIOMode::kINPUT)),
        outputs_(ports_of(*engine_, nvinfer1::TensorIOMode::kOUTPUT)),
        device_(library() + " on " + gpu_name) {}

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
      throw BundleError(library() + " failed in " + graph_.string() + ": " + logger().take());
    }
    for (auto& [name, tensor] : outputs) {
      if (tensor.data) context->stream.download(tensor.data.get(), context->buffers.at(name).get(), tensor.bytes());
    }
    context->stream.wait();
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(context));              // one that failed is dropped
    if (seen_.insert(rows).second) contexts_.save();  // another number of rows may want other kernels
    return outputs;
  }

  Tensor to_host(const Tensor& tensor) const override {
    if (tensor.data) return tensor;
    cuda::check(cudaSetDevice(gpu_));
    const Tensor copy = make_tensor(tensor.dtype, tensor.shape);
    const cuda::Stream stream;
    stream.download(copy.data.get(), tensor.resident.get(), tensor.bytes());
    stream.wait();
    return copy;
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
    context->context.reset(contexts_.make());
    if (!context->context) {
      throw RuntimeUnavailableError(library() + " cannot run " + graph_.string() + ": " + logger().take() +
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
  Contexts contexts_;
  fs::path graph_;
  int gpu_;
  std::int64_t max_prompts_;
  std::set<std::string> resident_;
  Ports inputs_, outputs_;
  std::string device_;
  Memory memory_;
  std::mutex mutex_;
  std::set<std::int64_t> seen_;  // numbers of rows
  std::vector<std::unique_ptr<Context>> idle_;
};

std::string one_line(const std::map<std::string, std::string>& settings) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : settings) parts.push_back(name + "=" + value);
  return joined(parts, " ");
}

using EnginePtr = std::unique_ptr<nvinfer1::ICudaEngine>;

EnginePtr load(const std::string& content) {
  return EnginePtr(runtime().deserializeCudaEngine(content.data(), content.size()));
}

/// The engine that the bundle carries for this library and GPU; or else none, and why.
std::pair<EnginePtr, std::string> carried_engine(const SessionOptions& options, const cuda::Gpu& gpu) {
  const Fit fit = fitting_engine(options.engines, library(), gpu.compute_capability);
  if (!fit.engine) return {nullptr, fit.why_not};
  const std::string name = fit.engine->file.filename().string();
  try {
    const std::string content = read_file(fit.engine->file);
    if (!fit.engine->sha256.empty() && sha256_of_bytes(content) != fit.engine->sha256) {
      throw BundleError(fit.engine->file.string() + " was changed while it was loaded. Load the bundle again.");
    }
    EnginePtr engine = load(content);
    return {std::move(engine), engine ? "" : library() + " refuses " + name + ": " + logger().take()};
  } catch (const BundleError&) {
    throw;
  } catch (const std::runtime_error& error) {  // it was there when the bundle was checked
    return {nullptr, name + " cannot be read: " + error.what()};
  }
}

/// The engine that was built here before, or else a new one. `why` the bundle's own is not used goes into the warning.
EnginePtr kept_engine(const fs::path& graph, const SessionOptions& options, const EngineCache& kept,
                      const EngineKey& key, const std::string& why) {
  const auto build = [&] {
    warn("Building the " + std::string(tensorrt::kName) + " engine of " + graph.string() + " for " + key.gpu +
         "; it is kept for the next time." + (why.empty() ? "" : " None in the bundle fits: " + why + "."));
    return tensorrt::build_engine(graph, options);
  };
  if (EnginePtr engine = load(kept.get(key, build))) return engine;
  warn(library() + " refuses the kept engine of " + graph.string() + " (" + logger().take() + "); building it again.");
  kept.drop(key);
  if (EnginePtr engine = load(kept.get(key, build))) return engine;
  throw BundleError(library() + " cannot load its own engine of " + graph.string() + ": " + logger().take());
}

cuda::Gpu find_gpu(const std::string& device) {
  const auto found = cuda::gpus();
  const auto gpu = found.find(device);
  if (gpu != found.end()) return gpu->second;
  std::vector<std::string> known;
  for (const auto& [name, about] : found) known.push_back(name);
  throw RuntimeUnavailableError(unknown_name("device of " + std::string(tensorrt::kName) + " here", device, known));
}

}  // namespace

std::unique_ptr<Session> open_tensorrt(const fs::path& graph, const SessionOptions& options) {
  tensorrt::check_library();
  const cuda::Gpu gpu = find_gpu(options.device);
  cuda::check(cudaSetDevice(gpu.index));
  const EngineKey key = {graph_sha256(graph, options.content.get()), library(), gpu.shown(), options.max_prompts,
                         one_line(options.settings)};
  const EngineCache kept(options.cache);
  auto [engine, why] = carried_engine(options, gpu);
  if (!engine) engine = kept_engine(graph, options, kept, key, why);
  Contexts contexts(*engine, kept, key);
  return std::make_unique<TensorRtSession>(std::move(engine), std::move(contexts), graph, gpu.index, options,
                                           gpu.shown());
}

}  // namespace sam3i_edge::detail
