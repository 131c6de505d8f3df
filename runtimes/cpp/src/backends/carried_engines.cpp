#include "carried_engines.hpp"

#include <algorithm>

#include "../messages.hpp"

namespace sam3i_edge::detail {

Fit fitting_engine(const std::vector<CarriedEngine>& engines, const std::string& library,
                   const std::string& compute_capability) {
  std::vector<std::string> why_not;
  for (const CarriedEngine& engine : engines) {
    const std::string name = engine.file.filename().string();
    const auto& takes = engine.compute_capabilities;
    if (engine.built_by != library) {
      why_not.push_back(name + " was built by " + engine.built_by + ", and this is " + library);
    } else if (std::find(takes.begin(), takes.end(), compute_capability) == takes.end()) {
      why_not.push_back(name + " is for compute capability " + joined(takes) + ", and this GPU has " +
                        compute_capability);
    } else {
      return {&engine, ""};
    }
  }
  return {nullptr, joined(why_not, "; ")};
}

}  // namespace sam3i_edge::detail
