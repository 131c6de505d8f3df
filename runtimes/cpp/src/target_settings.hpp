// What a bundle may set of its runtime: an allow-list for each, so that none can name a folder or a library.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace sam3i_edge::detail {

/// Of a runtime: thousands of them take all of a device's memory, or for ever to start.
constexpr std::int64_t kMostThreads = 1024;

/// Whether a runtime's setting of that name is known; an unknown runtime's are nobody's.
bool is_setting(const std::string& runtime, const std::string& name);

/// Refuse what is not allowed; an unknown runtime's settings are left alone. Throws SchemaError.
void check_settings(const std::string& runtime, const std::map<std::string, std::string>& settings);

}  // namespace sam3i_edge::detail
