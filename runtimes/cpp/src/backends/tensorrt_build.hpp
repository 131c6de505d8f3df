// What needs no GPU of TensorRT's and TensorRT-RTX's: which version it is, reading an ONNX file, and TensorRT-RTX's
// builder. (TensorRT's own builder measures on the GPU that it builds for.)
//
// The headers decide which of the two it is: those of TensorRT-RTX define TRT_MAJOR_RTX, and count from 1 again.
#pragma once

#include <NvInfer.h>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "../session.hpp"

namespace sam3i_edge::detail::tensorrt {

#ifdef TRT_MAJOR_RTX
constexpr const char* kName = "TensorRT-RTX";
#else
constexpr const char* kName = "TensorRT";
#endif

/// Keeps the library's errors for our messages.
class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override;
  /// What went wrong since the last time.
  std::string take();

 private:
  std::mutex mutex_;
  std::string errors_;
};

Logger& logger();

/// "TensorRT-RTX 1.7.1.116": of the library that was loaded, which may be newer than the headers.
std::string library();

/// Refuses a library that is not what the headers describe: its first call would crash. Throws RuntimeUnavailableError.
void check_library();

nvinfer1::Dims dims_of(const std::vector<std::int64_t>& shape);

/// The engine of an ONNX file, with one profile from one prompt to `max_prompts`, for the GPU of this thread.
/// TensorRT-RTX also builds for others, which need not be here: name their compute capabilities, such as "8.9". Throws
/// BundleError (it cannot read the graph, or a setting is wrong) or RuntimeUnavailableError (it cannot build here).
std::string build_engine(const std::filesystem::path& graph, const SessionOptions& options,
                         const std::vector<std::string>& compute_capabilities = {});

}  // namespace sam3i_edge::detail::tensorrt
