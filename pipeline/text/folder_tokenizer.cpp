#include "pipeline/text/folder_tokenizer.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/text/json_tokenizer.hpp"
#include "pipeline/text/read_token_model.hpp"
#include "pipeline/text/sentencepiece_file.hpp"
#include "pipeline/text/tokenizer_class.hpp"
#include "pipeline/text/tokenizer_config.hpp"
#include "pipeline/text/vocabulary_files.hpp"

namespace cmc::text {
namespace {

namespace fs = std::filesystem;

enum class Source { tokenizer_json, sentencepiece, vocabulary_and_merges };

int32_t first_known(std::initializer_list<const char*> names, const AddedVocabulary& added) {
  for (const char* name : names)
    if (const int32_t id = added.id_of(name); id >= 0) return id;
  return -1;
}

class Assembly {
 public:
  Assembly(const fs::path& folder, const fs::path& tokenizer_json) : config_(read_tokenizer_config(folder)) {
    read_source(folder, tokenizer_json);
  }

  std::shared_ptr<const Tokenizer> make() {
    name_placeholders();
    model_ = read_token_model(file_);
    AddedVocabulary added(*model_);
    if (class_ == TokenizerClass::backend)
      for (const auto& [id, token] : listed_) warn_of_id(id, added.add(token), token);
    resolve_roles();
    for (const auto& token : tokens_to_add(added)) added.add(token);
    add_again(added);
    return make_json_tokenizer(parts(std::move(added)));
  }

  std::map<std::string, std::string> special_texts() {
    resolve_roles();
    std::map<std::string, std::string> texts;
    for (const auto& [key, role] : config_.roles)
      if (role.token) texts[key] = role.token->token.content;
    for (const auto& [key, token] : config_.model_roles) texts[key] = token.token.content;
    return texts;
  }

 private:
  void read_source(const fs::path& folder, const fs::path& tokenizer_json) {
    if (is_there(tokenizer_json)) {
      file_ = read_tokenizer_file(tokenizer_json);
      listed_ = read_added_tokens(part("added_tokens"), file_.name + ": added_tokens");
      class_ = tokenizer_class_of(config_, uses(file_.rest, "ByteLevel"));
    } else if (is_there(folder / "tokenizer.model")) {
      source_ = Source::sentencepiece;
      class_ = tokenizer_class_of(config_, false);
      const auto pieces = read_sentencepiece_file(folder / "tokenizer.model");
      file_ = converted(pieces, class_ != TokenizerClass::backend);
      take_tokens_of(pieces);
      warn_without_configuration();
    } else {
      source_ = Source::vocabulary_and_merges;
      class_ = tokenizer_class_of(config_, false);
      file_ = read_vocabulary_files(folder, is_byte_level(class_));
    }
    rebuild(file_, class_, config_);
  }

  Json part(const char* key) const { return json_field_or<Json>(file_.rest, key, Json(), file_.name); }

  void take_tokens_of(const SentencePieceFile& pieces) {
    if (!config_.extra_given)
      for (auto& token : tokens_of(pieces)) extra_.push_back({std::move(token), true});
    config_.additional.clear();
    if (class_ != TokenizerClass::backend) return;
    const auto role = [&](const char* key, int32_t id, const std::string& piece) {
      if (id >= 0 && !config_.roles[key].given) config_.roles[key] = {true, NamedToken{{piece, true}, false}};
    };
    role("bos_token", pieces.begin, pieces.begin_piece);
    role("eos_token", pieces.end, pieces.end_piece);
    role("unk_token", pieces.unknown, pieces.unknown_piece);
  }

  void warn_without_configuration() const {
    if (config_.present) return;
    log_warning(file_.name,
                " has no tokenizer_config.json beside it: read as transformers reads it, with neither a space "
                "before the text nor a begin token");
  }

  static void warn_of_id(int32_t named, int32_t given, const AddedToken& token) {
    if (named != given && given >= 0)
      log_warning("tokenizer.json: added_tokens: \"", token.content, "\" names the id ", named, " and gets ", given,
                  ", as in the tokenizers library");
  }

