// What this machine's processor does to integers.
#pragma once

namespace sam3i_edge::detail {

/// Whether integer kernels add products of int8 in 16 bits, which overflow: on x86 without VNNI. Where only Linux could
/// tell, the answer is no.
bool int8_saturates();

}  // namespace sam3i_edge::detail
