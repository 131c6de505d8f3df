// The whole of it: a bundle, an image, a text. Images are binary PPM here; sam3i_edge/opencv.hpp takes a cv::Mat.
#include <cstdio>
#include <fstream>
#include <sam3i_edge/segmenter.hpp>
#include <string>

int main(int, char** argv) {
  std::ifstream file(argv[2], std::ios::binary);
  std::string magic;
  int width = 0, height = 0, most = 0;
  file >> magic >> width >> height >> most;
  std::string rgb(std::size_t{3} * width * height, '\0');
  file.ignore().read(rgb.data(), rgb.size());
  const auto segmenter = sam3i_edge::Segmenter::load(argv[1]);
  const auto frame = segmenter.encode({reinterpret_cast<const std::uint8_t*>(rgb.data()), width, height});
  const auto found = frame.segment(argv[3]);
  for (std::size_t i = 0; i < found.size(); ++i) std::printf("%.3f  %zu pixels\n", found.scores[i], found.area(i));
}