  // Tokens that the configuration puts in the place of a piece of the same id, where no class does it its own way.
  void name_placeholders() {
    if (source_ != Source::sentencepiece || class_ != TokenizerClass::backend) return;
    std::set<std::string> known;
    for (const auto& [piece, id] : file_.vocabulary) known.insert(piece);
    for (auto& [piece, id] : file_.vocabulary) {
      const auto named = config_.added.find(id);
      if (named == config_.added.end() || known.contains(named->second.content)) continue;
      known.erase(piece);
      piece = named->second.content;
      known.insert(piece);
    }
    Json& model = file_.rest["model"];
    if (model.contains("unk_token") && !known.contains(model["unk_token"].get<std::string>())) model.erase("unk_token");
  }

  // Fills the roles from the class's defaults and gives those that an added token names that token's flags.
  void resolve_roles() {
    std::map<std::string, AddedToken> by_content;
    if (!config_.added_complete)
      for (const auto& [id, token] : listed_) config_.added[id] = token;
    for (const auto& [id, token] : config_.added) by_content[token.content] = token;
    for (const char* key : standard_roles) {
      auto& role = config_.roles[key];
      if (!role.token) continue;
      const auto known = by_content.find(role.token->token.content);
      if (known != by_content.end()) role.token = NamedToken{known->second, true};
    }
    bool has_padding = config_.roles["pad_token"].given;
    for (const auto& [key, text] : default_roles(class_)) {
      has_padding = has_padding || key == "pad_token";
      auto& role = config_.roles[key];
      if (!role.given && text != nullptr) role.token = NamedToken{{text, true}, false};
    }
    const Json padding = part("padding");
    if (!has_padding && padding.is_object())
      config_.roles["pad_token"].token =
          NamedToken{{json_field<std::string>(padding, "pad_token", file_.name + ": padding"), true}, false};
    add_roles_of_class();
    if (config_.extra_given)
      extra_ = config_.extra;
    else if (extra_.empty())
      extra_ = config_.additional;
  }

  void add_roles_of_class() {
    if (class_ != TokenizerClass::code_llama) return;
    std::vector<std::pair<std::string, NamedToken>> roles;
    for (const auto& [key, text] :
         std::initializer_list<std::pair<const char*, const char*>>{{"prefix_token", "\u2581<PRE>"},
                                                                    {"middle_token", "\u2581<MID>"},
                                                                    {"suffix_token", "\u2581<SUF>"},
                                                                    {"eot_token", "\u2581<EOT>"},
                                                                    {"fill_token", "<FILL_ME>"}})
      if (!config_.roles[key].given) roles.push_back({key, NamedToken{{text, true}, false}});
    for (auto& own : config_.model_roles) {
      const auto same =
          std::find_if(roles.begin(), roles.end(), [&](const auto& role) { return role.first == own.first; });
      if (same == roles.end())
        roles.push_back(own);
      else
        same->second = own.second;
    }
    config_.model_roles = std::move(roles);
  }

  std::vector<NamedToken> role_tokens() const {
    std::vector<NamedToken> tokens;
    for (const char* key : standard_roles)
      if (const auto role = config_.roles.find(key); role != config_.roles.end() && role->second.token)
        tokens.push_back(*role->second.token);
    for (const auto& [key, token] : config_.model_roles) tokens.push_back(token);
    return tokens;
  }

  // What the configuration adds to the file's own: tokens by their ids, then roles and extra tokens that are new.
  std::vector<AddedToken> tokens_to_add(const AddedVocabulary& added) const {
    std::set<std::string> known, named;
    for (const auto& [id, token] : added.tokens()) known.insert(token.content);
    std::vector<NamedToken> tokens;
    for (const auto& [id, token] : config_.added) {
      tokens.push_back({token, true});
      known.insert(token.content);
    }
    // The same text, or the same token with its flags, is added once; a text and a token with flags are two.
    const auto add_new = [&](const NamedToken& token) {
      const bool there = std::any_of(tokens.begin(), tokens.end(), [&](const NamedToken& other) {
        return other.with_flags == token.with_flags && other.token == token.token;
      });
      if (!there && !known.contains(token.token.content)) tokens.push_back(token);
    };
    for (const auto& role : role_tokens()) {
      named.insert(role.token.content);
      add_new(role);
    }
    for (const auto& extra : extra_) add_new(extra);
    std::vector<AddedToken> made;
    for (const auto& [token, with_flags] : tokens) {
      made.push_back(token);
      made.back().special = token.special || named.contains(token.content);
    }
    return made;
  }

