# TensorRT 10 or 11, of JetPack, of NVIDIA's packages, or unpacked: -DTENSORRT_ROOT=<folder with include/ and lib/>.
# Defines TensorRT::TensorRT. Not yet run on hardware.
find_package(CUDAToolkit QUIET)
find_path(TensorRT_INCLUDE_DIR NvInfer.h HINTS "${TENSORRT_ROOT}" "$ENV{TENSORRT_ROOT}" PATH_SUFFIXES include)
find_library(TensorRT_LIBRARY nvinfer HINTS "${TENSORRT_ROOT}" "$ENV{TENSORRT_ROOT}" PATH_SUFFIXES lib lib64)
find_library(TensorRT_PARSER nvonnxparser HINTS "${TENSORRT_ROOT}" "$ENV{TENSORRT_ROOT}" PATH_SUFFIXES lib lib64)
mark_as_advanced(TensorRT_INCLUDE_DIR TensorRT_LIBRARY TensorRT_PARSER)

# TensorRT-RTX has headers of the same names.
set(TensorRT_HEADERS)
if(EXISTS "${TensorRT_INCLUDE_DIR}/NvInferVersion.h")
  file(STRINGS "${TensorRT_INCLUDE_DIR}/NvInferVersion.h" lines REGEX "define TRT_MAJOR_RTX ")
  if(NOT lines)
    set(TensorRT_HEADERS "${TensorRT_INCLUDE_DIR}")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorRT
  REQUIRED_VARS TensorRT_LIBRARY TensorRT_PARSER TensorRT_HEADERS CUDAToolkit_FOUND)
if(TensorRT_FOUND AND NOT TARGET TensorRT::TensorRT)
  add_library(TensorRT::TensorRT SHARED IMPORTED)
  set_target_properties(TensorRT::TensorRT PROPERTIES
    IMPORTED_LOCATION "${TensorRT_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${TensorRT_HEADERS}"
    INTERFACE_LINK_LIBRARIES "${TensorRT_PARSER};CUDA::cudart")
endif()
