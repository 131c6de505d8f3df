// ONNX Runtime, on the processor or through another execution provider, by its C API: that one keeps its promises from
// version to version.
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>

#include "../bundle.hpp"
#include "../memory.hpp"
#include "../messages.hpp"
#include "../session.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kApiVersion = 22;  // of 1.22, the oldest accepted
static_assert(ORT_API_VERSION >= kApiVersion, "These headers are of an ONNX Runtime before 1.22.");

/// Its own optimization that keeps it from finding integer kernels: a Gemm that was a MatMul and an Add is none of the
/// patterns that become MatMulIntegerToFloat, and the layer would run slower than in fp32.
constexpr const char* kIntegerHindrance = "MatMulAddFusion";

struct Provider {
  std::string device, full_name, short_name;
};
const std::vector<Provider> kProviders = {{"cpu", "CPUExecutionProvider", ""},
                                          {"cuda", "CUDAExecutionProvider", "CUDA"},
                                          {"tensorrt", "TensorrtExecutionProvider", "TensorRT"},
                                          {"openvino", "OpenVINOExecutionProvider", "OpenVINO"},
                                          {"coreml", "CoreMLExecutionProvider", "CoreML"},
                                          {"xnnpack", "XnnpackExecutionProvider", "XNNPACK"},
                                          {"migraphx", "MIGraphXExecutionProvider", "MIGraphX"},
                                          {"directml", "DmlExecutionProvider", "DML"},
                                          {"qnn", "QNNExecutionProvider", "QNN"}};

std::string version() { return OrtGetApiBase()->GetVersionString(); }

const OrtApi& api() {
  const OrtApi* found = OrtGetApiBase()->GetApi(kApiVersion);
  if (!found) throw RuntimeUnavailableError("ONNX Runtime " + version() + " is too old: use 1.22 or newer.");
  return *found;
}

/// What a call of the C API says went wrong.
class OrtFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void check(OrtStatus* status) {
  if (!status) return;
  const std::string text = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw OrtFailure(text);
}

/// Owns a handle of the C API.
template <typename T, void (*OrtApi::*release)(T*)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T* value) : value_(value) {}
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (value_) (api().*release)(value_);
  }
  T* get() const { return value_; }
  T** out() { return &value_; }

 private:
  T* value_ = nullptr;
};

using Env = Handle<OrtEnv, &OrtApi::ReleaseEnv>;
using Options = Handle<OrtSessionOptions, &OrtApi::ReleaseSessionOptions>;
using OpenSession = Handle<OrtSession, &OrtApi::ReleaseSession>;
using TypeInfo = Handle<OrtTypeInfo, &OrtApi::ReleaseTypeInfo>;
using Value = Handle<OrtValue, &OrtApi::ReleaseValue>;
using MemoryInfo = Handle<OrtMemoryInfo, &OrtApi::ReleaseMemoryInfo>;

/// Nothing leaves the device: it reads this variable once, when its environment is made, and would look for a host and
/// keep events in the user's cache. A value that the user has set stays; an empty one counts as not set.
void switch_off_telemetry() {
#ifndef _WIN32
  constexpr const char* kVariable = "ORT_DISABLE_TELEMETRY";
  const char* set = std::getenv(kVariable);
  if (!set || !*set) ::setenv(kVariable, "1", 1);
#endif
}

OrtEnv* environment() {
  static auto* kept = [] {
    switch_off_telemetry();
    auto* made = new Env;  // never freed: sessions of other statics may outlive us
    check(api().CreateEnv(ORT_LOGGING_LEVEL_FATAL, "sam3i_edge", made->out()));
    return made;
  }();
  return kept->get();
}

const std::vector<std::pair<DType, ONNXTensorElementDataType>> kTypes = {
    {DType::float32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {DType::uint8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
    {DType::boolean, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL},
    {DType::int32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32}};

Port port_of(const OrtTypeInfo* type, const std::string& name) {
  const OrtTensorTypeAndShapeInfo* info = nullptr;  // owned by `type`
  check(api().CastTypeInfoToTensorInfo(type, &info));
  if (!info) throw OrtFailure("'" + name + "' is no tensor");
  ONNXTensorElementDataType element{};
  check(api().GetTensorElementType(info, &element));
  std::size_t sides = 0;
  check(api().GetDimensionsCount(info, &sides));
  Port port{DType::float32, std::vector<std::int64_t>(sides)};
  check(api().GetDimensions(info, port.shape.data(), sides));
  for (std::int64_t& side : port.shape) side = std::max<std::int64_t>(side, -1);
  const auto found =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& pair) { return pair.second == element; });
  if (found == kTypes.end()) throw OrtFailure("'" + name + "' is of no type that a bundle has");
  port.dtype = found->first;
  return port;
}

