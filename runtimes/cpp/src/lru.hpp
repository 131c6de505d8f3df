// A table that forgets what was not asked for longest.
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
  explicit Lru(std::size_t most) : most_(most) {}

  /// The value of `key`, which becomes the newest; null if there is none.
  const Value* find(const std::string& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->second;
  }

  /// Adds what is not there yet, even beyond the bound: `trim` holds to that.
  void add(const std::string& key, Value value) {
    entries_.emplace_front(key, std::move(value));
    places_[key] = entries_.begin();
  }

  void trim() {
    while (entries_.size() > most_) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
  }

  std::size_t size() const { return entries_.size(); }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;
  std::size_t most_;
  Entries entries_;
  std::unordered_map<std::string, typename Entries::iterator> places_;
};

}  // namespace sam3i_edge::detail
