// A table that forgets what was not asked for longest, and never holds more than so many bytes.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>

namespace sam3i_edge::detail {

/// Not safe to share between threads by itself.
template <typename Value>
class Lru {
 public:
  explicit Lru(std::size_t most_bytes) : most_(most_bytes) {}

  /// The value of `key`, which becomes the newest; null if there is none.
  const Value* find(const std::string& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->value;
  }

  /// Keeps a value of so many bytes, if it is not there yet. What alone takes more than there may be is not kept.
  void add(const std::string& key, Value value, std::size_t bytes) {
    bytes += 2 * key.size() + kOverhead;
    if (bytes > most_ || places_.count(key)) return;
    entries_.push_front({key, std::move(value), bytes});
    places_[key] = entries_.begin();
    held_ += bytes;
    while (held_ > most_) {
      held_ -= entries_.back().bytes;
      places_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }

  void clear() {
    places_.clear();
    entries_.clear();
    held_ = 0;
  }

  std::size_t bytes() const { return held_; }

 private:
  static constexpr std::size_t kOverhead = 256;  // of an entry, roughly

  struct Entry {
    std::string key;
    Value value;
    std::size_t bytes;
  };
  std::size_t most_, held_ = 0;
  std::list<Entry> entries_;
  std::unordered_map<std::string, typename std::list<Entry>::iterator> places_;
};

}  // namespace sam3i_edge::detail