Ports ports_of(const OrtSession* session, bool is_input) {
  OrtAllocator* allocator = nullptr;  // the default one, which nobody owns
  check(api().GetAllocatorWithDefaultOptions(&allocator));
  std::size_t count = 0;
  check(is_input ? api().SessionGetInputCount(session, &count) : api().SessionGetOutputCount(session, &count));
  Ports ports;
  for (std::size_t i = 0; i < count; ++i) {
    char* text = nullptr;
    check(is_input ? api().SessionGetInputName(session, i, allocator, &text)
                   : api().SessionGetOutputName(session, i, allocator, &text));
    const std::string name = text;
    check(api().AllocatorFree(allocator, text));
    TypeInfo type;
    check(is_input ? api().SessionGetInputTypeInfo(session, i, type.out())
                   : api().SessionGetOutputTypeInfo(session, i, type.out()));
    ports.emplace(name, port_of(type.get(), name));
  }
  return ports;
}

Value view_of(const Tensor& tensor, const OrtMemoryInfo* memory) {
  const auto type =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& pair) { return pair.first == tensor.dtype; });
  Value value;
  check(api().CreateTensorWithDataAsOrtValue(memory, tensor.data.get(), tensor.bytes(), tensor.shape.data(),
                                             tensor.shape.size(), type->second, value.out()));
  return value;
}

class OnnxRuntimeSession : public Session {
 public:
  OnnxRuntimeSession(OpenSession session, fs::path graph, const std::string& provider)
      : session_(std::move(session)),
        graph_(std::move(graph)),
        inputs_(ports_of(session_.get(), true)),
        outputs_(ports_of(session_.get(), false)),
        device_("ONNX Runtime " + version() + " on " + provider) {
    check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, host_.out()));
  }

  Tensors run(const Tensors& inputs) override {
    const std::int64_t rows = check_inputs(inputs_, inputs, graph_);
    Tensors outputs;
    for (const auto& [name, port] : outputs_) {
      Tensor& output = outputs[name];
      output = {port.dtype, port.sized(rows), nullptr, nullptr};
      output.data = memory_.take(name, output.bytes());
    }
    try {
      std::vector<Value> owned;
      std::vector<const char*> names_in, names_out;
      std::vector<OrtValue*> values_in, values_out;
      const auto add = [&](const auto& tensors, auto& names, auto& values) {
        for (const auto& [name, tensor] : tensors) {
          names.push_back(name.c_str());
          owned.push_back(view_of(tensor, host_.get()));
          values.push_back(owned.back().get());
        }
      };
      add(inputs, names_in, values_in);
      add(outputs, names_out, values_out);
      check(api().Run(session_.get(), nullptr, names_in.data(), values_in.data(), values_in.size(), names_out.data(),
                      values_out.size(), values_out.data()));
    } catch (const OrtFailure& error) {
      throw BundleError("ONNX Runtime " + version() + " failed in " + graph_.string() + ": " + error.what());
    }
    return outputs;
  }

  std::string device() const override { return device_; }
  const Ports& inputs() const override { return inputs_; }
  const Ports& outputs() const override { return outputs_; }

 private:
  OpenSession session_;
  fs::path graph_;
  Ports inputs_, outputs_;
  std::string device_;
  MemoryInfo host_;
  Memory memory_;
};

std::vector<std::string> available_providers() {
  char** names = nullptr;
  int count = 0;
  check(api().GetAvailableProviders(&names, &count));
  std::vector<std::string> found(names, names + count);
  check(api().ReleaseAvailableProviders(names, count));
  return found;
}

