# TensorRT-RTX 1.5 or newer, unpacked: -DTENSORRT_RTX_ROOT=<folder with include/ and lib/>. Or the library of the wheel,
# which has no headers: -DTENSORRT_RTX_ROOT=<...>/site-packages/tensorrt_rtx_libs and
# -DTensorRT_RTX_INCLUDE_DIR=<folder with NvInfer.h>.
# Defines TensorRT_RTX::TensorRT_RTX, TensorRT_RTX_VERSION, of the headers, and TensorRT_RTX_MISSING, which says what is. Not yet run on hardware.
find_package(CUDAToolkit QUIET)
set(roots HINTS "${TENSORRT_RTX_ROOT}" "$ENV{TENSORRT_RTX_ROOT}" PATH_SUFFIXES lib lib64)
find_path(TensorRT_RTX_INCLUDE_DIR NvInfer.h HINTS "${TENSORRT_RTX_ROOT}" "$ENV{TENSORRT_RTX_ROOT}" PATH_SUFFIXES include)
find_library(TensorRT_RTX_LIBRARY NAMES tensorrt_rtx libtensorrt_rtx.so.1 ${roots})
find_library(TensorRT_RTX_PARSER NAMES tensorrt_onnxparser_rtx libtensorrt_onnxparser_rtx.so.1 ${roots})
mark_as_advanced(TensorRT_RTX_INCLUDE_DIR TensorRT_RTX_LIBRARY TensorRT_RTX_PARSER)

# TensorRT has headers of the same names.
set(TensorRT_RTX_HEADERS)
if(EXISTS "${TensorRT_RTX_INCLUDE_DIR}/NvInferVersion.h")
  file(STRINGS "${TensorRT_RTX_INCLUDE_DIR}/NvInferVersion.h" lines REGEX "define TRT_(MAJOR|MINOR|PATCH)_RTX ")
  string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
  list(JOIN numbers "." TensorRT_RTX_VERSION)
  if(numbers)
    set(TensorRT_RTX_HEADERS "${TensorRT_RTX_INCLUDE_DIR}")
  endif()
endif()

if(TensorRT_RTX_LIBRARY AND NOT TensorRT_RTX_HEADERS)
  set(TensorRT_RTX_MISSING " (the library is here, but not its headers, which NVIDIA's wheel lacks)")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorRT_RTX
  REQUIRED_VARS TensorRT_RTX_LIBRARY TensorRT_RTX_PARSER TensorRT_RTX_HEADERS CUDAToolkit_FOUND
  VERSION_VAR TensorRT_RTX_VERSION)
if(TensorRT_RTX_FOUND AND NOT TARGET TensorRT_RTX::TensorRT_RTX)
  add_library(TensorRT_RTX::TensorRT_RTX SHARED IMPORTED)
  set_target_properties(TensorRT_RTX::TensorRT_RTX PROPERTIES
    IMPORTED_LOCATION "${TensorRT_RTX_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${TensorRT_RTX_HEADERS}"
    INTERFACE_LINK_LIBRARIES "${TensorRT_RTX_PARSER};CUDA::cudart")
endif()
