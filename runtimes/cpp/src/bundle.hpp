// A bundle: the folder that export writes. Its manifest, and the check of all its files against it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model.hpp"

namespace sam3i_edge::detail {

constexpr const char* kTokenizerFile = "merges.txt.gz";

/// Size and hash that a file must have.
struct FileRecord {
  std::string sha256;
  std::int64_t bytes = 0;
};

/// How the runtime of a device is to be set up.
struct Target {
  std::string name, runtime, device;
  std::vector<std::string> precisions;
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

/// What NVIDIA's own parser and builder made of a bundle's graphs at export.
struct TensorRtRecord {
  std::string checked_by;  ///< the library and its version; empty where only the lint looked
  std::vector<EngineRecord> engines;
};

/// Of manifest.json what is needed to run it; all of it is read and checked.
struct Manifest {
  std::string precision, note;
  ModelConfig model;
  Target target;
  Limits limits;
  std::map<std::string, GraphSpec> graphs;
  std::map<std::string, FileRecord> files;
  TensorRtRecord tensorrt;
  std::map<std::string, double> sqnr_at_export;  ///< of every output of every stage, against the float model
};

/// Of the runtime; more are a mistake.
constexpr std::int64_t kMostThreads = 1 << 16;

struct Bundle {
  std::filesystem::path path;
  Manifest manifest;

  std::filesystem::path graph_path(const std::string& name) const { return path / manifest.graphs.at(name).file; }
};

/// Read and check a bundle: format version, every file's size and SHA-256, no file too few or too many.
/// Throws BundleError; the message names the file.
Bundle open_bundle(const std::filesystem::path& path);

/// The content of a manifest.json. `file` is for messages. Throws BundleError.
Manifest parse_manifest(const std::string& content, const std::filesystem::path& file);

/// Whether a bundle of this precision was quantized, and what it computes in outside its integer layers.
bool is_int8(const std::string& precision);
std::string float_type(const std::string& precision);

/// Whether half precision stands in the graphs' own types, and so is the same on every runtime.
bool is_typed_half(const Manifest& manifest);

}  // namespace sam3i_edge::detail
