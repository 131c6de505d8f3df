// A camera's loop without the camera: the newest frame is segmented, older ones are dropped, prompts change meanwhile.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <sam3i_edge/segmenter.hpp>
#include <string>
#include <thread>
#include <vector>

namespace examples {

/// Runs a Segmenter on a thread of its own. `give` and `ask` never wait for it.
class VideoLoop {
 public:
  struct Answer {
    std::uint64_t frame;                           ///< the number that `give` returned
    std::vector<sam3i_edge::Instances> instances;  ///< one for each prompt
    std::string error;                             ///< why there are none; the loop goes on with the next frame
  };
  using Take = std::function<void(const Answer&)>;

  /// `take` is called on the loop's thread, once for each frame that was not dropped.
  VideoLoop(sam3i_edge::Segmenter segmenter, std::vector<sam3i_edge::Prompt> prompts, Take take);
  VideoLoop(const VideoLoop&) = delete;
  VideoLoop& operator=(const VideoLoop&) = delete;
  ~VideoLoop();

  /// Copies an RGB frame of (height, width, 3) bytes, for as soon as the loop is free; one that still waits is dropped.
  /// Returns its number, counted from 1.
  std::uint64_t give(const std::uint8_t* rgb, int width, int height);

  /// What to look for from the next frame on.
  void ask(std::vector<sam3i_edge::Prompt> prompts);

 private:
  struct Waiting {
    std::vector<std::uint8_t> rgb;
    int width, height;
    std::uint64_t number;
  };
  void run();
  Answer answer(const Waiting& frame, const std::vector<sam3i_edge::Prompt>& prompts);

  sam3i_edge::Segmenter segmenter_;
  Take take_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Waiting> waiting_;
  std::vector<sam3i_edge::Prompt> prompts_;
  std::uint64_t given_ = 0;
  bool is_over_ = false;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace examples
