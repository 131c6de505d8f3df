// The whole of it: a bundle, an image, a text.
#include <cstdio>

#include "../tools/images.hpp"
#include "sam3i_edge/segmenter.hpp"

int main(int, char** argv) {
  const auto segmenter = sam3i_edge::Segmenter::load(argv[1]);
  const auto photo = tools::read_picture(argv[2]);
  const auto found = segmenter.encode(photo.view()).segment(argv[3]);
  for (std::size_t i = 0; i < found.size(); ++i) std::printf("%.3f  %zu pixels\n", found.scores[i], found.area(i));
}
