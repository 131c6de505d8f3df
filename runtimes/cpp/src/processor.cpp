#include "processor.hpp"

#include <fstream>
#include <sstream>
#include <string>

namespace sam3i_edge::detail {
namespace {

bool find_out() {
#if defined(__x86_64__) || defined(_M_X64)
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream flags(line);
    for (std::string flag; flags >> flag;) {
      if (flag == "avx512_vnni" || flag == "avx_vnni") return false;
    }
    return true;
  }
#endif
  return false;
}

}  // namespace

bool int8_saturates() {
  static const bool kSaturates = find_out();
  return kSaturates;
}

}  // namespace sam3i_edge::detail
