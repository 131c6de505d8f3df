// OpenVINO, on Intel's processors, graphics and NPUs, and on other x86-64 and Arm processors.
#include <algorithm>
#include <map>
#include <mutex>
#include <openvino/openvino.hpp>
#include <optional>
#include <string>
#include <utility>

#include "../bundle.hpp"
#include "../calls.hpp"
#include "../files.hpp"
#include "../memory.hpp"
#include "../messages.hpp"
#include "../session.hpp"
#include "../warning.hpp"
#include "blobs.hpp"
#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

std::string version() {
  const std::string build = ov::get_openvino_version().buildNumber;
  return build.substr(0, build.find('-'));
}

ov::Core& core() {
  static auto* kept = new ov::Core;  // never freed: its plug-ins may be gone before our last static is
  return *kept;
}

/// Its messages begin with source lines of its own; what is the matter comes last.
std::string last_line(const std::exception& error) {
  std::string text = error.what();
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

/// Its names of the types that it may choose by itself; integers it takes from the graph.
std::string type_name(const std::string& precision) {
  const std::string type = precision.substr(precision.rfind('-') + 1);
  return type == "bf16" ? "bf16" : type == "fp16" ? "f16" : "f32";
}

DType type_of(const ov::element::Type& type, const fs::path& graph) {
  if (type == ov::element::f32) return DType::float32;
  if (type == ov::element::u8) return DType::uint8;
  if (type == ov::element::boolean) return DType::boolean;
  if (type == ov::element::i32) return DType::int32;
  throw BundleError(graph.string() + ": " + type.get_type_name() + " is no type of a bundle's inputs and outputs.");
}

ov::element::Type type_of(DType type) {
  switch (type) {
    case DType::float32:
      return ov::element::f32;
    case DType::uint8:
      return ov::element::u8;
    case DType::boolean:
      return ov::element::boolean;
    case DType::int32:
      return ov::element::i32;
  }
  return ov::element::dynamic;
}

template <typename Nodes>
Ports ports_of(const Nodes& nodes, const fs::path& graph) {
  Ports ports;
  for (const auto& node : nodes) {
    Port port{type_of(node.get_element_type(), graph), {}};
    for (const auto& side : node.get_partial_shape()) port.shape.push_back(side.is_dynamic() ? -1 : side.get_length());
    ports.emplace(node.get_any_name(), std::move(port));
  }
  return ports;
}

ov::Tensor view_of(const Tensor& tensor) {
  return {type_of(tensor.dtype), ov::Shape(tensor.shape.begin(), tensor.shape.end()), tensor.data.get()};
}

/// Throws RuntimeUnavailableError if `device`, or one of those that "AUTO:..." may choose, is not here.
void check_device(const std::string& device) {
  const std::vector<std::string> found = core().get_available_devices();
  std::vector<std::string> wanted, known = {"AUTO"};
  known.insert(known.end(), found.begin(), found.end());
  if (device == "AUTO" || device.rfind("AUTO:", 0) == 0) {
    std::string rest = device.substr(std::min<std::size_t>(device.size(), 5));
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      if (end) wanted.push_back(rest.substr(0, end));
      rest.erase(0, end + 1);
    }
  } else {
    wanted.push_back(device);
  }
  for (const std::string& name : wanted) {
    // "GPU" is the first of "GPU.0" and "GPU.1".
    const bool is_here = std::any_of(found.begin(), found.end(), [&](const std::string& other) {
      return name == other || name == other.substr(0, other.find('.'));
    });
    if (is_here) continue;
    const std::string kind = name.substr(0, name.find('.'));
    if (kind == "GPU" || kind == "NPU") {  // no slip of the pen
      throw RuntimeUnavailableError("OpenVINO finds no " + name + " here, only " + joined(found) +
                                    ". If there is one, install its driver (apt install intel-opencl-icd for graphics, "
                                    "Intel's NPU driver for an NPU); sam3i-edge doctor says what is there.");
    }
    throw RuntimeUnavailableError(unknown_name("device of OpenVINO here", name, known));
  }
}

void fix_to_one_row(ov::Model& model, const fs::path& graph) {
  std::map<std::string, ov::PartialShape> shapes;
  for (const auto& [name, port] : ports_of(std::as_const(model).inputs(), graph)) {
    const auto shape = port.sized(1);
    shapes[name] = ov::Shape(shape.begin(), shape.end());
  }
  model.reshape(shapes);
}

/// A folder for each set of settings, as on the Python side: OpenVINO's own key leaves the precision out, and gives
/// fp32's blob to bf16.
std::string key(const ov::AnyMap& settings) {
  std::string lines;
  for (const auto& [name, value] : settings) lines += name + "=" + value.as<std::string>() + "\n";
  return sha256_of_bytes(lines).substr(0, 16);
}

