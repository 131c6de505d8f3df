// JSON objects to C++ values: unknown keys refused, wrong types named, in the Python side's words.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sam3i_edge::detail {

using Json = nlohmann::json;

/// A value that does not fit; the message names its key. Callers wrap it in an error of their own.
class SchemaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The content of a JSON file. Throws SchemaError where it is none, or nested deeper than anything of ours.
Json parse_json(const std::string& content);

/// Reads the value of one key; `name` is the dotted path that errors begin with.
using Reader = std::function<void(const Json& value, const std::string& name)>;

struct Field {
  std::string key;
  Reader read;
  bool is_required = true;
};

/// What becomes of a key that no field has.
enum class UnknownKeys { refused, ignored };

/// Gives each of an object's values to its field. Throws SchemaError where it is no object, lacks a required key, or
/// has one that no field has and that may not be ignored.
void read_object(const Json& value, const std::string& name, const std::vector<Field>& fields,
                 UnknownKeys unknown = UnknownKeys::refused);

Reader into(std::string& target);
Reader into(std::int64_t& target);
Reader into(double& target);
Reader into(bool& target);
Reader into(std::vector<std::string>& target);
Reader into(std::vector<std::int64_t>& target);
Reader into(std::map<std::string, std::string>& target);
Reader into(std::map<std::string, std::int64_t>& target);
Reader into(std::map<std::string, double>& target);

/// Reads every item of a list, or every value of an object, with `read`.
void read_list(const Json& value, const std::string& name, const std::string& of, const Reader& read);
void read_map(const Json& value, const std::string& name,
              const std::function<void(const std::string& key, const Json& value, const std::string& name)>& read);

/// "precision is 3; expected str."
[[noreturn]] void refuse(const Json& value, const std::string& name, const std::string& expected);

}  // namespace sam3i_edge::detail
