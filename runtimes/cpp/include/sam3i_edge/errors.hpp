// Every error that this library raises on purpose.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "sam3i_edge/export.hpp"

namespace sam3i_edge {

/// Base of all errors raised on purpose. The message names the value, what is allowed and what to do next.
/// Anything else that comes out of the library is the standard library's own: std::bad_alloc where memory runs out.
class SAM3I_EDGE_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

/// A bundle that is damaged, incomplete, or newer than this library; or a graph that fails.
class SAM3I_EDGE_API BundleError : public Error {
 public:
  using Error::Error;
  ~BundleError() override;
};

/// An image without pixels, too large, or with a stride that does not fit.
class SAM3I_EDGE_API ImageError : public Error {
 public:
  using Error::Error;
  ~ImageError() override;
};

/// A text, route, box or threshold that cannot prompt the model.
class SAM3I_EDGE_API PromptError : public Error {
 public:
  using Error::Error;
  ~PromptError() override;
};

/// A runtime, device or precision that is not to be had here, or a Segmenter that was closed.
class SAM3I_EDGE_API RuntimeUnavailableError : public Error {
 public:
  using Error::Error;
  ~RuntimeUnavailableError() override;
};

/// `text` as one line for a terminal or a log: control and format characters and line breaks stand as escapes, as in
/// Python's. Messages and warnings may hold what a file says; this keeps it from acting on what shows it.
SAM3I_EDGE_API std::string printable(std::string_view text);

}  // namespace sam3i_edge
