#include "stages/planning/world.hpp"

#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/text/tokenizer_training.hpp"
#include "pipeline/world/files.hpp"

namespace cmc::stages {

std::filesystem::path made_world(const Experiment& experiment, int64_t seed, const std::filesystem::path& output) {
  world::WorldSettings settings;
  settings.seed = static_cast<uint64_t>(seed);
  settings.documents = static_cast<size_t>(experiment.world.documents);
  const int64_t a = experiment.world.pieces_a, b = experiment.world.pieces_b;
  // Another size, or version of what is written, is another world: a folder of its own, so that none is ever changed.
  const std::string sizes =
      "3-" + std::to_string(settings.documents) + "-" + std::to_string(a) + "-" + std::to_string(b);
  const auto folder = output / "world" / ("seed-" + std::to_string(seed) + "-" + sizes);
  if (std::filesystem::exists(folder)) return folder;
  log_info("writing the world of seed ", seed, " and its vocabularies to ", folder.string());
  create_folder(folder.parent_path());
  publish_folder(folder, [&](const std::filesystem::path& temporary) {
    world::write_world(settings, temporary);
    text::train_tokenizer(temporary / "tokenizer_a.txt", temporary / "vocabulary_a",
                          {.pieces = static_cast<int32_t>(a)});
    text::train_tokenizer(temporary / "tokenizer_b.txt", temporary / "vocabulary_b",
                          {.pieces = static_cast<int32_t>(b)});
  });
  return folder;
}

}  // namespace cmc::stages
