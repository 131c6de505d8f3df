// sam3i_edge._native: this library's engine for Python. sam3i_edge/native.py is what Python programs import.
//
// Arrays share the library's memory: an output's capsule holds it. Other threads of Python run during every call that
// computes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "messages.hpp"
#include "postprocess.hpp"
#include "sam3i_edge/errors.hpp"

namespace nb = nanobind;

namespace sam3i_edge {
namespace {

using Image = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy>;
using ReadOnlyArray = nb::ndarray<nb::numpy, nb::ro>;
using Corners = std::vector<std::array<double, 4>>;
/// A text, the route's name, and boxes x0 y0 x1 y1 of what is meant and of what is not.
using PromptTuple = std::tuple<std::string, std::string, Corners, Corners>;

nb::dlpack::dtype dtype_of(detail::DType type) {
  switch (type) {
    case detail::DType::float32:
      return nb::dtype<float>();
    case detail::DType::uint8:
      return nb::dtype<std::uint8_t>();
    case detail::DType::boolean:
      return nb::dtype<bool>();
    default:
      return nb::dtype<std::int32_t>();
  }
}

/// A NumPy array of a tensor's own memory, which lives as long as either.
template <typename Made>
Made array_of(const detail::Tensor& tensor) {
  auto held = std::make_unique<std::shared_ptr<std::uint8_t[]>>(tensor.data);
  void* data = held->get();
  nb::capsule owner(held.get(),
                    [](void* kept) noexcept { delete static_cast<std::shared_ptr<std::uint8_t[]>*>(kept); });
  held.release();
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  return Made(data, shape.size(), shape.data(), owner, nullptr, dtype_of(tensor.dtype));
}

/// The pixels of an array in place. Rows may lie anywhere, the channels of a row one behind the other; a view that
/// turns them round, `frame[..., ::-1]`, is one of BGR.
ImageView view_of(const Image& image) {
  const bool is_bgr = image.stride(2) == -1;
  if (image.shape(2) != 3 || (image.stride(2) != 1 && !is_bgr) || (image.shape(1) > 1 && image.stride(1) != 3)) {
    throw ImageError("The image is not (H, W, 3) uint8 RGB with its pixels side by side; see numpy.ascontiguousarray.");
  }
  return {is_bgr ? image.data() - 2 : image.data(), static_cast<int>(image.shape(1)), static_cast<int>(image.shape(0)),
          is_bgr ? PixelFormat::bgr : PixelFormat::rgb, static_cast<std::ptrdiff_t>(image.stride(0))};
}

std::vector<Box> boxes_of(const Corners& corners) {
  std::vector<Box> boxes;
  for (const auto& [x0, y0, x1, y1] : corners) boxes.push_back({x0, y0, x1, y1});
  return boxes;
}

Integrity integrity_of(const std::string& name) {
  if (name == "full") return Integrity::full;
  if (name == "size") return Integrity::size;
  throw BundleError(detail::unknown_name("integrity", name, {"full", "size"}));
}

/// `text` as str; bytes that are not UTF-8, of a path for example, are escaped.
nb::object str_of(const std::string& text) {
  return nb::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
}

/// The engine and the Python function that is told of its stages.
struct PythonEngine {
  PythonEngine(const std::string& path, const LoadOptions& options, nb::object told) : observer(std::move(told)) {
    detail::Observer observe;
    if (!observer.is_none()) {
      observe = [this](const char* stage, std::chrono::nanoseconds duration) {
        const nb::gil_scoped_acquire gil;
        if (const nb::object function = observer; !function.is_none()) function(stage, duration.count());
      };
    }
    const nb::gil_scoped_release no_gil;
    engine = std::make_unique<detail::Engine>(path, options, detail::open_session, std::move(observe));
  }

  nb::object observer;
  std::unique_ptr<detail::Engine> engine;
};

// The garbage collector follows the observer, which may belong to what holds the engine.
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self)) Py_VISIT(nb::inst_ptr<PythonEngine>(self)->observer.ptr());
  return 0;
}

