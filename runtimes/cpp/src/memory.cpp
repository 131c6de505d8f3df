#include "memory.hpp"

#include <utility>

namespace sam3i_edge::detail {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kKept = 2;  // of each name: one for a loop that drops a frame before the next, one for a thread

}  // namespace

std::shared_ptr<std::uint8_t[]> Memory::take(const std::string& name, std::size_t size) {
  Block block;
  {
    const std::lock_guard lock(idle_->mutex);
    auto& blocks = idle_->blocks[name];
    blocks.reserve(kKept);  // giving back must not need memory: nobody could catch what it throws
    if (!blocks.empty()) {
      block = std::move(blocks.back());
      blocks.pop_back();
    }
  }
  if (block.size < size + kAlignment) block = {nullptr, size + kAlignment};
  if (!block.bytes) block.bytes.reset(new std::uint8_t[block.size]);  // not cleared, unlike std::make_unique's
  std::uint8_t* start = block.bytes.get();
  start += (kAlignment - reinterpret_cast<std::uintptr_t>(start) % kAlignment) % kAlignment;
  auto lease = std::make_shared<Block>(std::move(block));
  return {start, [idle = idle_, lease, name](std::uint8_t*) {
            const std::lock_guard lock(idle->mutex);
            auto& blocks = idle->blocks[name];
            if (blocks.size() < kKept) blocks.push_back(std::move(*lease));
          }};
}

}  // namespace sam3i_edge::detail
