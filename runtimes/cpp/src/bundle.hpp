// A bundle: the folder that export writes. Its manifest, and the check of all its files against it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "domain.hpp"
#include "files.hpp"
#include "model.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge::detail {

/// Size and hash that a file must have.
struct FileRecord {
  std::string sha256;
  std::int64_t bytes = 0;
};

/// How the runtime of a device is to be set up.
struct Target {
  std::string name, runtime, device;
  std::int64_t threads = 0;
  std::map<std::string, std::string> settings;
  std::string attention;  ///< "fused" or "unfused": how its graphs write attention; empty: as the runtime likes
};

/// An engine that was built ahead of time, and for what.
struct EngineRecord {
  std::string graph, file;
  std::vector<std::string> compute_capabilities;
  std::string built_by;
};

/// The files of the golden cases, and of which values they hold each output.
struct GoldenRecord {
  std::string prompts, tensors;
  std::map<std::string, std::int64_t> steps;  ///< by "stage/output": every n-th value, from the first
};

/// Both must hold: the worst value, relative to the larger of 1 and the reference's peak, and the SQNR.
struct Tolerance {
  double max_abs = 0, min_sqnr_db = 0;
};

/// For the best instances of every prompt, by the float model's score.
struct InstanceTolerance {
  double min_mask_iou = 0, max_score_change = 0;
  double min_score = 0;         ///< instances that the float model scores lower have no mask compared
  std::int64_t best = 0;        ///< how many are compared
  std::int64_t min_pixels = 0;  ///< smaller masks are not compared
};

/// How far a precision may be from the float model.
struct Tolerances {
  std::map<std::string, Tolerance> outputs;  ///< by "stage/output"
  InstanceTolerance instances;
};

/// What manifest.json says to a device: its part `runtime`, and `files`.
struct Manifest {
  std::string precision, note, tokenizer, router;  ///< the last two are files
  ModelSizes model;
  Target target;
  Limits limits;
  std::map<std::string, GraphSpec> graphs;
  std::vector<EngineRecord> engines;
  GoldenRecord golden;
  std::map<std::string, Tolerances> tolerances;  ///< by precision
  Postprocessing postprocessing;                 ///< since format 2.1,
  std::optional<Domain> domain;                  ///< this one, too
  std::map<std::string, FileRecord> files;
};

/// A folder whose manifest was read and whose files were checked against it. They may be links: what counts is their
/// content, which the manifest pins.
struct Bundle {
  std::filesystem::path path;
  Manifest manifest;
  std::string fingerprint;  ///< the SHA-256 of manifest.json, which stands for all of the bundle's bytes
  Integrity integrity = Integrity::full;
  std::map<std::string, Stamp> stamps;  ///< of the files that were hashed, before they were

  std::filesystem::path graph_path(const std::string& name) const { return path / manifest.graphs.at(name).file; }

  /// The content of a file that the manifest lists: with full integrity, the bytes that were hashed. Throws BundleError
  /// where it is not as the manifest says.
  std::string read(const std::string& name);

  /// The bytes of a graph that were hashed, for the runtime to open. Null where it must open the file itself, because
  /// its weights lie in another one beside it, or hashes are not checked; `check_unchanged` then says whether that was
  /// the file that was hashed. Throws BundleError: it is not as the manifest says, or names other files than its
  /// weights.
  std::shared_ptr<const std::string> graph_content(const std::string& name);

  /// Throws BundleError if a graph, or its weights, are not the files any more that were hashed.
  void check_unchanged(const std::string& name) const;
};

/// Read and check a bundle: format version, every file's size and, unless told otherwise, SHA-256, no file too few or
/// too many. With `run`, the caller will `read` the tokenizer, the router and all graphs: these are hashed then.
/// `expect` is the fingerprint that it must have. Throws BundleError; the message names the file.
Bundle open_bundle(const std::filesystem::path& path, Integrity integrity = Integrity::full,
                   const std::optional<std::string>& expect = std::nullopt, bool run = false);

/// The content of a manifest.json of format 2. `file` is for messages. Throws BundleError.
Manifest parse_manifest(const std::string& content, const std::filesystem::path& file);

/// Whether a bundle of this precision was quantized, and what it computes in outside its integer layers.
bool is_int8(const std::string& precision);
std::string float_type(const std::string& precision);

/// Whether half precision stands in the graphs' own types, and so is the same on every runtime.
bool is_typed_half(const Manifest& manifest);

}  // namespace sam3i_edge::detail
