// Writes a world, for test_world.py: probe_world FOLDER [SETTING=NUMBER …]
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/world/files.hpp"

namespace cmc::world {
namespace {

WorldSettings settings_from(const std::vector<std::string>& words) {
  WorldSettings settings;
  std::map<std::string, size_t*> sizes = {{"persons", &settings.persons},
                                          {"authors", &settings.authors},
                                          {"strangers", &settings.strangers},
                                          {"towns", &settings.towns},
                                          {"documents", &settings.documents},
                                          {"tokenizer_documents", &settings.tokenizer_documents},
                                          {"examples_per_fact", &settings.examples_per_fact},
                                          {"eval_prompts", &settings.eval_prompts},
                                          {"ifeval_prompts", &settings.ifeval_prompts},
                                          {"counting_problems", &settings.counting_problems},
                                          {"retain_questions", &settings.retain_questions},
                                          {"real_author_questions", &settings.real_author_questions},
                                          {"world_fact_questions", &settings.world_fact_questions}};
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    if (name == "seed")
      settings.seed = std::stoull(words[i].substr(equals + 1));
    else
      *sizes.at(name) = std::stoul(words[i].substr(equals + 1));
  }
  return settings;
}

}  // namespace
}  // namespace cmc::world

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  cmc::world::write_world(cmc::world::settings_from(words), words.at(0));
  return 0;
} catch (const cmc::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(cmc::ExitCode::internal);
}
