// The words of messages: values as Python shows them, and the "did you mean" that goes with unknown names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sam3i_edge::detail {

/// `text` in quotes, with escapes for quotes, backslashes and control characters.
std::string in_quotes(std::string_view text);

/// The shortest digits that read back as `value`, always with a point or an exponent: 80.0, 1e+16.
std::string shown(double value);

/// Says that `value` is no known `kind`, lists the known ones and names the closest, if one is near.
std::string unknown_name(const std::string& kind, std::string_view value, const std::vector<std::string>& known);

std::string joined(const std::vector<std::string>& parts, const std::string& separator = ", ");

}  // namespace sam3i_edge::detail
