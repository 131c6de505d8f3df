// Memory that is used again: fresh memory costs the operating system more than some graphs cost the processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace sam3i_edge::detail {

/// Blocks by name. Threads may share it; blocks may outlive it.
class Memory {
 public:
  /// At least `size` bytes that nobody else has, aligned to 64, of any content. They come back when the last copy goes.
  std::shared_ptr<std::uint8_t[]> take(const std::string& name, std::size_t size);

 private:
  struct Block {
    std::unique_ptr<std::uint8_t[]> bytes;
    std::size_t size = 0;
  };
  struct Idle {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<Block>> blocks;
  };
  std::shared_ptr<Idle> idle_ = std::make_shared<Idle>();
};

}  // namespace sam3i_edge::detail
