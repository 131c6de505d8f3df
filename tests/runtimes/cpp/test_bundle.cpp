// Damaged bundles are refused in the Python side's words.
#include <gtest/gtest.h>

#include <functional>
#include <tuple>

#include "bundle.hpp"
#include "engine.hpp"
#include "golden.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge::detail {
namespace {

using golden::bundles;
using golden::folder;
using golden::read_json;

/// Where a JSON reader, or another parser's own text, speaks, only what stands before it is the same.
std::string up_to_foreign_words(const std::string& text) {
  for (const char* before :
       {"cannot be read: ", "is no CLIP tokenizer: ", "is no auto route: ", "weights are of", "is not base64: "}) {
    const auto at = text.find(before);
    if (at != text.npos) return text.substr(0, at + std::string(before).size());
  }
  return text;
}

class Refusals : public golden::Golden {};

TEST_F(Refusals, AreThePythonSides) {
  for (const auto& [name, path] : bundles()) {
    const auto cases = read_json(folder() / name / "refusals.json");
    EXPECT_GT(cases.size(), 100u);
    const auto runtime = open_bundle(path).manifest.target.runtime;
    const auto built = runtimes();
    for (const auto& one : cases) {
      const std::string expected = up_to_foreign_words(one.at("message"));
      const bool needs_runtime = one.at("error") == "RuntimeUnavailableError";
      if (needs_runtime && std::find(built.begin(), built.end(), runtime) == built.end()) continue;
      const auto load = [&] { Segmenter::load(one.at("path").get<std::string>()); };
      const std::string said =
          needs_runtime ? golden::refusal<RuntimeUnavailableError>(load) : golden::refusal<BundleError>(load);
      EXPECT_EQ(up_to_foreign_words(said), expected);
    }
  }
}

TEST_F(Refusals, AnUnknownRuntime) {
  LoadOptions options;
  options.runtime = "openvno";
  EXPECT_EQ(
      golden::refusal<RuntimeUnavailableError>([&] { Segmenter::load(bundles().front().second, options); }),
      "Unknown runtime 'openvno'. Known: onnxruntime, openvino, tensorrt, tensorrt-rtx. Did you mean 'openvino'?");
}

class Manifests : public golden::Golden {
 protected:
  golden::Json content() { return read_json(bundles().front().second / "manifest.json"); }
  static Manifest parse(const golden::Json& content) { return parse_manifest(content.dump(), "bundle/manifest.json"); }
  static std::string refusal(const golden::Json& content) {
    return golden::refusal<BundleError>([&] { parse(content); });
  }
};

/// Places of a manifest where a key may be added, and how messages name it.
const std::vector<std::pair<std::string, std::string>> kPlaces = {
    {"/later", "later"},
    {"/runtime/later", "runtime.later"},
    {"/runtime/target/later", "runtime.target.later"},
    {"/runtime/model/later", "runtime.model.later"},
    {"/runtime/limits/later", "runtime.limits.later"},
    {"/runtime/preprocessing/later", "runtime.preprocessing.later"},
    {"/runtime/tokenizer/later", "runtime.tokenizer.later"},
    {"/runtime/router/later", "runtime.router.later"},
    {"/runtime/graphs/vision/later", "runtime.graphs.vision.later"},
    {"/runtime/graphs/vision/inputs/0/later", "runtime.graphs.vision.inputs[0].later"},
    {"/runtime/golden/later", "runtime.golden.later"},
    {"/runtime/postprocessing/later", "runtime.postprocessing.later"},
    {"/runtime/tolerances/fp32/later", "runtime.tolerances.fp32.later"},
    {"/runtime/tolerances/fp32/instances/later", "runtime.tolerances.fp32.instances.later"},
    {"/runtime/tolerances/fp32/outputs/text~1text/later", "runtime.tolerances.fp32.outputs.text/text.later"},
    {"/files/route.json/later", "files.route.json.later"}};

TEST_F(Manifests, UnknownKeysOfThisVersionAreRefusedByName) {
  for (const auto& [place, name] : kPlaces) {
    auto manifest = content();
    manifest[golden::Json::json_pointer(place)] = 1;
    EXPECT_EQ(refusal(manifest).find("bundle/manifest.json: Unknown key '" + name + "'."), 0u) << refusal(manifest);
  }
}

/// As a later minor version may write it: more keys, a graph of another kind, and one more output.
golden::Json of_a_later_minor(golden::Json manifest) {
  manifest["format_version"] = "2.7";
  for (const auto& [place, name] : kPlaces) manifest[golden::Json::json_pointer(place)] = 1;
  auto& runtime = manifest["runtime"];
  runtime["graphs"]["sound"] = {{"later", 1}};
  runtime["engines"] = {{{"graph", "sound"}, {"later", 1}}};
  return manifest;
}

TEST_F(Manifests, OfALaterMinorVersionAreReadWithoutWhatItAdded) {
  auto manifest = of_a_later_minor(content());
  auto& outputs = manifest["runtime"]["graphs"]["grounding"]["outputs"];
  outputs.push_back({{"name", "depth"}, {"dtype", "float32"}, {"shape", {"prompts", 1}}});
  const Manifest read = parse(manifest);
  EXPECT_EQ(read.graphs.size(), 3u);
  EXPECT_TRUE(read.engines.empty());
  EXPECT_EQ(read.graphs.at("grounding").outputs.size(), 6u);
  manifest["runtime"].erase("precision");
  EXPECT_EQ(refusal(manifest).find("bundle/manifest.json: runtime.precision is missing."), 0u);
}

TEST_F(Manifests, ABundleOfALaterMinorVersionLoads) {
  const golden::Copy copy(bundles().back().second);
  write_whole(copy.path / "manifest.json", of_a_later_minor(read_json(copy.path / "manifest.json")).dump());
  LoadOptions options;
  options.runtime = golden::usable_runtimes().front();
  EXPECT_GT(Segmenter::load(copy.path, options).info().image_size, 0);
}

TEST_F(Manifests, HowTheBundleWasMadeMayBeAnyObject) {
  auto manifest = content();
  for (const golden::Json& provenance : {golden::Json::object(), golden::Json{{"later", {1, {{"a", nullptr}}}}}}) {
    manifest["provenance"] = provenance;
    EXPECT_EQ(parse(manifest).graphs.size(), 3u);
  }
}

TEST_F(Manifests, WithoutPostprocessingHaveTheDefaults) {
  auto manifest = content();
  manifest["format_version"] = "2.0";
  auto& section = manifest["runtime"];
  section.erase("postprocessing");
  EXPECT_EQ(parse(manifest).postprocessing.thresholds,
            (std::map<Route, double>{{Route::Concept, 0.5}, {Route::Simple, 0.5}, {Route::Complex, 0.5}}));
  EXPECT_EQ(parse(manifest).postprocessing.nms, 1);
  section["postprocessing"] = {{"nms", 0.25}};
  EXPECT_EQ(parse(manifest).postprocessing.nms, 0.25);
  EXPECT_EQ(parse(manifest).postprocessing.thresholds.at(Route::Simple), 0.5);
  section["postprocessing"] = {{"thresholds", {{"complex", 0}, {"concept", 0.3}, {"simple", 1}}}};
  EXPECT_EQ(parse(manifest).postprocessing.thresholds,
            (std::map<Route, double>{{Route::Concept, 0.3}, {Route::Simple, 1}, {Route::Complex, 0}}));
  section["postprocessing"]["thresholds"].erase("complex");
  EXPECT_EQ(refusal(manifest),
            "bundle/manifest.json: thresholds are of concept, simple; give concept, simple, complex. Copy or export "
            "the bundle again.");
}

class Integrities : public golden::Golden {
 protected:
  static std::string refusal(const std::filesystem::path& path, Integrity integrity) {
    return golden::refusal<BundleError>([&] { open_bundle(path, integrity); });
  }
};

TEST_F(Integrities, OfSizeDoNotSeeAChangedByte) {
  const golden::Copy copy(bundles().back().second);
  const auto file = copy.path / "golden/tensors.safetensors";
  std::string content = read_file(file);
  content.back() ^= 1;
  write_whole(file, content);
  EXPECT_NO_THROW(open_bundle(copy.path, Integrity::size));
  const std::string said = ": golden/tensors.safetensors was changed: its SHA-256 is not the manifest's. ";
  EXPECT_EQ(refusal(copy.path, Integrity::full).find(copy.path.string() + said), 0u);
  LoadOptions options;
  options.runtime = golden::usable_runtimes().front();
  EXPECT_THROW(Segmenter::load(copy.path, options), BundleError);
  options.integrity = Integrity::size;
  EXPECT_GT(Segmenter::load(copy.path, options).info().image_size, 0);
}

TEST_F(Integrities, OfSizeSeeMissingFilesAndOtherSizes) {
  const golden::Copy copy(bundles().back().second);
  const std::filesystem::path file = copy.path / "golden/tensors.safetensors";
  const std::string content = read_file(file);
  write_whole(file, content + "x");
  EXPECT_NE(refusal(copy.path, Integrity::size).find(" bytes, expected "), std::string::npos);
  write_whole(copy.path / "golden/more", "");
  EXPECT_NE(refusal(copy.path, Integrity::size).find("does not list: golden/more"), std::string::npos);
  std::filesystem::remove(copy.path / "golden/more");
  std::filesystem::remove(file);
  EXPECT_NE(refusal(copy.path, Integrity::size).find("tensors.safetensors is missing"), std::string::npos);
}

TEST_F(Integrities, OfLinksAreThoseOfTheirContent) {
  const golden::Copy store(bundles().back().second);
  const std::filesystem::path links = store.path.string() + "-links";
  std::filesystem::remove_all(links);
  std::filesystem::create_directory(links);
  for (const char* name :
       {"golden", "graphs", "manifest.json", "merges.txt", "route.json"}) {  // as Kubernetes mounts it
    std::filesystem::create_symlink(std::string("..data/") + name, links / name);
  }
  std::filesystem::create_directory_symlink(store.path, links / "..data");
  LoadOptions options;
  options.runtime = golden::usable_runtimes().front();
  EXPECT_GT(Segmenter::load(links, options).info().image_size, 0);
  const std::string content = read_file(store.path / "route.json");
  write_whole(store.path / "route.json", std::string(content.size(), 'x'));
  EXPECT_NE(refusal(links, Integrity::full).find("route.json was changed"), std::string::npos);
  std::filesystem::remove_all(links);
}

TEST_F(Integrities, OfAGraphAreThoseOfTheBytesThatRun) {
  const golden::Copy copy(bundles().back().second);
  LoadOptions options;
  options.runtime = golden::usable_runtimes().front();
  Engine engine(copy.path, options, [&](const auto& runtime, const auto& graph, const SessionOptions& how) {
    EXPECT_EQ(sha256_of_bytes(*how.content), sha256_of(graph));
    write_whole(graph, "swapped after it was hashed, before it is opened");
    return open_session(runtime, graph, how);
  });
  EXPECT_FALSE(engine.device().empty());
}

TEST_F(Integrities, OfAnExpectedFingerprint) {
  const std::filesystem::path path = bundles().back().second;
  const std::string fingerprint = sha256_of(path / "manifest.json");
  EXPECT_EQ(open_bundle(path, Integrity::size, fingerprint).fingerprint, fingerprint);
  LoadOptions options;
  options.expect = std::string(64, '0');
  EXPECT_EQ(golden::refusal<BundleError>([&] { Segmenter::load(path, options); }),
            path.string() + " has the fingerprint " + fingerprint + ", expected " + *options.expect +
                ". It is another bundle: do not use it.");
  options.expect = "";
  EXPECT_EQ(
      golden::refusal<BundleError>([&] { Segmenter::load(path, options); }).find("expect is '', which is no fing"), 0u);
}

TEST(Precision, OutsideTheIntegerLayers) {
  EXPECT_EQ(float_type("int8"), "fp32");
  EXPECT_EQ(float_type("int8-bf16"), "bf16");
  EXPECT_EQ(float_type("fp16"), "fp16");
  EXPECT_TRUE(is_int8("int8-fp16"));
  EXPECT_FALSE(is_int8("fp32"));
}

}  // namespace
}  // namespace sam3i_edge::detail
