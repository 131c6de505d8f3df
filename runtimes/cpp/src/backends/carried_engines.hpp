// Which of the engines that a bundle carries fits here. An engine is for one version of one library, and for the
// compute capabilities that it was built for.
#pragma once

#include <string>
#include <vector>

#include "../session.hpp"

namespace sam3i_edge::detail {

struct Fit {
  const CarriedEngine* engine;  ///< of those that were given; null: none fits
  std::string why_not;          ///< of each that does not; empty where there are none
};

/// The first engine that `library` ("TensorRT-RTX 1.7.1.116") built for GPUs of `compute_capability` ("8.9").
Fit fitting_engine(const std::vector<CarriedEngine>& engines, const std::string& library,
                   const std::string& compute_capability);

}  // namespace sam3i_edge::detail
