#include "video_loop.hpp"

#include <cstddef>
#include <exception>
#include <utility>

namespace examples {

VideoLoop::VideoLoop(sam3i_edge::Segmenter segmenter, std::vector<sam3i_edge::Prompt> prompts, Take take)
    : segmenter_(std::move(segmenter)),
      take_(std::move(take)),
      prompts_(std::move(prompts)),
      thread_([this] { run(); }) {}

VideoLoop::~VideoLoop() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::uint64_t VideoLoop::give(const std::uint8_t* rgb, int width, int height) {
  const std::size_t size = std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  Waiting frame{{rgb, rgb + size}, width, height, 0};
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = frame.number = ++given_;
    waiting_ = std::move(frame);
  }
  changed_.notify_one();
  return number;
}

void VideoLoop::ask(std::vector<sam3i_edge::Prompt> prompts) {
  const std::lock_guard lock(mutex_);
  prompts_ = std::move(prompts);
}

VideoLoop::Answer VideoLoop::answer(const Waiting& frame, const std::vector<sam3i_edge::Prompt>& prompts) {
  try {
    return {frame.number, segmenter_.segment({frame.rgb.data(), frame.width, frame.height}, prompts), ""};
  } catch (const std::exception& error) {  // memory that ran out, too: the loop's thread has nobody to tell
    return {frame.number, {}, error.what()};
  }
}

void VideoLoop::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_over_ || waiting_; });
    if (is_over_) return;
    const Waiting frame = std::move(*waiting_);
    waiting_.reset();
    const auto prompts = prompts_;
    lock.unlock();
    take_(answer(frame, prompts));
    lock.lock();
  }
}

}  // namespace examples
