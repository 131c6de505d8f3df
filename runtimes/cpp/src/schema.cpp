#include "schema.hpp"

#include <set>
#include <utility>

#include "messages.hpp"
#include "unicode.hpp"

namespace sam3i_edge::detail {
namespace {

constexpr int kDeepest = 64;
constexpr std::size_t kMostShown = 60;

/// As Python's repr, no longer than a message needs it.
std::string plain_repr(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "None";
    case Json::value_t::boolean:
      return value.get<bool>() ? "True" : "False";
    case Json::value_t::string:
      return in_quotes(value.get_ref<const std::string&>());
    case Json::value_t::number_float:
      return shown(value.get<double>());
    case Json::value_t::array:
    case Json::value_t::object: {
      std::string text;
      for (const auto& [key, item] : value.items()) {
        if (text.size() > kMostShown) break;
        text += (text.empty() ? "" : ", ") + (value.is_object() ? in_quotes(key) + ": " : "") + plain_repr(item);
      }
      return value.is_object() ? "{" + text + "}" : "[" + text + "]";
    }
    default:
      return value.dump();
  }
}

template <typename T>
Reader scalar(T& target, const char* type, bool (*fits)(const Json&)) {
  return [&target, type, fits](const Json& value, const std::string& name) {
    if (!fits(value)) refuse(value, name, type);
    target = value.get<T>();
  };
}

template <typename T>
Reader map_into(std::map<std::string, T>& target) {
  return [&target](const Json& value, const std::string& name) {
    read_map(value, name, [&](const std::string& key, const Json& item, const std::string& item_name) {
      into(target[key])(item, item_name);
    });
  };
}

template <typename T>
Reader list_into(std::vector<T>& target, const char* type) {
  return [&target, type](const Json& value, const std::string& name) {
    read_list(value, name, type,
              [&](const Json& item, const std::string& item_name) { into(target.emplace_back())(item, item_name); });
  };
}

bool is_whole(const Json& value) {  // of 64 bits, as all that count here
  return value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
}

}  // namespace

Json parse_json(const std::string& content) {
  const auto limit = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kDeepest) throw SchemaError("it is nested too deep.");
    return true;
  };
  try {
    return Json::parse(content, limit);
  } catch (const Json::exception& error) {
    throw SchemaError(error.what());
  }
}

void refuse(const Json& value, const std::string& name, const std::string& expected) {
  const std::u32string text = from_utf8(plain_repr(value)).value_or(U"?");
  const std::string some = to_utf8(text.substr(0, text.size() <= kMostShown ? kMostShown : kMostShown - 3));
  throw SchemaError((name.empty() ? "the top level" : name) + " is " + some + (text.size() <= kMostShown ? "" : "...") +
                    "; expected " + expected + ".");
}

void read_object(const Json& value, const std::string& name, const std::vector<Field>& fields, UnknownKeys unknown) {
  if (!value.is_object()) refuse(value, name, "an object");
  const std::string prefix = name.empty() ? "" : name + ".";
  std::set<std::string> found;
  for (const auto& [key, item] : value.items()) {
    const Field* field = nullptr;
    for (const Field& candidate : fields) field = candidate.key == key ? &candidate : field;
    if (!field && unknown == UnknownKeys::ignored) continue;
    if (!field) {
      std::vector<std::string> known;
      for (const Field& candidate : fields) known.push_back(prefix + candidate.key);
      throw SchemaError(unknown_name("key", prefix + key, known));
    }
    field->read(item, prefix + key);
    found.insert(key);
  }
  for (const Field& field : fields) {
    if (field.is_required && !found.count(field.key)) throw SchemaError(prefix + field.key + " is missing.");
  }
}

void read_list(const Json& value, const std::string& name, const std::string& of, const Reader& read) {
  if (!value.is_array()) refuse(value, name, "a list of " + of);
  for (std::size_t i = 0; i < value.size(); ++i) read(value[i], name + "[" + std::to_string(i) + "]");
}

void read_map(const Json& value, const std::string& name,
              const std::function<void(const std::string&, const Json&, const std::string&)>& read) {
  if (!value.is_object()) refuse(value, name, "an object");
  for (const auto& [key, item] : value.items()) read(key, item, name + "." + key);
}

Reader into(std::string& target) {
  return scalar(target, "str", [](const Json& value) { return value.is_string(); });
}
Reader into(std::int64_t& target) { return scalar(target, "int", is_whole); }
Reader into(double& target) {
  return scalar(target, "float", [](const Json& value) { return value.is_number(); });
}
Reader into(bool& target) {
  return scalar(target, "bool", [](const Json& value) { return value.is_boolean(); });
}
Reader into(std::vector<std::string>& target) { return list_into(target, "str"); }
Reader into(std::vector<std::int64_t>& target) { return list_into(target, "int"); }
Reader into(std::map<std::string, std::string>& target) { return map_into(target); }
Reader into(std::map<std::string, std::int64_t>& target) { return map_into(target); }
Reader into(std::map<std::string, double>& target) { return map_into(target); }

}  // namespace sam3i_edge::detail
