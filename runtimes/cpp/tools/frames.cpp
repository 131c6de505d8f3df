// Frames on demand, timed: what `python -m sam3i_edge.benchmarks.native` compares with Python, in turns.
//     sam3i_edge_frames BUNDLE RGB_FILE WIDTH HEIGHT THRESHOLD
// Reads texts from standard input, one a line; runs a whole frame for each, and prints its times as a line of JSON.
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "files.hpp"
#include "resize.hpp"

namespace {

using namespace sam3i_edge;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Adds up the time that the graphs take.
class TimedSession : public detail::Session {
 public:
  TimedSession(std::unique_ptr<Session> session, double& total) : session_(std::move(session)), total_(total) {}

  detail::Tensors run(const detail::Tensors& inputs) override {
    const auto start = Clock::now();
    auto outputs = session_->run(inputs);
    total_ += since(start);
    return outputs;
  }
  std::string device() const override { return session_->device(); }
  const detail::Ports& inputs() const override { return session_->inputs(); }
  const detail::Ports& outputs() const override { return session_->outputs(); }

 private:
  std::unique_ptr<Session> session_;
  double& total_;
};

void run(const std::vector<std::string>& arguments) {
  const std::string pixels = detail::read_file(arguments.at(1));
  const ImageView image = {reinterpret_cast<const std::uint8_t*>(pixels.data()), std::stoi(arguments.at(2)),
                           std::stoi(arguments.at(3))};
  double graphs = 0;
  LoadOptions options;
  options.threshold = std::stod(arguments.at(4));
  detail::Engine engine(arguments.at(0), options, [&](const auto& runtime, const auto& graph, const auto& how) {
    return std::make_unique<TimedSession>(detail::open_session(runtime, graph, how), graphs);
  });
  set_warning_handler({});  // at threshold 0 every frame finds all that it may
  const int side = engine.info().image_size;
  std::vector<std::uint8_t> resized(static_cast<std::size_t>(side * side * 3));
  for (std::string text; std::getline(std::cin, text);) {
    graphs = 0;
    auto start = Clock::now();
    const auto features = engine.encode(image);
    const auto found = engine.segment(*features, {Prompt(text, "simple")}, {});
    const double total = since(start);
    start = Clock::now();
    detail::resize(image, side, side, resized.data());
    std::cout << "{\"frame_ms\": " << total << ", \"graphs_ms\": " << graphs << ", \"resize_ms\": " << since(start)
              << ", \"instances\": " << found.front().size() << "}" << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