int clear(PyObject* self) {
  nb::inst_ptr<PythonEngine>(self)->observer = nb::none();
  return 0;
}

PyType_Slot kSlots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)}, {Py_tp_clear, reinterpret_cast<void*>(clear)}, {0, nullptr}};

struct Features {
  std::shared_ptr<const detail::Features> kept;

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& one : kept->tensors) found.push_back(one.first);
    return found;
  }
};

/// In place; a copy of what stays on a device.
ReadOnlyArray feature(PythonEngine& self, const Features& features, const std::string& name) {
  if (!features.kept->tensors.count(name)) throw nb::key_error(name.c_str());
  detail::Tensor tensor;
  {
    const nb::gil_scoped_release no_gil;
    tensor = self.engine->feature(*features.kept, name);
  }
  return array_of<ReadOnlyArray>(tensor);
}

/// The outputs of one call as they are; of several, one behind the other.
struct Rows {
  std::int64_t count;
  detail::Tensors all;

  void take(std::int64_t first, std::int64_t rows, const detail::Tensors& outputs) {
    if (rows == count) {
      all = outputs;
      return;
    }
    for (const auto& [name, part] : outputs) {
      auto shape = part.shape;
      shape[0] = count;
      detail::Tensor& whole = all.try_emplace(name, part).first->second;
      if (first == 0) whole = detail::make_tensor(part.dtype, shape);
      std::memcpy(whole.rows(first, rows).data.get(), part.data.get(), part.bytes());
    }
  }
};

std::map<std::string, Array> ground(PythonEngine& self, const Features& features, const std::vector<PromptTuple>& given,
                                    int width, int height) {
  Rows rows{static_cast<std::int64_t>(given.size()), {}};
  {
    const nb::gil_scoped_release no_gil;
    std::vector<Prompt> prompts;
    for (const auto& [text, route, boxes, negative_boxes] : given) {
      prompts.emplace_back(text, parse_route(route), boxes_of(boxes), boxes_of(negative_boxes));
    }
    const detail::Features sized{features.kept->tensors, width, height};
    self.engine->ground(sized, prompts, self.engine->pairs_of(prompts),
                        [&](auto first, auto count, const auto& outputs) { rows.take(first, count, outputs); });
  }
  std::map<std::string, Array> arrays;
  for (const auto& [name, tensor] : rows.all) arrays.emplace(name, array_of<Array>(tensor));
  return arrays;
}

std::pair<Array, Array> encode_texts(PythonEngine& self,
                                     const std::vector<std::pair<std::string, std::string>>& given) {
  std::pair<detail::Tensor, detail::Tensor> encoded;
  {
    const nb::gil_scoped_release no_gil;
    std::vector<Prompt> prompts;
    for (const auto& [text, route] : given) prompts.emplace_back(text, parse_route(route));
    encoded = self.engine->encode_texts(self.engine->pairs_of(prompts));
  }
  return {array_of<Array>(encoded.first), array_of<Array>(encoded.second)};
}

/// (n, h, w) logits as (n, height, width) bool.
Array resize_masks(const nb::ndarray<const float, nb::shape<-1, -1, -1>, nb::c_contig, nb::device::cpu>& logits,
                   int width, int height) {
  if (logits.shape(1) != logits.shape(2)) throw nb::value_error("The masks are not square.");
  detail::Tensor masks;
  {
    const nb::gil_scoped_release no_gil;
    masks = detail::make_tensor(detail::DType::boolean, {static_cast<std::int64_t>(logits.shape(0)), height, width});
    detail::resize_masks(logits.data(), logits.shape(0), static_cast<int>(logits.shape(1)), width, height,
                         masks.data.get());
  }
  return array_of<Array>(masks);
}

