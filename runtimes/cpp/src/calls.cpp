#include "calls.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "sam3i_edge/errors.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr std::chrono::seconds kLongestWait{60};  // of the end for a call on another thread: that one must hang

std::atomic<int> running{0};
std::atomic<int> forks{0};
std::atomic<int> torn{0};  // forks that happened during a call
std::atomic<bool> ending{false};
thread_local int depth = 0;  // calls of this thread, one within the other
thread_local bool is_ender = false;

/// The runtimes that can be told apart, and all others as one more.
constexpr std::array<const char*, 4> kRuntimes{"onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"};

std::size_t number_of(const std::string& runtime) {
  return static_cast<std::size_t>(std::find(kRuntimes.begin(), kRuntimes.end(), runtime) - kRuntimes.begin());
}

struct Use {
  std::atomic<int> opening{0};  // threads that open something
  std::atomic<bool> has_idle_threads{false};
  std::atomic<bool> is_stuck{false};  // of a fork
};
std::array<Use, kRuntimes.size() + 1> uses;
thread_local std::array<int, kRuntimes.size() + 1> opening_here{};

void after_fork_in_child() {
  const int own = depth > 0 ? 1 : 0;
  if (running > own) ++torn;
  running = own;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (uses[i].opening > opening_here[i] || uses[i].has_idle_threads) uses[i].is_stuck = true;
    uses[i].opening = opening_here[i];
  }
  ++forks;
}

[[maybe_unused]] const int kRegistered = pthread_atfork(nullptr, nullptr, after_fork_in_child);

void wait_for_calls() {
  is_ender = true;
  ending = true;
  const int own = depth > 0 ? 1 : 0;
  const auto until = std::chrono::steady_clock::now() + kLongestWait;
  while (running > own && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

Opened::Opened() : forks_(forks), torn_(torn) {}

bool Opened::is_inherited() const { return forks_ != forks; }
bool Opened::is_torn() const { return torn_ != torn; }

Call::Call(const Opened& opened) {
  if (opened.is_torn()) {
    throw RuntimeUnavailableError(
        "This Segmenter was loaded before this process was forked, and another thread was inside it just then. Load "
        "the "
        "bundle again in this process, or start it with fork and exec.");
  }
  if (depth++ > 0) return;
  ++running;
  if (ending && !is_ender) {
    --running;
    for (;;) ::pause();
  }
}

Call::~Call() {
  if (--depth == 0) --running;
}

Opening::Opening(const std::string& runtime) : runtime_(number_of(runtime)) {
  if (uses[runtime_].is_stuck) {
    throw RuntimeUnavailableError("This process was forked while another thread was loading a bundle with " + runtime +
                                  ", or after one was closed: it would wait here for threads of its parent's. Start "
                                  "workers with multiprocessing's spawn (in C++: fork and exec), or keep what is "
                                  "loaded open until the fork.");
  }
  ++uses[runtime_].opening;
  ++opening_here[runtime_];
}

Opening::~Opening() {
  --opening_here[runtime_];
  --uses[runtime_].opening;
}

void set_idle_threads(const std::string& runtime, bool has_some) {
  uses[number_of(runtime)].has_idle_threads = has_some;
}

void wait_at_exit() { std::atexit(wait_for_calls); }

}  // namespace sam3i_edge::detail