ov::CompiledModel compile_and_keep(const std::shared_ptr<ov::Model>& model, const std::string& device,
                                   ov::AnyMap settings, const fs::path& folder) {
  const LargeFiles errors_not_signals;
  const FolderLock lock(folder);  // what another one has just compiled, and not vouched for yet, would be dropped
  if (!drop_damaged(folder)) return core().compile_model(model, device, settings);
  const Blobs before = blobs_in(folder);
  settings["CACHE_DIR"] = folder.string();
  ov::CompiledModel compiled = core().compile_model(model, device, settings);
  if (compiled.get_property(ov::loaded_from_cache)) return compiled;
  // On a full disk OpenVINO goes on without a word, and leaves nothing behind.
  if (blobs_in(folder) == before) {
    warn("OpenVINO could not keep what it compiled in " + folder.string() +
         "; the disk may be full. The next load compiles it again.");
  }
  vouch_for(folder, before);
  return compiled;
}

void warn_of_emulation(const SessionOptions& options) {
  if (type_name(options.precision) != "bf16" || options.device != "CPU") return;
  const auto can = core().get_property("CPU", ov::device::capabilities);
  if (std::find(can.begin(), can.end(), "BF16") == can.end()) {
    warn("This processor has no bfloat16 instructions: OpenVINO emulates them, slower than fp32.");
  }
}

/// With the cache, if it is of use.
ov::CompiledModel compile_or_load(const std::shared_ptr<ov::Model>& model, const fs::path& graph,
                                  const SessionOptions& options) {
  ov::AnyMap settings(options.settings.begin(), options.settings.end());
  settings["INFERENCE_PRECISION_HINT"] = type_name(options.precision);
  if (is_int8(options.precision) && options.device == "CPU") {
    settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0";  // or it rounds the inputs of 4-bit layers, too
  }
  if (options.as_written && options.device == "CPU") {
    settings["LP_TRANSFORMS_MODE"] = "NO";  // leaves the integers to floating-point kernels
  }
  if (options.threads) settings["INFERENCE_NUM_THREADS"] = std::to_string(options.threads);
  try {
    if (options.cache) {
      try {
        return compile_and_keep(model, options.device, settings, *options.cache / key(settings));
      } catch (const ov::Exception& error) {
        warn("OpenVINO's model cache " + options.cache->string() + " is of no use: " + last_line(error));
      }
    }
    return core().compile_model(model, options.device, settings);
  } catch (const ov::Exception& error) {
    throw RuntimeUnavailableError("OpenVINO " + version() + " cannot compile " + graph.string() + " for " +
                                  options.device + ": " + last_line(error));
  }
}

void check_precision(const ov::CompiledModel& model, const SessionOptions& options) {
  const auto properties = model.get_property(ov::supported_properties);
  const std::string wanted = "INFERENCE_PRECISION_HINT";
  if (std::find(properties.begin(), properties.end(), wanted) == properties.end()) return;  // AUTO cannot say
  const std::string got = model.get_property(ov::hint::inference_precision).to_string();
  if (got == type_name(options.precision)) return;
  throw RuntimeUnavailableError("OpenVINO's device " + options.device + " computes in " + got +
                                " where the bundle says " + options.precision +
                                ". Export for this device with another --precision.");
}

ov::CompiledModel compile(const std::shared_ptr<ov::Model>& model, const fs::path& graph,
                          const SessionOptions& options) {
  ov::CompiledModel compiled = compile_or_load(model, graph, options);
  check_precision(compiled, options);
  return compiled;
}

/// While it lives, OpenVINO's threads for a model are in use. It keeps them for the next such model.
class Executors {
 public:
  explicit Executors(std::string model) : model_(std::move(model)) {
    const std::lock_guard lock(guard());
    auto& [used, all] = counts()[model_];
    all = std::max(all, ++used);
    tell();
  }
  ~Executors() {
    const std::lock_guard lock(guard());
    --counts()[model_].first;
    tell();
  }
  Executors(const Executors&) = delete;
  Executors& operator=(const Executors&) = delete;

 private:
  static std::mutex& guard() {
    static auto* mutex = new std::mutex;  // for models that are freed at the end of the process
    return *mutex;
  }
  static std::map<std::string, std::pair<int, int>>& counts() {
    static auto* counts = new std::map<std::string, std::pair<int, int>>;
    return *counts;
  }
  static void tell() {
    const auto& all = counts();
    set_idle_threads("openvino", std::any_of(all.begin(), all.end(),
                                             [](const auto& one) { return one.second.first < one.second.second; }));
  }

  std::string model_;
};

