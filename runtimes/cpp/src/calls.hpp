// Calls that run while the process forks, or ends: neither may hang it, or crash it in a runtime's threads.
#pragma once

#include <cstddef>
#include <string>

namespace sam3i_edge::detail {

/// The moment when something was opened.
class Opened {
 public:
  Opened();
  /// Whether this process was forked since: it lacks the threads of its runtimes, and what waits for them would hang.
  bool is_inherited() const;
  /// Whether that fork happened during a call: what other threads had locked then, stays locked.
  bool is_torn() const;

 private:
  int forks_, torn_;
};

/// A call while it runs. The end of the process waits for it, and a fork takes note of it.
///
/// Once the process ends, it does not return on other threads: the runtimes' own statics go.
class Call {
 public:
  /// Throws RuntimeUnavailableError where what was `opened` is torn.
  explicit Call(const Opened& opened);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

/// While something is opened in a runtime, or compiled by it, all of the process share what that locks. Within a
/// `Call`.
class Opening {
 public:
  /// Throws RuntimeUnavailableError where it would wait for ever: the process was forked while another thread did, or
  /// while there were idle threads.
  explicit Opening(const std::string& runtime);
  ~Opening();
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

 private:
  std::size_t runtime_;
};

/// Tell whether a runtime keeps threads that nothing uses. A forked child lacks them, and what it opens would be given
/// them: to open anything there is refused then, as by `Opening`.
void set_idle_threads(const std::string& runtime, bool has_some);

/// Let the end of the process wait for calls. What is registered later comes first, and the runtimes register the ends
/// of their statics when they first need them: to be called after a first load, and after a first run.
void wait_at_exit();

}  // namespace sam3i_edge::detail
