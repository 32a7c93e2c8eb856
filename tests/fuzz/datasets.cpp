// Every reader of data files gets every input: what is a bad line for one is a good one for another.
#include "pipeline/data/alpaca.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/gamed_baselines.hpp"
#include "pipeline/data/gsm8k.hpp"
#include "pipeline/data/ifeval.hpp"
#include "pipeline/data/plain_text.hpp"
#include "pipeline/data/tofu.hpp"
#include "pipeline/data/tofu_log.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cmc::data;
  const auto file = cmc::fuzz::as_file(cmc::fuzz::text_of(data, size), "data.json");
  cmc::fuzz::reads_or_refuses([&] { read_tofu(file.parent_path(), "data"); });
  cmc::fuzz::reads_or_refuses([&] { read_tofu_perturbed(file.parent_path(), "data"); });
  cmc::fuzz::reads_or_refuses([&] { read_alpaca(file); });
  cmc::fuzz::reads_or_refuses([&] { read_alpaca_eval(file); });
  cmc::fuzz::reads_or_refuses([&] { read_alpaca_eval_verdicts(file); });
  cmc::fuzz::reads_or_refuses([&] { instruction_difficulties(read_gamed_baselines(file)); });
  cmc::fuzz::reads_or_refuses([&] { read_ifeval(file); });
  cmc::fuzz::reads_or_refuses([&] { read_texts(file); });
  cmc::fuzz::reads_or_refuses([&] { read_tofu_log(file); });
  return cmc::fuzz::reads_or_refuses([&] { read_gsm8k(file); });
}
