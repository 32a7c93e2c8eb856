// Random command lines: done, or refused with a message that names what is wrong; never a crash, never our own fault.
#include <gtest/gtest.h>
#include <unistd.h>

#include <iostream>
#include <sstream>

#include "pipeline/core/files.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/core/utf8.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

// What verbs print, and the folder they may write in.
class CommandLines : public testing::Test {
 protected:
  void SetUp() override {
    create_folder(folder);
    publish_file(folder / "empty", "");
    publish_file(folder / "lines.jsonl", "{\"prompt\": \"a\", \"answer\": \"b\", \"text\": \"c\"}\n");
    publish_file(folder / "few.ini",
                 "[experiment]\ntitle = t\n[models]\ntemplate = a\ntargets = a\n[model.a]\npath = /nowhere\n");
    before = std::cout.rdbuf(printed.rdbuf());
  }
  void TearDown() override {
    std::cout.rdbuf(before);
    std::filesystem::remove_all(folder);
  }
  std::filesystem::path folder = testing::TempDir() + "/cmc_lines_" + std::to_string(::getpid());
  std::ostringstream printed;
  std::streambuf* before = nullptr;
};

template <class Items>
const auto& any_of(const Items& items, Random& random) {
  return items[random.below(std::size(items))];
}

TEST_F(CommandLines, AreDoneOrRefused) {
  const std::string at = folder.string();
  const std::vector<std::string> options = {
      "model",          "delta",           "alpha",      "map",     "top",           "unmapped",
      "mode",           "device",          "dtype",      "batch",   "chat",          "system",
      "date",           "prompts",         "new",        "top-p",   "temperature",   "seed",
      "stop",           "pairs",           "from",       "to",      "method",        "compat",
      "json",           "texts",           "tokenizer",  "set",     "limit",         "only",
      "output",         "shard",           "reserve",    "ranks",   "stall-seconds", "simulate",
      "costs",          "retain",          "time-limit", "target",  "all",           "ini",
      "help",           "tensor-parallel", "nonsense",   "section", "folder",        "stall-second",
      "ranks-per-node", "contrast",        "gate"};
  const std::vector<std::string> values = {"",
                                           "0",
                                           "-1",
                                           "1",
                                           "nan",
                                           "inf",
                                           "1e308",
                                           "99999999999999999999",
                                           "a=b",
                                           "a.b=1",
                                           "1/2",
                                           "2/1",
                                           "x",
                                           ",",
                                           "1,2",
                                           "compute.batch=0",
                                           "é",
                                           "\xff",
                                           "--",
                                           "-",
                                           "tofu",
                                           "hf",
                                           "cpu",
                                           "alpaca_eval",
                                           at,
                                           at + "/empty",
                                           at + "/few.ini",
                                           at + "/lines.jsonl",
                                           "/nowhere",
                                           "/dev/null"};
  int argc = 0;
  char** argv = nullptr;
  const distributed::Session session(argc, argv);
  Random random(11);
  int refused = 0, done = 0;
  for (int number = 0; number < 10000; ++number) {
    const Verb& verb = any_of(verbs(), random);
    if (verb.name == "bench" || verb.name == "doctor") continue;  // they would measure this machine
    std::vector<std::string> words;
    for (uint64_t count = random.below(7); count > 0; --count) {
      if (random.below(3) == 0) words.push_back(any_of(values, random));
      if (random.below(3) == 0) continue;
      const std::string option = "--" + any_of(options, random);
      const bool joined = random.below(2) == 0;
      words.push_back(joined ? option + "=" + any_of(values, random) : option);
      if (!joined && random.below(3) != 0) words.push_back(any_of(values, random));
    }
    if (verb.name == "run" || verb.name == "plan") words.push_back("--output=" + at + "/out");
    if (verb.name == "serve") words.push_back("--stdio");
    if (verb.name == "tokenize") words.push_back("--texts=" + at + "/lines.jsonl");  // else it would wait for its input
    std::string line(verb.name);
    for (const auto& word : words) line += " '" + word + "'";
    try {
      verb.run(words, session);
      ++done;
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(error.code(), ExitCode::internal) << line << ": " << error.what();
      EXPECT_FALSE(error.problem().where.empty()) << line;
      EXPECT_TRUE(is_valid_utf8(error.what())) << line;
    } catch (const std::exception& error) {
      ADD_FAILURE() << line << ": " << error.what();
    }
    printed.str("");
    if (HasFailure()) break;
  }
  EXPECT_GT(refused, 5000);
  EXPECT_GT(done, 50);
}

}  // namespace
}  // namespace cmc::stages
