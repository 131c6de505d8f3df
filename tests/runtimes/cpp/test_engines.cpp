// Engines that a bundle carries, and those that are kept on disk: no NVIDIA library is asked.
#include <gtest/gtest.h>
#include <unistd.h>

#include "backends/carried_engines.hpp"
#include "backends/engine_cache.hpp"
#include "files.hpp"
#include "sam3i_edge/segmenter.hpp"

namespace sam3i_edge::detail {
namespace {

namespace fs = std::filesystem;

const std::string kLibrary = "TensorRT-RTX 1.7.1.116";

TEST(CarriedEngines, OneOfThisVersionAndComputeCapabilityFits) {
  const std::vector<CarriedEngine> engines = {{"engines/old.engine", {"8.9"}, "TensorRT-RTX 1.6.1.120"},
                                              {"engines/ampere.engine", {"8.0", "8.6"}, kLibrary},
                                              {"engines/ada.engine", {"8.9", "12.0"}, kLibrary}};
  EXPECT_EQ(fitting_engine(engines, kLibrary, "12.0").engine, &engines[2]);
  EXPECT_EQ(fitting_engine(engines, kLibrary, "8.6").engine, &engines[1]);
}

TEST(CarriedEngines, WhyNoneFits) {
  const std::vector<CarriedEngine> engines = {{"engines/old.engine", {"8.9"}, "TensorRT-RTX 1.6.1.120"},
                                              {"engines/ampere.engine", {"8.0", "8.6"}, kLibrary}};
  const Fit fit = fitting_engine(engines, kLibrary, "8.9");
  EXPECT_EQ(fit.engine, nullptr);
  EXPECT_EQ(fit.why_not,
            "old.engine was built by TensorRT-RTX 1.6.1.120, and this is TensorRT-RTX 1.7.1.116; ampere.engine is for "
            "compute capability 8.0, 8.6, and this GPU has 8.9");
  EXPECT_EQ(fitting_engine({}, kLibrary, "8.9").why_not, "");
}

TEST(CarriedEngines, TensorRtsAreNotForTensorRtRtx) {
  EXPECT_EQ(fitting_engine({{"a.engine", {"8.9"}, "TensorRT 10.13.0.35"}}, kLibrary, "8.9").engine, nullptr);
}

/// A cache in a folder of its own, and the warnings meanwhile.
class Engines : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    set_warning_handler([this](const std::string& text) { warnings_.push_back(text); });
  }
  void TearDown() override {
    set_warning_handler({});
    fs::remove_all(folder_);
  }
  std::string get(const std::string& otherwise) {
    return EngineCache(folder_).get(key_, [&] { return otherwise; });
  }
  void damage(const std::string& ending) { write_whole(folder_ / (key_.stem() + ending), "damaged"); }

  const fs::path folder_ = fs::path(testing::TempDir()) / ("engines-" + std::to_string(::getpid()));
  const EngineKey key_ = {"0123", kLibrary, "a GPU (compute capability 8.9)", 16, "workspace_mb=1024"};
  std::vector<std::string> warnings_;
};

TEST_F(Engines, AreBuiltOnce) {
  EXPECT_EQ(get("first"), "first");
  EXPECT_EQ(get("second"), "first");
  EngineCache(folder_).drop(key_);
  EXPECT_EQ(get("third"), "third");
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(Engines, OfAnotherGpuOrVersionAreOthers) {
  EXPECT_EQ(get("first"), "first");
  EngineKey other = key_;
  other.tensorrt = "TensorRT-RTX 1.6.1.120";
  EXPECT_NE(other.stem(), key_.stem());
  other = key_;
  other.gpu = "a GPU (compute capability 8.6)";
  EXPECT_EQ(EngineCache(folder_).get(other, [] { return "second"; }), "second");
}

TEST_F(Engines, ThatAreDamagedAreBuiltAgain) {
  get("first");
  damage(".engine");
  EXPECT_EQ(get("second"), "second");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_EQ(warnings_[0],
            "The cached " + (folder_ / (key_.stem() + ".engine")).string() + " is damaged; it is made again.");
}

TEST_F(Engines, RuntimeCachesAreKeptBesideThem) {
  const EngineCache cache(folder_);
  EXPECT_FALSE(cache.runtime_cache(key_));
  cache.keep_runtime_cache(key_, "kernels");
  EXPECT_EQ(cache.runtime_cache(key_), "kernels");
  EXPECT_EQ(get("engine"), "engine");  // neither is the other
  EXPECT_EQ(cache.runtime_cache(key_), "kernels");
  damage(".runtime");
  EXPECT_FALSE(cache.runtime_cache(key_));
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(Engines, WithoutACacheNothingIsKept) {
  const EngineCache none(std::nullopt);
  none.keep_runtime_cache(key_, "kernels");
  EXPECT_FALSE(none.runtime_cache(key_));
  EXPECT_EQ(none.get(key_, [] { return "engine"; }), "engine");
  EXPECT_EQ(warnings_, std::vector<std::string>{"Building an engine that is not kept: there is no cache."});
}

TEST_F(Engines, ThatCannotBeWrittenAreAWarning) {
  const fs::path file = folder_ / "no folder";
  write_whole(file, "");
  EXPECT_EQ(EngineCache(file).get(key_, [] { return "engine"; }), "engine");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("could not be written ("), std::string::npos) << warnings_[0];
  EXPECT_NE(warnings_[0].find("): the next load makes it again."), std::string::npos) << warnings_[0];
}

}  // namespace
}  // namespace sam3i_edge::detail
