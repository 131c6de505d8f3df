// What the sanitizers ask a program for: which reports are not ours.
#include <cstdlib>

/// What OpenVINO and TBB keep until the process ends.
extern "C" const char* __lsan_default_suppressions() { return "leak:libopenvino\nleak:libtbb\n"; }

/// These libraries are not built with ThreadSanitizer: it does not see how they synchronize.
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libopenvino.so\n"
         "called_from_lib:libopenvino_intel_cpu_plugin.so\n"
         "race:libopenvino_onnx_frontend.so\n"  // which is unloaded: the other kind would end the process then
         "called_from_lib:libtbb.so\n"
         "called_from_lib:libonnxruntime.so\n";
}

/// Nor how their threads lock: it would take every wait of ONNX Runtime's for the unlocking of an unlocked mutex.
extern "C" const char* __tsan_default_options() { return "report_mutex_bugs=0"; }

/// Without this TBB loads a library in a way that AddressSanitizer refuses.
[[maybe_unused]] static const int is_set = setenv("TBB_ENABLE_SANITIZERS", "1", 0);
