// Runtimes: whatever can open a graph file and run it on named tensors. A runtime knows nothing of images or masks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sam3i_edge::detail {

enum class DType { float32, uint8, boolean, int32 };

std::size_t size_of(DType type);
const char* name_of(DType type);  ///< NumPy's name

/// A dense array in the processor's memory, or where its runtime left it. A copy shares the values.
struct Tensor {
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;
  std::shared_ptr<std::uint8_t[]> data;  ///< null where it is resident
  std::shared_ptr<void> resident;        ///< memory of a device, which only sessions of the same runtime can read

  std::size_t bytes() const;
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data.get());
  }
  /// Rows `start` to `start + count` of the first side, without a copy.
  Tensor rows(std::int64_t start, std::int64_t count) const;
};

Tensor make_tensor(DType dtype, std::vector<std::int64_t> shape);

using Tensors = std::map<std::string, Tensor>;

/// An input or output of an open graph; a side of -1 is free.
struct Port {
  DType dtype;
  std::vector<std::int64_t> shape;

  /// The shape when the free side is `rows` long.
  std::vector<std::int64_t> sized(std::int64_t rows) const;
};
using Ports = std::map<std::string, Port>;

/// An engine of a graph that was built ahead of time and lies in the bundle.
struct CarriedEngine {
  std::filesystem::path file;
  std::vector<std::string> compute_capabilities;  ///< of the GPUs that it runs on, such as "8.9"
  std::string built_by;                           ///< the library and its version, such as "TensorRT-RTX 1.7.1.116"
  std::string sha256;                             ///< what the file must have; empty: it is not checked
};

/// How a graph is to be run.
struct SessionOptions {
  std::string device;              ///< a name of the runtime's, such as "cpu", "GPU" or "cuda:0"
  std::string precision = "fp32";  ///< of the bundle: a runtime that chooses by itself must choose this one
  std::int64_t threads = 0;        ///< processor threads; 0: the runtime's own choice
  std::int64_t max_prompts = 16;   ///< most rows of the free side
  std::set<std::string> resident;  ///< outputs that may stay on the device: they only go into another graph
  std::map<std::string, std::string> settings;  ///< the target's, under the runtime's own names
  std::optional<std::filesystem::path> cache;   ///< a folder to keep what was compiled for this device
  /// Compute what a graph with integers says, in floating point, because the runtime's integer kernels would not: the
  /// bundle was made for another runtime's, or they overflow on this processor.
  bool as_written = false;
  /// What is opened in place of the file's bytes; null: the file, with the weights beside it.
  std::shared_ptr<const std::string> content;
  std::vector<CarriedEngine> engines;  ///< of this graph, in the bundle; only their own library reads them
};

/// An open graph. Threads may share it.
class Session {
 public:
  virtual ~Session() = default;

  /// Run the graph on named inputs and return its named outputs, which nothing else writes to.
  /// Throws BundleError: the graph does not take these inputs, or fails on them.
  virtual Tensors run(const Tensors& inputs) = 0;

  /// A tensor that this session made, in the processor's memory: a copy if it is resident.
  virtual Tensor to_host(const Tensor& tensor) const { return tensor; }

  /// What really runs it, in the runtime's own words.
  virtual std::string device() const = 0;

  /// What the file that was opened takes and gives, whatever the manifest says of it.
  virtual const Ports& inputs() const = 0;
  virtual const Ports& outputs() const = 0;
};

/// Open `graph` with the named runtime. Throws RuntimeUnavailableError (the runtime is unknown or not in this build, or
/// has no such device or precision) or BundleError (it cannot read the graph).
std::unique_ptr<Session> open_session(const std::string& runtime, const std::filesystem::path& graph,
                                      const SessionOptions& options);

/// The runtimes in this build.
std::vector<std::string> built_runtimes();

/// The device of a runtime that a bundle for another runtime gets. Throws RuntimeUnavailableError.
std::string default_device(const std::string& runtime);

/// `device` as the named runtime writes it, whatever its case: "CPU" and "AUTO:GPU,CPU", or "cpu".
std::string device_name(const std::string& runtime, std::string device);

/// Refuse what a graph does not take, in the same words for every runtime: some would run on stale or cast values.
/// Returns the length of the free side, 1 if there is none. Throws BundleError.
std::int64_t check_inputs(const Ports& ports, const Tensors& inputs, const std::filesystem::path& graph);

// One for each runtime that may be in a build.
std::unique_ptr<Session> open_openvino(const std::filesystem::path& graph, const SessionOptions& options);
std::unique_ptr<Session> open_onnxruntime(const std::filesystem::path& graph, const SessionOptions& options);
std::unique_ptr<Session> open_tensorrt(const std::filesystem::path& graph, const SessionOptions& options);

}  // namespace sam3i_edge::detail
