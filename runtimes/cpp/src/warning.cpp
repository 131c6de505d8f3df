#include "warning.hpp"

#include <cstdio>
#include <functional>
#include <mutex>
#include <utility>

#include "sam3i_edge/errors.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge {
namespace {

struct Handler {
  std::mutex mutex;
  std::function<void(const std::string&)> function = [](const std::string& text) {
    std::fprintf(stderr, "sam3i_edge: %s\n", printable(text).c_str());
  };
};

Handler& handler() {
  static auto* kept = new Handler;  // never freed: threads may warn while the process ends
  return *kept;
}

}  // namespace

void set_warning_handler(std::function<void(const std::string&)> function) {
  const std::lock_guard lock(handler().mutex);
  handler().function = std::move(function);
}

namespace detail {

void warn(const std::string& text) {
  std::function<void(const std::string&)> function;
  {
    const std::lock_guard lock(handler().mutex);
    function = handler().function;  // called without the lock: it may warn, or set another one
  }
  if (function) function(text);
}

}  // namespace detail
}  // namespace sam3i_edge
