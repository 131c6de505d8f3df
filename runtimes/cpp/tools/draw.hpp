// Instances drawn on their picture, for the tools.
#pragma once

#include "images.hpp"
#include "sam3i_edge/instances.hpp"

namespace tools {

/// A picture with each instance tinted in a colour that stands out from what it covers, its box, and a label with its
/// number and score; the best instance on top. Labels do not cover each other where there is room.
Picture draw(Picture picture, const sam3i_edge::Instances& found);

}  // namespace tools
