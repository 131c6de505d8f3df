# The runtimes, each optional: AUTO takes what is found, ON insists, OFF leaves it out. Prints which there are, and sets
# BACKEND_SOURCES, BACKEND_DEFINITIONS and BACKEND_LIBRARIES.
set(BACKEND_SOURCES)
set(BACKEND_DEFINITIONS)
set(BACKEND_LIBRARIES)
set(BACKEND_TABLE "")  # lines of text and no list: a hint has a semicolon in it

# backend(<name> <package> <target> <macro> <how to get it> <files of src/backends>...)
function(backend name package target macro hint)
  string(MAKE_C_IDENTIFIER "SAM3I_EDGE_${name}" option)
  string(TOUPPER "${option}" option)
  set(${option} AUTO CACHE STRING "Build the runtime ${name}: AUTO, ON or OFF")
  set_property(CACHE ${option} PROPERTY STRINGS AUTO ON OFF)
  if("${${option}}" STREQUAL "AUTO" OR "${${option}}")
    find_package(${package} QUIET)
  endif()
  if(NOT "${${option}}" STREQUAL "AUTO" AND NOT "${${option}}")  # OFF, 0, FALSE, ...
    set(state "left out: ${option}=${${option}}")
  elseif(${package}_FOUND AND TARGET ${target})
    set(state "found: ${${package}_VERSION} ${${package}_DIR}${${package}_LIBRARY}")
    list(TRANSFORM ARGN PREPEND src/backends/)
    list(TRANSFORM ARGN APPEND .cpp)
    set(BACKEND_SOURCES ${BACKEND_SOURCES} ${ARGN} PARENT_SCOPE)
    set(BACKEND_DEFINITIONS ${BACKEND_DEFINITIONS} ${macro} PARENT_SCOPE)
    set(BACKEND_LIBRARIES ${BACKEND_LIBRARIES} ${target} PARENT_SCOPE)
  elseif("${${option}}" STREQUAL "AUTO")
    set(state "not found${${package}_MISSING}: ${hint}")
  else()
    message(FATAL_ERROR "${option} is ON, but ${package} was not found: ${hint}")
  endif()
  set(BACKEND_TABLE "${BACKEND_TABLE}\n  ${name}: ${state}" PARENT_SCOPE)
endfunction()

# Whether an option is ON, rather than AUTO, OFF or not set.
macro(insists result option)
  set(${result} OFF)
  if(DEFINED ${option} AND NOT "${${option}}" STREQUAL "AUTO" AND ${option})
    set(${result} ON)
  endif()
endmacro()

backend(openvino OpenVINO openvino::runtime SAM3I_EDGE_WITH_OPENVINO
        "-DOpenVINO_DIR=<what `python -c 'import openvino.utils as u; print(u.get_cmake_path())'` prints>" openvino blobs)
backend(onnxruntime ONNXRuntime ONNXRuntime::ONNXRuntime SAM3I_EDGE_WITH_ONNXRUNTIME
        "-DONNXRUNTIME_ROOT=<an unpacked release archive, with include/ and lib/>" onnxruntime)

# TensorRT and TensorRT-RTX have the same symbols: whichever is loaded first would serve both. AUTO gives way to ON.
set(EITHER "a build has one of tensorrt and tensorrt-rtx, for their symbols clash")
insists(WANTS_TENSORRT SAM3I_EDGE_TENSORRT)
insists(WANTS_TENSORRT_RTX SAM3I_EDGE_TENSORRT_RTX)
if(WANTS_TENSORRT AND WANTS_TENSORRT_RTX)
  message(FATAL_ERROR "SAM3I_EDGE_TENSORRT and SAM3I_EDGE_TENSORRT_RTX are both ON, but ${EITHER}: turn one OFF, and "
                      "make a second build for it.")
elseif(WANTS_TENSORRT_RTX)
  string(APPEND BACKEND_TABLE "\n  tensorrt: left out: ${EITHER}")
else()
  backend(tensorrt TensorRT TensorRT::TensorRT SAM3I_EDGE_WITH_TENSORRT
          "-DTENSORRT_ROOT=<an unpacked TensorRT 10 or 11>, and the CUDA toolkit (not yet run on hardware)"
          tensorrt tensorrt_build)
endif()
if(SAM3I_EDGE_WITH_TENSORRT IN_LIST BACKEND_DEFINITIONS)
  string(APPEND BACKEND_TABLE "\n  tensorrt-rtx: left out: ${EITHER} (-DSAM3I_EDGE_TENSORRT_RTX=ON takes this one)")
else()
  backend(tensorrt-rtx TensorRT_RTX TensorRT_RTX::TensorRT_RTX SAM3I_EDGE_WITH_TENSORRT_RTX
          "-DTENSORRT_RTX_ROOT=<an unpacked TensorRT-RTX 1.5 or newer>, and the CUDA toolkit (not yet run on hardware)"
          tensorrt tensorrt_build)
endif()

message(STATUS "Runtimes:${BACKEND_TABLE}")
option(SAM3I_EDGE_ALLOW_NO_RUNTIME "Build though no runtime is found, a library that loads no bundle" OFF)
if(NOT BACKEND_SOURCES AND NOT SAM3I_EDGE_ALLOW_NO_RUNTIME)
  message(FATAL_ERROR "No runtime was found, and a library without one loads no bundle. Say where one is:\n"
                      "${BACKEND_TABLE}\n\nOr build without: -DSAM3I_EDGE_ALLOW_NO_RUNTIME=ON. See docs/cpp.md.")
endif()
