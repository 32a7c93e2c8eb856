#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "pipeline/core/error.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/records/labels.hpp"
#include "pipeline/records/results_tables.hpp"
#include "pipeline/records/rows.hpp"
#include "pipeline/records/summary.hpp"
#include "pipeline/records/task_labels.hpp"

namespace cmc::records {
namespace {

TEST(Method, EveryOneHasATrait) {
  for (const auto& traits : method_traits) {
    EXPECT_EQ(method_named(traits.name, "here"), traits.method);
    EXPECT_TRUE(traits.instruct || traits.unlearn) << traits.name;
    EXPECT_FALSE(traits.trains_target && traits.adds_delta) << traits.name;
    EXPECT_EQ(traits.adds_delta, traits.weight != 0) << traits.name;
    if (traits.adds_delta && !traits.adds_other) {
      EXPECT_EQ(method_of(traits.role), traits.method);
    }
  }
  EXPECT_THROW(method_named("magic", "here"), BadData);
}

TEST(System, OrderIsThatOfThePapersTables) {
  const System vanilla{"gemma", Method::vanilla, "", 0, {}, {}},
      usual{"gemma", Method::cmc, "tiny", 1, {"base_normalized", "pm_mined", "zero", 0}, {}},
      half{"gemma", Method::cmc, "tiny", 0.5, usual.fusion, {}},
      variant{"gemma", Method::cmc, "tiny", 0.5, {"raw_sum", "pm_mined", "zero", 0}, {}};
  EXPECT_LT(vanilla, usual);
  EXPECT_LT(half, usual);
  EXPECT_LT(usual, variant);
  EXPECT_EQ(describe(usual), "gemma + tiny, α 1");
  EXPECT_EQ(describe(variant), "gemma + tiny (raw_sum), α 0.5");
  EXPECT_EQ(describe(vanilla), "gemma vanilla");
}

TEST(Plan, WhatLaterVersionsAddedToItMayBeAbsent) {
  TaskLabels labels;
  labels.system = {"gemma", Method::cmc, "tiny", 1, {}, 3};
  labels.set = "forget", labels.prompt_before = "Q: ";
  store::Table table = plan_table(std::vector<PlanRow>{{"k", "unlearn", "a task", labels, true}});
  std::erase_if(table.columns, [](const auto& column) { return column.name.starts_with("prompt_"); });
  const auto rows = plan_rows(table, "/plan");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].labels.system, labels.system);
  EXPECT_EQ(rows[0].labels.set, "forget");
  EXPECT_EQ(rows[0].labels.prompt_before, "");
  std::erase_if(table.columns, [](const auto& column) { return column.name == "target"; });
  EXPECT_THROW(plan_rows(table, "/plan"), BadData);
}

TEST(Parameters, ComeBackAsTheyWere) {
  Evaluation evaluation;
  evaluation.system = {"gemma", Method::proxy_tuning, "tiny", 0, {"raw_sum", "one_to_many", "mean", 50}, 7};
  evaluation.strengths = {0.5, 1};
  evaluation.model = ModelReference::adapted("gemma", "k1", ModelReference::folder("gemma", "abc"));
  SmallLlama tiny;
  tiny.hidden_size = 8;
  evaluation.parts = {{ModelReference::made("tiny", "k2"), 1}, {ModelReference::random("tiny", tiny), -1}};
  evaluation.delta_tokenizer = ModelReference::made("small", "k3");
  evaluation.map = "k4";
  Prompt chat, open_instruct;
  chat.style = "chat", chat.before = "<user> ", chat.after = " <model>", chat.strip = "both", chat.date = "2024-07-26";
  open_instruct.style = "open_instruct";
  const InstructParameters p{{evaluation, {32, 16}, {"a.json", "f00"}, 48, chat, open_instruct}, Prompts::checked};
  const Json json = to_json(p);
  EXPECT_EQ(json.at("method"), "proxy_tuning");
  EXPECT_EQ(json.at("model").at("base").at("identity"), "abc");
  EXPECT_EQ(json.at("seed"), 7);
  const auto back = records::from_json<InstructParameters>(json, "here");
  EXPECT_EQ(back.evaluation.system, evaluation.system);
  EXPECT_EQ(back.slice.first, 32);
  EXPECT_EQ(back.prompts, Prompts::checked);
  EXPECT_EQ(to_json(back), json);
  std::vector<std::string> tasks;
  back.evaluation.model.each_task([&](const std::string& key) { tasks.push_back(key); });
  EXPECT_EQ(tasks, std::vector<std::string>{"k1"});
}

TEST(Parameters, ErrorsNameTheField) {
  const Json json = {{"file", "a.json"}};
  try {
    records::from_json<FileReference>(json, "plan.json");
    FAIL();
  } catch (const BadData& error) {
    EXPECT_NE(std::string(error.what()).find("plan.json"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("sha256"), std::string::npos);
  }
}

std::vector<InstructRow> rows() {
  std::vector<InstructRow> rows(2);
  for (size_t i = 0; i < 2; ++i) {
    rows[i].alpha = 0.5;
    rows[i].item = static_cast<int64_t>(i);
    rows[i].prompt = "Who?";
    rows[i].response_tokens.assign(i + 1, 7);
    rows[i].repetition = 0.25;
  }
  rows[1].followed = 1;
  return rows;
}

TEST(Rows, ComeBackAsTheyWere) {
  store::Unit unit;
  write_rows(unit, rows());
  EXPECT_EQ(find_dataset(unit, "fact"), nullptr) << "no row has it";
  const auto back = read_rows<InstructRow>(unit);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[1].response_tokens, (std::vector<int32_t>{7, 7}));
  EXPECT_FALSE(back[0].followed.has_value()) << "its prompt asks for no form";
  EXPECT_EQ(back[1].followed, 1);
  EXPECT_FALSE(back[0].reference.has_value());
}