void translate(const std::exception_ptr& thrown, void*) {
  const auto raise = [](const char* name, const std::exception& error) {
    const nb::object type = nb::module_::import_("sam3i_edge.errors").attr(name);
    PyErr_SetObject(type.ptr(), str_of(error.what()).ptr());
  };
  try {
    std::rethrow_exception(thrown);
  } catch (const BundleError& error) {
    raise("BundleError", error);
  } catch (const ImageError& error) {
    raise("ImageError", error);
  } catch (const PromptError& error) {
    raise("PromptError", error);
  } catch (const RuntimeUnavailableError& error) {
    raise("RuntimeUnavailableError", error);
  }
}

void log_warning(const std::string& text) {
  if (!nb::is_alive()) return;  // the interpreter is going
  const nb::gil_scoped_acquire gil;
  nb::module_::import_("logging").attr("getLogger")("sam3i_edge").attr("warning")("%s", str_of(text));
}

}  // namespace
}  // namespace sam3i_edge

NB_MODULE(_native, module) {
  using namespace sam3i_edge;
  nb::set_leak_warnings(false);  // of a process that ends while a daemon thread waits, which is no leak
  nb::register_exception_translator(translate);
  set_warning_handler(log_warning);
  module.def("runtimes", runtimes);
  module.def("resize_masks", resize_masks);

  nb::class_<Features>(module, "Features").def("names", &Features::names);

  nb::class_<PythonEngine>(module, "Engine", nb::type_slots(kSlots))
      .def(
          "__init__",
          [](PythonEngine* self, const std::string& path, const std::optional<std::string>& runtime,
             const std::string& device, std::optional<int> threads, const std::string& integrity,
             const std::optional<std::string>& expect, nb::object observer) {
            LoadOptions options;
            options.device = device;
            options.runtime = runtime.value_or("");
            options.threads = threads;
            options.integrity = integrity_of(integrity);
            options.expect = expect;
            new (self) PythonEngine(path, options, std::move(observer));
          },
          nb::arg("path"), nb::kw_only(), nb::arg("runtime").none() = nb::none(), nb::arg("device") = "auto",
          nb::arg("threads").none() = nb::none(), nb::arg("integrity") = "full", nb::arg("expect").none() = nb::none(),
          nb::arg("observer").none() = nb::none())
      .def_prop_ro("device", [](const PythonEngine& self) { return str_of(self.engine->device()); })
      .def_prop_ro("fingerprint", [](const PythonEngine& self) { return self.engine->info().fingerprint; })
      .def_prop_ro("precision", [](const PythonEngine& self) { return self.engine->precision(); })
      .def(
          "preprocess",
          [](PythonEngine& self, const Image& image) {
            detail::Tensor pixels;
            {
              const nb::gil_scoped_release no_gil;
              pixels = self.engine->preprocess(view_of(image));
            }
            return array_of<Array>(pixels);
          },
          nb::arg("image").noconvert())
      .def(
          "encode",
          [](PythonEngine& self, const Image& image) {
            const nb::gil_scoped_release no_gil;
            return Features{self.engine->encode(view_of(image))};
          },
          nb::arg("image").noconvert())
      .def(
          "check_features",
          [](PythonEngine& self, const Features& features) { self.engine->check_features(*features.kept); },
          nb::call_guard<nb::gil_scoped_release>())
      .def("feature", feature)
      .def("encode_texts", encode_texts)
      .def("ground", ground)
      .def(
          "route_of",
          [](PythonEngine& self, const std::string& text, const std::string& route) {
            return to_string(self.engine->route_of({text, parse_route(route)}));
          },
          nb::call_guard<nb::gil_scoped_release>())  // a lock may be held by who waits for the GIL
      .def(
          "clear_caches", [](PythonEngine& self) { self.engine->clear_caches(); },
          nb::call_guard<nb::gil_scoped_release>())
      .def(
          "close", [](PythonEngine& self) { self.engine->close(); }, nb::call_guard<nb::gil_scoped_release>());
}