  // Classes that add their special tokens a second time, with flags of their own.
  void add_again(AddedVocabulary& added) const {
    if (class_ != TokenizerClass::cohere && class_ != TokenizerClass::qwen2) return;
    auto tokens = role_tokens();
    tokens.insert(tokens.end(), extra_.begin(), extra_.end());
    for (auto& [token, with_flags] : tokens) {
      if (class_ == TokenizerClass::qwen2) token = {token.content};
      token.special = true;
      added.add(token);
    }
  }

  int32_t role_id(const char* key, const AddedVocabulary& added) const {
    const auto role = config_.roles.find(key);
    return role != config_.roles.end() && role->second.token ? added.id_of(role->second.token->token.content) : -1;
  }

  SpecialTokens special(const AddedVocabulary& added) const {
    SpecialTokens ids{role_id("bos_token", added), role_id("eos_token", added), role_id("unk_token", added),
                      role_id("pad_token", added)};
    if (ids.unknown < 0) ids.unknown = model_->unknown();
    const bool silent = std::none_of(config_.roles.begin(), config_.roles.end(),
                                     [](const auto& role) { return role.second.given || role.second.token; });
    if (!silent || config_.present) return ids;
    // A lone tokenizer.json names no roles: those of the common families.
    ids.begin = first_known({"<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"}, added);
    ids.end = first_known({"</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"}, added);
    if (ids.unknown < 0) ids.unknown = first_known({"<unk>"}, added);
    ids.padding = first_known({"<pad>", "[PAD]"}, added);
    return ids;
  }

  // The file's own post-processor counts; add_bos_token and add_eos_token only where there is no tokenizer.json.
  Surroundings around(const SpecialTokens& ids, int32_t size) const {
    const bool flags_count = source_ != Source::tokenizer_json;
    if (!flags_count && class_ != TokenizerClass::code_llama && class_ != TokenizerClass::gpt_neox)
      return read_post_processor(part("post_processor"), size, file_.name + ": post_processor");
    Surroundings made;
    const bool begin_by_default = class_ == TokenizerClass::code_llama;
    const bool begin = flags_count ? config_.add_begin.value_or(begin_by_default) : begin_by_default;
    if (begin && ids.begin >= 0) made.before = {ids.begin};
    if (flags_count && config_.add_end.value_or(false) && ids.end >= 0) made.after = {ids.end};
    return made;
  }

  TokenizerParts parts(AddedVocabulary added) {
    const int32_t largest = added.tokens().empty() ? -1 : added.tokens().rbegin()->first;
    const int32_t size = std::max(static_cast<int32_t>(model_->pieces().size()), largest + 1);
    const auto ids = special(added);
    auto surroundings = around(ids, size);
    return {file_.name,
            part("normalizer"),
            part("pre_tokenizer"),
            decoder(),
            std::move(model_),
            std::move(added),
            std::move(surroundings),
            ids,
            config_.split_special_tokens};
  }

  Json decoder() const {
    const bool is_bpe = file_.scored.empty();
    if (!config_.clean_up_spaces || (is_bpe && !config_.clean_up_spaces_of_bpe)) return part("decoder");
    Json steps = Json::array({part("decoder"), {{"type", "Fuse"}}});
    for (const char* text : {" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"}) {
      const std::string from = text;
      const std::string to = from == " ' " ? "'" : from.substr(1);
      steps.push_back({{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}});
    }
    return {{"type", "Sequence"}, {"decoders", steps}};
  }

  TokenizerConfig config_;
  TokenizerClass class_ = TokenizerClass::backend;
  Source source_ = Source::tokenizer_json;
  TokenizerFile file_;
  std::vector<std::pair<int32_t, AddedToken>> listed_;  // tokenizer.json's own
  std::vector<NamedToken> extra_;
  std::unique_ptr<const TokenModel> model_;
};

}  // namespace

std::shared_ptr<const Tokenizer> load_folder_tokenizer(const fs::path& folder) {
  return Assembly(folder, folder / "tokenizer.json").make();
}

std::shared_ptr<const Tokenizer> load_file_tokenizer(const fs::path& tokenizer_json) {
  return Assembly(tokenizer_json.parent_path(), tokenizer_json).make();
}

std::map<std::string, std::string> folder_special_texts(const fs::path& folder) {
  return Assembly(folder, folder / "tokenizer.json").special_texts();
}

}  // namespace cmc::text
