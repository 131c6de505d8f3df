// Memory and streams of an NVIDIA GPU. Not yet run on hardware.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail::cuda {

/// Throws RuntimeUnavailableError if a call failed.
inline void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  throw RuntimeUnavailableError(std::string("CUDA: ") + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) +
                                ").");
}

/// Memory of the GPU that this thread talks to; it is freed with the last copy.
inline std::shared_ptr<void> allocate(std::size_t size) {
  void* address = nullptr;
  check(cudaMalloc(&address, size ? size : 1));
  return {address, [](void* held) { cudaFree(held); }};
}

/// A queue of work on a GPU.
class Stream {
 public:
  Stream() { check(cudaStreamCreate(&handle_)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(handle_); }

  cudaStream_t get() const { return handle_; }
  void upload(void* to, const void* from, std::size_t size) const {
    check(cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, handle_));
  }
  void download(void* to, const void* from, std::size_t size) const {
    check(cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToHost, handle_));
  }
  void wait() const { check(cudaStreamSynchronize(handle_)); }

 private:
  cudaStream_t handle_ = nullptr;
};

struct Gpu {
  int index;
  std::string name, compute_capability;

  std::string shown() const { return name + " (compute capability " + compute_capability + ")"; }
};

/// The GPUs by our names, "cuda:0". Throws RuntimeUnavailableError if there is none or no driver for it.
inline std::map<std::string, Gpu> gpus() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice) {
    throw RuntimeUnavailableError(std::string("CUDA finds no NVIDIA GPU here: ") + cudaGetErrorString(status) + " (" +
                                  cudaGetErrorName(status) +
                                  "). Install NVIDIA's driver, or a newer one, until nvidia-smi lists the GPU; start a "
                                  "container with --gpus all.");
  }
  check(status);
  std::map<std::string, Gpu> found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, i));
    found["cuda:" + std::to_string(i)] = {i, properties.name,
                                          std::to_string(properties.major) + "." + std::to_string(properties.minor)};
  }
  return found;
}

}  // namespace sam3i_edge::detail::cuda