/// The provider that a device's name asks for, and a number behind it ("cuda:1"). Throws RuntimeUnavailableError.
std::pair<Provider, std::string> find_provider(const std::string& device) {
  const std::size_t colon = device.find(':');
  const std::string name = device.substr(0, colon), number = colon == device.npos ? "" : device.substr(colon + 1);
  const bool is_number = std::all_of(number.begin(), number.end(), [](unsigned char c) { return std::isdigit(c); });
  const auto found =
      std::find_if(kProviders.begin(), kProviders.end(), [&](const Provider& known) { return known.device == name; });
  const auto here = available_providers();
  std::vector<std::string> known, usable;
  for (const Provider& provider : kProviders) {
    known.push_back(provider.device);
    if (std::find(here.begin(), here.end(), provider.full_name) != here.end()) usable.push_back(provider.device);
  }
  if (found == kProviders.end() || !is_number) {
    throw RuntimeUnavailableError(unknown_name("device of ONNX Runtime", device, known));
  }
  if (std::find(usable.begin(), usable.end(), name) == usable.end()) {
    throw RuntimeUnavailableError("This build of ONNX Runtime " + version() + " has no " + found->full_name +
                                  ", which the device " + in_quotes(device) +
                                  " needs. Devices here: " + joined(usable) + ".");
  }
  return {*found, number};
}

/// Providers other than the processor's; none of them was run on hardware yet.
void append_provider(OrtSessionOptions* options, const Provider& provider,
                     std::map<std::string, std::string> settings) {
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : settings) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  if (provider.device == "cuda") {
    Handle<OrtCUDAProviderOptionsV2, &OrtApi::ReleaseCUDAProviderOptions> cuda;
    check(api().CreateCUDAProviderOptions(cuda.out()));
    check(api().UpdateCUDAProviderOptions(cuda.get(), keys.data(), values.data(), keys.size()));
    check(api().SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda.get()));
  } else if (provider.device == "tensorrt") {
    Handle<OrtTensorRTProviderOptionsV2, &OrtApi::ReleaseTensorRTProviderOptions> tensorrt;
    check(api().CreateTensorRTProviderOptions(tensorrt.out()));
    check(api().UpdateTensorRTProviderOptions(tensorrt.get(), keys.data(), values.data(), keys.size()));
    check(api().SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt.get()));
  } else {
    check(api().SessionOptionsAppendExecutionProvider(options, provider.short_name.c_str(), keys.data(), values.data(),
                                                      keys.size()));
  }
}

}  // namespace

std::unique_ptr<Session> open_onnxruntime(const fs::path& graph, const SessionOptions& options) {
  const auto [provider, number] = find_provider(options.device);
  Options own;
  try {
    check(api().CreateSessionOptions(own.out()));
    check(api().SetSessionLogSeverityLevel(own.get(), ORT_LOGGING_LEVEL_FATAL));
    check(api().SetIntraOpNumThreads(own.get(), static_cast<int>(options.threads)));
    // Or idle threads burn their cores.
    check(api().AddSessionConfigEntry(own.get(), "session.intra_op.allow_spinning", "0"));
    // Or it rounds the inputs of 4-bit layers, too.
    check(api().AddSessionConfigEntry(own.get(), "session.qdq_matmulnbits_accuracy_level", "1"));
    if (options.as_written) check(api().AddSessionConfigEntry(own.get(), "session.disable_quant_qdq", "1"));
    if (is_int8(options.precision)) {
      check(api().AddSessionConfigEntry(own.get(), "optimization.disable_specified_optimizers", kIntegerHindrance));
    }
    auto settings = options.settings;
    if (!number.empty()) settings["device_id"] = number;
    if (provider.device != "cpu") append_provider(own.get(), provider, settings);
  } catch (const OrtFailure& error) {
    throw RuntimeUnavailableError("ONNX Runtime " + version() + " has " + provider.full_name +
                                  ", but it does not start here: " + error.what());
  }
  try {
    OpenSession session;
    check(options.content ? api().CreateSessionFromArray(environment(), options.content->data(),
                                                         options.content->size(), own.get(), session.out())
                          : api().CreateSession(environment(), graph.c_str(), own.get(), session.out()));
    return std::make_unique<OnnxRuntimeSession>(std::move(session), graph, provider.full_name);
  } catch (const OrtFailure& error) {
    throw BundleError("ONNX Runtime " + version() + " cannot open " + graph.string() + ": " + error.what());
  }
}

}  // namespace sam3i_edge::detail
