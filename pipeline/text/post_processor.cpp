#include "pipeline/text/post_processor.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::text {
namespace {

int32_t checked_id(const Json& id, int32_t size, const std::string& where) {
  if (!id.is_number_integer() || id < 0 || id >= size)
    throw BadData({where, "is no id of this vocabulary: " + id.dump(), "ids are below " + std::to_string(size)});
  return id.get<int32_t>();
}

// ids of a template's special token, as special_tokens tells
std::vector<int32_t> ids_of(const Json& special_tokens, const std::string& name, int32_t size,
                            const std::string& where) {
  const auto token = json_field<Json>(special_tokens, name, where + ".special_tokens");
  const std::string at = where + ".special_tokens." + name;
  std::vector<int32_t> ids;
  for (const auto& id : json_field<Json::array_t>(token, "ids", at)) ids.push_back(checked_id(id, size, at + ".ids"));
  return ids;
}

Surroundings template_processing(const Json& description, int32_t size, const std::string& where) {
  Surroundings around;
  const auto special = json_field_or<Json>(description, "special_tokens", Json::object(), where);
  bool seen = false;
  for (const auto& part : json_field<Json::array_t>(description, "single", where)) {
    if (part.is_object() && part.contains("Sequence")) {
      if (seen) throw_bad_field(where, "single", "holds the text twice");
      seen = true;
    } else {
      const auto token = json_field<Json>(part, "SpecialToken", where + ".single");
      const auto ids = ids_of(special, json_field<std::string>(token, "id", where + ".single"), size, where);
      auto& into = seen ? around.after : around.before;
      into.insert(into.end(), ids.begin(), ids.end());
    }
  }
  if (!seen) throw_bad_field(where, "single", "does not hold the text");
  return around;
}

// BERT's and RoBERTa's: {"cls": ["<s>", 0], "sep": ["</s>", 2]}
Surroundings begin_and_end(const Json& description, int32_t size, const std::string& where) {
  const auto id_in = [&](const char* key) {
    const auto pair = json_field<Json::array_t>(description, key, where);
    if (pair.size() != 2) throw_bad_field(where, key, "is not [piece, id]");
    return checked_id(pair[1], size, where + "." + key);
  };
  return {{id_in("cls")}, {id_in("sep")}};
}

Surroundings sequence(const Json& description, int32_t size, const std::string& where) {
  Surroundings around;
  const auto parts = json_field<Json::array_t>(description, "processors", where);
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto added = read_post_processor(parts[i], size, where + ".processors[" + std::to_string(i) + "]");
    around.before.insert(around.before.begin(), added.before.begin(), added.before.end());
    around.after.insert(around.after.end(), added.after.begin(), added.after.end());
  }
  return around;
}

}  // namespace

Surroundings read_post_processor(const Json& description, int32_t size, const std::string& where) {
  if (description.is_null()) return {};
  const auto type = json_field<std::string>(description, "type", where);
  if (type == "ByteLevel") return {};  // changes offsets only
  if (type == "TemplateProcessing") return template_processing(description, size, where);
  if (type == "BertProcessing" || type == "RobertaProcessing") return begin_and_end(description, size, where);
  if (type == "Sequence") return sequence(description, size, where);
  throw BadData({where + ".type", "is \"" + type + "\", a post-processor this reader does not know",
                 "known are TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence"});
}

}  // namespace cmc::text
