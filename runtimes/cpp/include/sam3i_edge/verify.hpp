// The gate: does this bundle, on this device and runtime, still say what the float model said?
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sam3i_edge/export.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge {

/// One output of one stage against the recorded one.
struct Check {
  std::string name;  ///< "vision/fine", "grounding of 16/masks"
  double max_abs;    ///< the worst value: by how much it is off
  double sqnr_db;    ///< signal to noise over all values, from -200 to 200: no difference at all
  bool passed;       ///< whether both are within the precision's tolerance
};

/// What a prompt's best instances came to.
struct AnswerCheck {
  std::string prompt;
  Route route;
  double mask_iou;      ///< the least of the best instances
  double score_change;  ///< the largest of the best instances
  bool passed;
};

/// All that was compared, in the order of the stages.
struct SAM3I_EDGE_API Verdict {
  std::string device, precision;
  std::vector<Check> checks;
  std::vector<AnswerCheck> answers;
  std::string remedy;       ///< what to try if vision or grounding are beyond their tolerance; empty: nothing is known
  std::string fingerprint;  ///< of the bundle, as `BundleInfo` has it

  bool passed() const;          ///< whether everything is within its tolerance
  std::string problem() const;  ///< what is off first, what is worst, and what to try; empty if nothing is
};

/// Replay a bundle's golden cases stage by stage, each stage on the outputs of the one before: every prompt alone, as
/// it ran in the float model, and in calls as full as the bundle allows. It is what `sam3i-edge verify` does in Python.
///
/// Throws as `Segmenter::load` does, and BundleError where the golden cases do not fit the bundle. What the device gets
/// wrong is no error: ask `passed`.
SAM3I_EDGE_API Verdict verify(const std::filesystem::path& bundle, const LoadOptions& options = {});

}  // namespace sam3i_edge
