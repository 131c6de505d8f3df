// Which other files an ONNX file names. Its weights may lie beside it, and a bundle reaches nothing outside itself.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace sam3i_edge::detail {

/// The files that the tensors of an ONNX file are said to lie in, as they stand there. Throws std::runtime_error: it is
/// not ONNX, or it has an operator that may read files of its own.
std::set<std::string> named_files(std::string_view content);

}  // namespace sam3i_edge::detail
