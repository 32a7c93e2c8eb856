#include <iostream>

#include "pipeline/store/unit_store.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  Arguments arguments("verify DIR", boost::program_options::options_description("options"), {"folder"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::filesystem::path folder = arguments.get("folder");
  if (!std::filesystem::is_directory(folder))
    throw MissingInput({folder.string(), "is not a folder", "give the folder of a run"});
  const store::UnitStore units(folder);
  const auto damaged = units.verify();
  for (const auto& unit : damaged)
    std::cout << "damaged  " << units.path(unit.key).string() << ": " << unit.what << " (remove it and run again)\n";
  std::cout << units.keys().size() << " units, " << damaged.size() << " damaged\n";
  return damaged.empty() ? ExitCode::done : ExitCode::bad_data;
}

}  // namespace

const Verb verify_verb = {"verify", "check every unit of a run against its checksum", run};

}  // namespace cmc::stages
