#include "session.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "messages.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

using Open = std::unique_ptr<Session> (*)(const std::filesystem::path&, const SessionOptions&);

struct Runtime {
  std::string name, default_device;
  Open open;  // null: not in this build
};

#ifdef SAM3I_EDGE_WITH_ONNXRUNTIME
constexpr Open kOnnxRuntime = open_onnxruntime;
#else
constexpr Open kOnnxRuntime = nullptr;
#endif
#ifdef SAM3I_EDGE_WITH_OPENVINO
constexpr Open kOpenVino = open_openvino;
#else
constexpr Open kOpenVino = nullptr;
#endif
#ifdef SAM3I_EDGE_WITH_TENSORRT
constexpr Open kTensorRt = open_tensorrt;
#else
constexpr Open kTensorRt = nullptr;
#endif
#ifdef SAM3I_EDGE_WITH_TENSORRT_RTX
constexpr Open kTensorRtRtx = open_tensorrt;  // the same file, compiled with the other library's headers
#else
constexpr Open kTensorRtRtx = nullptr;
#endif

const std::vector<Runtime>& all_runtimes() {
  static const std::vector<Runtime> runtimes = {{"onnxruntime", "cpu", kOnnxRuntime},
                                                {"openvino", "CPU", kOpenVino},
                                                {"tensorrt", "cuda:0", kTensorRt},
                                                {"tensorrt-rtx", "cuda:0", kTensorRtRtx}};
  return runtimes;
}

const Runtime& find_runtime(const std::string& name) {
  std::vector<std::string> known;
  for (const Runtime& runtime : all_runtimes()) {
    if (runtime.name == name) return runtime;
    known.push_back(runtime.name);
  }
  throw RuntimeUnavailableError(unknown_name("runtime", name, known));
}

/// What to do about a runtime that is not in this build.
std::string advice(const std::string& runtime) {
  for (const auto& [mine, other] : {std::pair{"tensorrt", "tensorrt-rtx"}, std::pair{"tensorrt-rtx", "tensorrt"}}) {
    if (runtime == mine && find_runtime(other).open) {
      return "A build has one of tensorrt and tensorrt-rtx, for their symbols clash: make a second one (docs/cpp.md), "
             "or choose another runtime.";
    }
  }
  return "Build the library where CMake finds it (docs/cpp.md), or choose another runtime.";
}

std::string sides(const std::vector<std::int64_t>& shape, const std::string& none) {
  std::vector<std::string> parts;
  for (const std::int64_t side : shape) parts.push_back(side < 0 ? "N" : std::to_string(side));
  return parts.empty() ? none : joined(parts, " x ");
}

std::int64_t count_of(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

std::size_t size_of(DType type) { return type == DType::float32 || type == DType::int32 ? 4 : 1; }

const char* name_of(DType type) {
  constexpr const char* kNames[] = {"float32", "uint8", "bool", "int32"};
  return kNames[static_cast<int>(type)];
}

std::size_t Tensor::bytes() const { return static_cast<std::size_t>(count_of(shape)) * size_of(dtype); }

Tensor Tensor::rows(std::int64_t start, std::int64_t count) const {
  Tensor part = *this;
  part.shape[0] = count;
  const std::size_t row = static_cast<std::size_t>(count_of(shape) / shape[0]) * size_of(dtype);
  part.data = {data, data.get() + static_cast<std::size_t>(start) * row};
  return part;
}

Tensor make_tensor(DType dtype, std::vector<std::int64_t> shape) {
  Tensor tensor{dtype, std::move(shape), nullptr, nullptr};
  tensor.data.reset(new std::uint8_t[tensor.bytes()]());
  return tensor;
}

std::vector<std::int64_t> Port::sized(std::int64_t rows) const {
  std::vector<std::int64_t> sides = shape;
  std::replace_if(
      sides.begin(), sides.end(), [](std::int64_t side) { return side < 0; }, rows);
  return sides;
}

std::unique_ptr<Session> open_session(const std::string& runtime, const std::filesystem::path& graph,
                                      const SessionOptions& options) {
  const Runtime& found = find_runtime(runtime);
  if (!found.open) {
    throw RuntimeUnavailableError("The runtime " + runtime + " is not in this build, which has " +
                                  (built_runtimes().empty() ? "none" : joined(built_runtimes())) + ". " +
                                  advice(runtime));
  }
  return found.open(graph, options);
}

std::vector<std::string> built_runtimes() {
  std::vector<std::string> names;
  for (const Runtime& runtime : all_runtimes()) {
    if (runtime.open) names.push_back(runtime.name);
  }
  return names;
}

std::string default_device(const std::string& runtime) { return find_runtime(runtime).default_device; }

std::string device_name(const std::string& runtime, std::string device) {
  const char first = runtime == "openvino" ? 'a' : 'A', other = runtime == "openvino" ? 'A' : 'a';
  for (char& c : device) {
    if (c >= first && c < first + 26) c = static_cast<char>(c - first + other);
  }
  return device;
}

std::int64_t check_inputs(const Ports& ports, const Tensors& inputs, const std::filesystem::path& graph) {
  const std::string where = graph.string() + ": ";
  std::vector<std::string> known;
  for (const auto& [name, port] : ports) known.push_back(name);
  for (const auto& [name, tensor] : inputs) {
    if (!ports.count(name)) throw BundleError(where + unknown_name("input", name, known));
  }
  std::optional<std::int64_t> rows;
  for (const auto& [name, port] : ports) {
    const auto found = inputs.find(name);
    if (found == inputs.end()) throw BundleError(where + "the input " + in_quotes(name) + " is missing.");
    const Tensor& value = found->second;
    if (value.dtype != port.dtype) {
      throw BundleError(where + "the input " + in_quotes(name) + " is " + name_of(value.dtype) + "; it must be " +
                        name_of(port.dtype) + ".");
    }
    const auto free = std::find(port.shape.begin(), port.shape.end(), -1);
    if (!rows && free != port.shape.end() && value.shape.size() == port.shape.size()) {
      rows = value.shape[static_cast<std::size_t>(free - port.shape.begin())];
    }
    if (value.shape != port.sized(rows.value_or(1))) {
      throw BundleError(where + "the input " + in_quotes(name) + " is " + sides(value.shape, "a single value") +
                        "; it must be " + sides(port.shape, "a single value") + ", N alike for all inputs.");
    }
  }
  return rows.value_or(1);
}

}  // namespace sam3i_edge::detail
