// Giving memory back needs none: a deleter that threw would end the process. A program of its own, for its operator
// new.
#include <cstdio>
#include <cstdlib>
#include <new>

#include "memory.hpp"

static bool is_out = false;

void* operator new(std::size_t size) {
  if (is_out) throw std::bad_alloc();
  if (void* made = std::malloc(size ? size : 1)) return made;
  throw std::bad_alloc();
}
void operator delete(void* held) noexcept { std::free(held); }
void operator delete(void* held, std::size_t) noexcept { std::free(held); }

int main() {
  sam3i_edge::detail::Memory memory;
  auto first = memory.take("masks", 100), second = memory.take("masks", 100), third = memory.take("masks", 100);
  is_out = true;
  first.reset();  // the two that are kept, and one that is not
  second.reset();
  third.reset();
  try {
    memory.take("masks", 1 << 20);
    return 1;
  } catch (const std::bad_alloc&) {
  }
  is_out = false;
  std::puts(memory.take("masks", 100) ? "passed" : "failed");
}
