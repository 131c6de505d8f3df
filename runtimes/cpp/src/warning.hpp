// Warnings on their way to whoever asked for them.
#pragma once

#include <string>

namespace sam3i_edge::detail {

void warn(const std::string& text);

}  // namespace sam3i_edge::detail