/// A model, compiled when it is first needed, with as many infer requests as there are calls at the same time.
class Compiled {
 public:
  Compiled(std::shared_ptr<ov::Model> model, fs::path graph, SessionOptions options)
      : inputs(ports_of(std::as_const(*model).inputs(), graph)),
        outputs(ports_of(std::as_const(*model).outputs(), graph)),
        graph_(std::move(graph)),
        options_(std::move(options)),
        source_(std::move(model)) {}

  ov::CompiledModel& model() {
    const std::lock_guard lock(mutex_);
    if (source_) {
      const Opening opening("openvino");
      compiled_ = compile(source_, graph_, options_);
      executors_.emplace(graph_.string() + (source_->is_dynamic() ? " several" : " single"));
      source_.reset();
    }
    return compiled_;
  }

  void infer(const Tensors& given, const Tensors& wanted) {
    ov::InferRequest request = take();
    for (const auto& [name, tensor] : given) request.set_tensor(name, view_of(tensor));
    for (const auto& [name, tensor] : wanted) request.set_tensor(name, view_of(tensor));
    request.infer();
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(request));  // one that failed is dropped
  }

  const Ports inputs, outputs;

 private:
  ov::InferRequest take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        ov::InferRequest request = std::move(idle_.back());
        idle_.pop_back();
        return request;
      }
    }
    return model().create_infer_request();
  }

  fs::path graph_;
  SessionOptions options_;
  std::mutex mutex_;
  std::shared_ptr<ov::Model> source_;
  std::optional<Executors> executors_;
  ov::CompiledModel compiled_;
  std::vector<ov::InferRequest> idle_;
};

/// A graph, compiled with fixed shapes for single rows, and with free ones once several are asked for. With free shapes
/// every operator works its own out anew in each call: a quarter of a small grounding graph's time. To have both from
/// the start would take twice as long, and the memory of both.
class OpenVinoSession : public Session {
 public:
  OpenVinoSession(std::shared_ptr<Compiled> single, std::shared_ptr<Compiled> several, fs::path graph)
      : single_(std::move(single)),
        several_(std::move(several)),
        graph_(std::move(graph)),
        device_("OpenVINO " + version() + " on " + joined(single_->model().get_property(ov::execution_devices))) {}

  /// Inputs are read and outputs written in place.
  Tensors run(const Tensors& inputs) override {
    const std::int64_t rows = check_inputs(several_->inputs, inputs, graph_);
    Tensors outputs;
    for (const auto& [name, port] : several_->outputs) {
      Tensor& output = outputs[name];
      output = {port.dtype, port.sized(rows), nullptr, nullptr};
      output.data = memory_.take(name, output.bytes());
    }
    try {
      (rows == 1 ? single_ : several_)->infer(inputs, outputs);
    } catch (const RuntimeUnavailableError&) {
      throw;
    } catch (const std::bad_alloc&) {  // no fault of the bundle's
      throw;
    } catch (const std::exception& error) {
      throw BundleError("OpenVINO " + version() + " failed in " + graph_.string() + ": " + error.what());
    }
    return outputs;
  }

  std::string device() const override { return device_; }
  const Ports& inputs() const override { return several_->inputs; }
  const Ports& outputs() const override { return several_->outputs; }

 private:
  std::shared_ptr<Compiled> single_, several_;
  fs::path graph_;
  std::string device_;
  Memory memory_;
};

}  // namespace

std::unique_ptr<Session> open_openvino(const fs::path& graph, const SessionOptions& options) {
  try {
    check_device(options.device);
    warn_of_emulation(options);
    std::shared_ptr<ov::Model> free, fixed;
    bool takes_several = false;
    try {
      free = options.content ? core().read_model(*options.content, ov::Tensor()) : core().read_model(graph.string());
      takes_several = free->is_dynamic() && options.max_prompts > 1;  // an NPU takes only fixed shapes
      fixed = takes_several ? free->clone() : free;
      fix_to_one_row(*fixed, graph);
    } catch (const ov::Exception& error) {
      throw BundleError("OpenVINO " + version() + " cannot read " + graph.string() + ": " + error.what());
    }
    SessionOptions kept = options;
    kept.content.reset();  // the models have it
    auto single = std::make_shared<Compiled>(fixed, graph, kept);
    auto several = takes_several ? std::make_shared<Compiled>(free, graph, kept) : single;
    return std::make_unique<OpenVinoSession>(std::move(single), std::move(several), graph);
  } catch (const ov::Exception& error) {  // what none of these expects: a driver that does not answer, for example
    throw RuntimeUnavailableError("OpenVINO " + version() + " cannot open " + graph.string() + " on " + options.device +
                                  ": " + last_line(error));
  }
}

}  // namespace sam3i_edge::detail
