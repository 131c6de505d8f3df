// The examples' cores, linked to the shared library as a user's program is.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "golden.hpp"
#include "node_core.hpp"
#include "video_loop.hpp"

namespace examples {
namespace {

class Examples : public golden::Pictured {
 protected:
  int width() const { return view().width; }
  int height() const { return view().height; }
};

TEST_F(Examples, TheLoopAnswersTheNewestFrameAndTakesNewPrompts) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<VideoLoop::Answer> answers;
  const auto wait_for = [&](std::uint64_t frame) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::minutes(2),
                                 [&] { return !answers.empty() && answers.back().frame >= frame; }));
  };
  VideoLoop loop(load(), {"mug"}, [&](const VideoLoop::Answer& answer) {
    const std::lock_guard lock(mutex);
    answers.push_back(answer);
    changed.notify_one();
  });
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) last = loop.give(picture_.bytes.data(), width(), height());
  EXPECT_EQ(last, 20u);
  wait_for(last);
  EXPECT_LT(answers.size(), 20u);  // the camera is faster: frames were dropped, but never the newest
  EXPECT_EQ(answers.back().instances.size(), 1u);
  EXPECT_GT(answers.back().instances[0].size(), 0u);
  loop.ask({"mug", {"hammer", sam3i_edge::Route::Simple}});
  wait_for(loop.give(picture_.bytes.data(), width(), height()));
  EXPECT_EQ(answers.back().instances.size(), 2u);
  loop.ask({{" "}});
  wait_for(loop.give(picture_.bytes.data(), width(), height()));
  EXPECT_NE(answers.back().error.find("The prompt's text is empty"), std::string::npos);
}

ImageMessage message_of(const golden::Array& picture) {
  ImageMessage message;
  message.stamp = {12, 34};
  message.frame_id = "camera";
  message.height = static_cast<std::uint32_t>(picture.shape[0]);
  message.width = static_cast<std::uint32_t>(picture.shape[1]);
  message.encoding = "rgb8";
  message.step = 3 * message.width;
  message.data = picture.bytes;
  return message;
}

TEST_F(Examples, TheNodesCoreAnswersAMessage) {
  const NodeCore core(load(), {"mug", {"hammer", sam3i_edge::Route::Simple}});
  const auto answer = core.handle(message_of(picture_));
  EXPECT_EQ(answer.stamp.sec, 12);
  EXPECT_EQ(answer.frame_id, "camera");
  ASSERT_GT(answer.detections.size(), 2u);
  EXPECT_EQ(answer.detections.front().class_id, "mug");
  EXPECT_EQ(answer.detections.back().class_id, "hammer");
  EXPECT_GT(answer.detections.front().size_x, 0);
  EXPECT_EQ(answer.labels.data.size(), static_cast<std::size_t>(width() * height()));
  EXPECT_GT(*std::max_element(answer.labels.data.begin(), answer.labels.data.end()), 0);
}

TEST_F(Examples, MessagesThatAreRefused) {
  auto message = message_of(picture_);
  message.encoding = "yuv422";
  EXPECT_THROW(view_of(message), sam3i_edge::ImageError);
  message.encoding = "rgb8";
  message.step -= 1;
  EXPECT_THROW(view_of(message), sam3i_edge::ImageError);
  message.step = 0;
  EXPECT_THROW(view_of(message), sam3i_edge::ImageError);
  message.height = 1;
  EXPECT_THROW(view_of(message), sam3i_edge::ImageError);
  message = message_of(picture_);
  message.data.pop_back();
  EXPECT_THROW(view_of(message), sam3i_edge::ImageError);
}

}  // namespace
}  // namespace examples