TEST(Rows, AMissingColumnNamesTheFile) {
  store::Unit unit;
  unit.where = "results.h5: /instruct/abc";
  write_rows(unit, rows());
  std::erase_if(unit.datasets, [](const auto& dataset) { return dataset.name == "repetition"; });
  try {
    read_rows<InstructRow>(unit);
    FAIL();
  } catch (const BadData& error) {
    EXPECT_NE(std::string(error.what()).find("results.h5: /instruct/abc: repetition"), std::string::npos)
        << error.what();
  }
}

TEST(Labels, HaveEveryFieldOfASystem) {
  const auto labels = plain_labels(TaskLabels{});
  for (const auto& field : plain_labels(System{}))
    EXPECT_TRUE(std::ranges::count(labels, field.name, &store::Label::name)) << field.name;
}

TEST(Labels, SayWhatATaskIsAbout) {
  const auto one = labels_of(
      "unlearn",
      {{"target", "m"}, {"method", "cmc"}, {"delta", "d"}, {"set", "forget"}, {"strengths", {0.5, 1}}, {"seed", 3}},
      "here");
  EXPECT_TRUE(std::isnan(one.system.strength)) << "it has two";
  EXPECT_EQ(one.systems().size(), 2u);
  EXPECT_EQ(one.systems().back().strength, 1);
  EXPECT_EQ(one.system.seed, 3);
  const auto map =
      labels_of("token_map", {{"base", {{"name", "m"}}}, {"delta", {{"name", "t"}}}, {"method", "exact_only"}}, "here");
  EXPECT_EQ(map.system.target, "m");
  EXPECT_EQ(map.system.fusion.map, "exact_only");
  EXPECT_EQ(map.system.method, Method::none);
  const auto expert = labels_of(
      "train", {{"kind", "instruct"}, {"role", "expert"}, {"delta", {{"name", "t"}}}, {"training", {{"seed", 4}}}},
      "here");
  EXPECT_EQ(expert.system.method, Method::proxy_tuning);
  EXPECT_EQ(expert.system.delta, "t");
  EXPECT_EQ(expert.system.seed, 4);
}

// A target alone answers plain prompts once for all seeds, and what is drawn by a seed in each.
TEST(View, ASeedHasItsOwnAndWhatStandsForAll) {
  const System alone{"m", Method::vanilla, "", 0, {}, {}}, mine{"m", Method::vanilla, "", 0, {}, 3};
  const System steered{"m", Method::cmc, "d", 1, {}, 3};
  for (const bool several : {false, true}) {
    Measurements all;
    const auto add = [&](const System& system, const char* set, std::string_view name, double value) {
      all.add(all.code(system), all.set_code(set), 0, metric_code(name), value);
    };
    add(mine, "checked", metric::followed, 100);
    add(alone, "plain", metric::reference, -2);
    add(steered, "plain", metric::reference, -1);
    if (several) add({"m", Method::cmc, "d", 1, {}, 4}, "plain", metric::reference, -3);
    all.finish();
    const View view(all, 3, several ? View::Holds::one_seed : View::Holds::everything);
    EXPECT_EQ(view.values(alone, "plain", metric::reference), std::vector<double>{-2});
    EXPECT_EQ(view.values(alone, "checked", metric::followed), std::vector<double>{100});
    EXPECT_EQ(view.values(steered, "plain", metric::wins), std::vector<double>{100});
    EXPECT_EQ(view.items(alone, "plain"), 1);
    const Summary summary(all);
    EXPECT_EQ(summary.of(alone, "plain", metric::reference).value, -2);
    EXPECT_EQ(summary.of(steered, "plain", metric::wins).value, several ? 50 : 100);
    const auto row = std::ranges::find_if(summary.rows(), [&](const SummaryRow& each) {
      return each.system == alone && each.set == "plain" && each.metric == metric_code(metric::reference);
    });
    EXPECT_NE(row, summary.rows().end()) << "it stands for all seeds";
  }
}

TEST(Seeds, AreThoseOfWhatATaskIsMadeFrom) {
  Seeds seeds;
  seeds.add("a", {{"training", {{"seed", 2}}}}, {"c"});
  seeds.add("b", Json::object(), {"x", "a"});
  seeds.add("c", Json::object(), {"a", "c"});
  EXPECT_EQ(seeds.of("a"), 2);
  EXPECT_EQ(seeds.of("b"), 2);
  EXPECT_EQ(seeds.of("c"), 2);
  EXPECT_EQ(seeds.of("x"), std::nullopt);
}

}  // namespace
}  // namespace cmc::records
