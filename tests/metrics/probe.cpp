// Answers one JSON request a line with one JSON line, for the python tests of this folder: {"op": "rouge", …}.
// Infinite numbers and NaN travel as null; bad input as {"error": message}.
#include <iostream>
#include <limits>
#include <string>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/metrics/audit.hpp"
#include "pipeline/metrics/instruction_rules.hpp"
#include "pipeline/metrics/kolmogorov_smirnov.hpp"
#include "pipeline/metrics/porter_stemmer.hpp"
#include "pipeline/metrics/response_health.hpp"
#include "pipeline/metrics/rouge.hpp"
#include "pipeline/metrics/sinkhorn.hpp"
#include "pipeline/metrics/summary.hpp"
#include "pipeline/metrics/tofu.hpp"
#include "pipeline/metrics/win_rate.hpp"

namespace cmc::metrics {
namespace {

using Numbers = std::vector<double>;

Numbers numbers(const Json& list) {
  Numbers values;
  for (const auto& v : list) values.push_back(v.is_null() ? std::numeric_limits<double>::quiet_NaN() : v.get<double>());
  return values;
}

Json to_json(const RougeScore& s) {
  return Json::array({s.precision, s.recall, s.f_measure});
}
Json to_json(const TofuScores& s) {
  return Json::array({s.rouge_l, s.probability, s.truth_ratio});
}
Json to_json(const Interval& i) {
  return Json::array({i.low, i.high});
}

TofuScores scores(const Json& list) {
  return {list.at(0), list.at(1), list.at(2)};
}

std::vector<AnswerLosses> losses(const Json& items) {
  std::vector<AnswerLosses> result;
  for (const auto& item : items)
    result.push_back({item.at("answer"), item.at("paraphrased"), numbers(item.at("wrong"))});
  return result;
}

TofuSet set_of(const std::string& name) {
  for (const auto set : {TofuSet::retain, TofuSet::real_authors, TofuSet::world_facts, TofuSet::forget})
    if (name_of(set) == name) return set;
  throw Usage({name, "is no TOFU set", ""});
}

TruthRatioMean mean_of(const Json& r) {
  return r.at("mean") == "geometric" ? TruthRatioMean::geometric : TruthRatioMean::arithmetic;
}

Json text_request(const std::string& op, const Json& r) {
  const auto stemming = r.value("stem", true) ? Stemming::porter : Stemming::none;
  if (op == "rouge") {
    const auto all = rouge(r.at("reference").get<std::string>(), r.at("candidate").get<std::string>(), stemming);
    return {{"rouge1", to_json(all.rouge1)}, {"rouge2", to_json(all.rouge2)}, {"rougeL", to_json(all.rouge_l)}};
  }
  if (op == "rouge_tokens") return rouge_tokens(r.at("text").get<std::string>(), stemming);
  if (op == "stems") {
    Json stems = Json::array();
    for (const auto& word : r.at("words")) stems.push_back(porter_stem(word.get<std::string>()));
    return stems;
  }
  if (op == "repetition") return repetition_rate(r.at("text").get<std::string>(), r.at("n").get<int>());
  if (op == "follows") {
    const Instruction instruction{rule_of(r.at("rule").get<std::string>()),
                                  r.value("words", std::vector<std::string>{}),
                                  {r.value("least", size_t{0}), r.value("most", CountRange{}.most)}};
    return follows(instruction, r.at("response").get<std::string>());
  }
  throw Usage({op, "is not known", ""});
}

std::vector<float> floats(const Json& list) {
  return list.get<std::vector<float>>();
}

Json audit_request(const std::string& op, const Json& r) {
  if (op == "exact_memorization") return exact_memorization(r.at("best").get<std::vector<int32_t>>());
  if (op == "extraction_strength") return extraction_strength(r.at("best").get<std::vector<int32_t>>());
  if (op == "min_k") return min_k_score(floats(r.at("log_probs")), r.at("share"));
  if (op == "min_k_plus_plus")
    return min_k_plus_plus_score(floats(r.at("log_probs")), floats(r.at("means")), floats(r.at("variances")),
                                 r.at("share"));
  if (op == "zlib") return zlib_score(r.at("loss"), r.at("text").get<std::string>());
  if (op == "auc") {
    const auto auc = membership_auc(numbers(r.at("forget")), numbers(r.at("holdout")));
    return Json::array({auc.value, auc.standard_error});
  }
  if (op == "privleak") return privacy_leakage(r.at("auc"), r.at("reference"));
  return {};
}

Json number_request(const std::string& op, const Json& r) {
  if (op == "ks") {
    const auto test = ks_test(numbers(r.at("first")), numbers(r.at("second")));
    return {{"statistic", test.statistic}, {"p", test.p_value}, {"exact", test.exact}};
  }
  if (op == "kstwo") return kolmogorov_survival(r.at("n"), r.at("d"));
  if (op == "truth_ratios") return truth_ratios(losses(r.at("items")), mean_of(r));
  if (op == "tofu_set")
    return to_json(score_tofu_set(set_of(r.at("set")), losses(r.at("items")), numbers(r.at("rouge")), mean_of(r)));
  if (op == "utility")
    return model_utility(scores(r.at("retain")), scores(r.at("real_authors")), scores(r.at("world_facts")));
  if (op == "forget_quality") return forget_quality(numbers(r.at("first")), numbers(r.at("second")));
  if (op == "win_rate") {
    const auto w = win_rate(numbers(r.at("preferences")));
    return {{"win_rate", w.win_rate},
            {"standard_error", w.standard_error},
            {"n", w.n},
            {"missing", w.missing},
            {"wins", w.wins},
            {"losses", w.losses},
            {"draws", w.draws}};
  }
  if (op == "sinkhorn") {
    const Numbers x = numbers(r.at("x")), y = numbers(r.at("y"));
    const size_t d = r.at("dimension");
    return sinkhorn_divergence({x, d}, {y, d}, {r.value("blur", 0.01), r.value("scaling", 0.5)});
  }
  const BootstrapSettings settings{r.value("seed", uint64_t{0}), r.value("resamples", 10000), r.value("level", 0.95)};
  if (op == "mean") return Json::array({mean(numbers(r.at("values"))), standard_error(numbers(r.at("values")))});
  if (op == "bootstrap") return to_json(bootstrap_mean(numbers(r.at("values")), settings));
  if (op == "ratio") {
    const auto ratio = ratio_of_sums(numbers(r.at("numerators")), numbers(r.at("denominators")));
    return Json::array({ratio.value, ratio.standard_error});
  }
  if (op == "paired") {
    const auto p = paired_bootstrap(numbers(r.at("first")), numbers(r.at("second")), settings);
    return {{"difference", p.difference}, {"interval", to_json(p.interval)}, {"p", p.p_value}};
  }
  if (Json audit = audit_request(op, r); !audit.is_null()) return audit;
  return text_request(op, r);
}

}  // namespace
}  // namespace cmc::metrics

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    cmc::Json reply;
    try {
      const auto request = cmc::Json::parse(line);
      reply = cmc::metrics::number_request(request.at("op"), request);
    } catch (const cmc::BadData& error) {
      reply = {{"error", error.what()}};
    } catch (const std::exception& error) {
      std::cerr << error.what() << "\n";
      return 70;
    }
    std::cout << reply.dump() << std::endl;
  }
}
