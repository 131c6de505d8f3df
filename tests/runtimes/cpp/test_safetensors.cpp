// Tensors are read as the library of safetensors wrote them; what is damaged, or made to mislead, is refused.
#include <gtest/gtest.h>

#include "golden.hpp"
#include "safetensors.hpp"

namespace sam3i_edge::detail {
namespace {

using golden::folder;
using golden::safetensors;

class Safetensors : public golden::Golden {};

TEST_F(Safetensors, AreReadAsTheirLibraryWroteThem) {
  const auto about = golden::read_json(folder() / "words.json").at("tensors");
  auto tensors = read_safetensors(read_file(folder() / "tensors.safetensors"));
  EXPECT_EQ(tensors.size(), about.size() + 1);
  for (const auto& [name, one] : about.items()) {
    EXPECT_EQ(tensors.at(name).shape, one.at("shape").get<std::vector<std::int64_t>>()) << name;
    EXPECT_EQ(tensors.at(name).floats(), one.at("values").get<std::vector<float>>()) << name;
  }
  EXPECT_EQ(golden::refusal<SafetensorsError>([&] { tensors.at("double").floats(); }), "a tensor is of type 'F64'");
}

TEST_F(Safetensors, CutShortAreRefused) {
  const std::string content = read_file(folder() / "tensors.safetensors");
  for (std::size_t length = 0; length < content.size(); length += 1 + content.size() / 1000) {
    EXPECT_THROW(read_safetensors(content.substr(0, length)), SafetensorsError) << length;
  }
  EXPECT_THROW(read_safetensors(content + "x"), SafetensorsError);
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a": {"dtype": ")" + dtype + R"(", "shape": )" + shape + R"(, "data_offsets": )" + offsets + "}}";
}

TEST(SafetensorsFiles, MadeToMisleadAreRefused) {
  EXPECT_EQ(read_safetensors(safetensors(one("I32", "[1, 2]", "[0, 8]"), 8)).at("a").floats().size(), 2u);
  EXPECT_EQ(read_safetensors(safetensors(one("F32", "[]", "[0, 4]"), 4)).at("a").floats().size(), 1u);
  EXPECT_EQ(read_safetensors(safetensors(one("U8", "[0, 7]", "[0, 0]"), 0)).at("a").floats().size(), 0u);
  const std::string two = R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                              "b": {"dtype": "U8", "shape": [4], "data_offsets": [)";
  EXPECT_EQ(read_safetensors(safetensors(two + "4, 8]}}", 8)).size(), 2u);
  const std::vector<std::tuple<std::string, std::size_t, std::string>> cases = {
      {one("F32", "[2]", "[0, 8]"), 7, "the file is cut short"},
      {one("F32", "[2]", "[0, 8]"), 9, "the file has bytes of no tensor"},
      {one("F32", "[3]", "[0, 8]"), 8, "a has another size than its shape"},
      {one("F32", "[-2]", "[0, 8]"), 8, "a has another size than its shape"},
      {one("F32", "[0, -1]", "[0, 0]"), 0, "a has another size than its shape"},
      {one("F32", "[4611686018427387904, 4]", "[0, 8]"), 8, "a has another size than its shape"},
      {one("U8", "[0]", "[0, 8]"), 8, "a has another size than its shape"},
      {one("U8", "[8]", "[8, 0]"), 8, "the bytes of a are no range"},
      {one("U8", "[8]", "[0]"), 8, "the bytes of a are no range"},
      {one("U8", "[8]", "[-8, 0]"), 8, "the bytes of a do not follow those before"},
      {one("U8", "[8]", "[0, 9223372036854775807]"), 8, "the file is cut short"},
      {one("U8", "[8]", "[0, 18446744073709551615]"), 8,
       "header.a.data_offsets[1] is 18446744073709551615; expected int."},
      {two + "3, 7]}}", 8, "the bytes of b do not follow those before"},
      {two + "5, 9]}}", 9, "the bytes of b do not follow those before"},
      {one("F64", "[1]", "[0, 9]"), 8, "the file is cut short"},
      {"[]", 0, "header is []; expected an object."},
      {R"({"a": {"dtype": "U8"}})", 0, "header.a.shape is missing."},
      {R"({"a": 1})", 0, "header.a is 1; expected an object."},
      {std::string(100, '['), 0, "it is nested too deep."}};
  for (const auto& [header, bytes, said] : cases) {
    const std::string file = safetensors(header, bytes);
    EXPECT_EQ(golden::refusal<SafetensorsError>([&] { read_safetensors(file); }), said) << header;
  }
  std::string huge = safetensors("{}", 0);
  huge.replace(0, 8, 8, '\xff');
  EXPECT_THROW(read_safetensors(huge), SafetensorsError);
  EXPECT_THROW(read_safetensors(safetensors("{", 0)), SafetensorsError);
}

}  // namespace
}  // namespace sam3i_edge::detail
