"""The table of stress tests and what the report finds of them and of deltas added together, from synthetic rows."""

import re

import numpy
import pandas
import pytest
from support_effects import TARGETS, effects, instruct_unit, unlearn_unit
from support_results import make_folder, report

FORGET, RETAIN = 16, 24
# of each test: the level (ROUGE-L, probability) of the forget set; CMC's is (0.3, 0.05) as usual
LEVELS = {"int8": (0.36, 0.2), "int4": (0.8, 0.6), "relearn 2": (0.7, 0.5)}  # int8: a little of the way


def values_of(unit, name):
    return numpy.array(next(d["values"] for d in unit["datasets"] if d["name"] == name), dtype=float)


def put(unit, name, values):
    next(d for d in unit["datasets"] if d["name"] == name)["values"] = [int(v) for v in values]


def under(random, seed, target, method, name, test):
    stress, _, epochs = test.partition(" ")
    back = name == "forget" and method == "cmc"
    unit = unlearn_unit(random, seed, target, method, name, FORGET if name == "forget" else RETAIN, LEVELS[test] if back else (0.9, 0.9))
    unit["stage"] = "robustness"
    unit["task"].update(name=f"TOFU {name}, {test} {target} {method}", stress=stress, **({"relearn_epochs": int(epochs)} if epochs else {}))
    if epochs and name == "forget":
        put(unit, "item", range(0, 2 * FORGET, 2))  # every second item; half of these were asked as usual
    return unit


@pytest.fixture(scope="module", params=[(None,), (1, 2, 3)], ids=["one seed", "three seeds"])
def run(request, tmp_path_factory):
    description = effects(request.param)
    for seed in request.param:
        random = numpy.random.default_rng(100 + (seed or 0))
        for target in TARGETS:
            for test in LEVELS:
                for method in ("vanilla", "cmc"):
                    if not (test.startswith("relearn") and target == "other" and method == "cmc"):
                        description["units"] += [under(random, seed, target, method, name, test) for name in ("forget", "retain")]
            both = [instruct_unit(random, seed, target, "cmc", 30, True)]
            keeps = {"forget": (0.3, 0.05) if target != "large" else (0.9, 0.9), "retain": (0.88, 0.88)}
            both += [unlearn_unit(random, seed, target, "cmc", name, count, keeps[name]) for name, count in (("forget", FORGET), ("retain", RETAIN))]
            for unit in both:
                unit["task"].update(method="composed", name=unit["task"]["name"].replace("cmc", "composed"))
            description["units"] += both
    folder = make_folder(tmp_path_factory.mktemp("robustness") / "run", description)
    done = report(folder)
    assert done.returncode == 0, done.stderr
    return folder, description, re.sub(r"\s+", " ", done.stdout)


def samples(description, stage, target, method, name, column, test=""):
    """{seed: {item: value}} at the largest strength."""
    found = {}
    for unit in description["units"]:
        task = unit["task"]
        shown = task.get("stress", "") + (f" {task['relearn_epochs']}" if "relearn_epochs" in task else "")
        if unit["stage"] == stage and (task["target"], task["method"], task.get("set"), shown) == (target, method, name, test):
            values = values_of(unit, column)
            if column == "answer_logprob":
                values = numpy.exp(values / values_of(unit, "answer_tokens"))
            found[task.get("seed")] = dict(zip(values_of(unit, "item").astype(int), values))
    return found


def test_the_table_has_a_row_for_each_test(run):
    folder, description, _ = run
    table = pandas.read_csv(folder / "report/tables/robustness.csv", keep_default_na=False, na_values=[""])
    assert list(dict.fromkeys(table["Test"])) == ["as usual", "int8", "int4", "relearn 2"]
    assert len(table) == 3 * 2 * 4 - 1, "a delta of another vocabulary is not relearned"
    for _, row in table.iterrows():
        stage, test = ("unlearn", "") if row["Test"] == "as usual" else ("robustness", row["Test"])
        for name, title in (("forget", "Forget"), ("retain", "Retain")):
            for column, shown in (("rouge_l_recall", "ROUGE-L"), ("answer_logprob", "Prob.")):
                by_seed = samples(description, stage, row["Target"], row["Method"], name, column, test)
                mean = numpy.mean([numpy.mean(list(of_seed.values())) for of_seed in by_seed.values()])
                assert row[f"{title} {shown}"] == pytest.approx(mean, rel=1e-9), (row["Target"], row["Test"], shown)


def test_findings_say_what_comes_back(run):
    folder, description, shown = run
    assert re.search(r"Robustness: what a steered target has unlearned comes back under int8 — does not appear: 0 of 3", shown)
    assert re.search(r"comes back under int4 — appears: 3 of 3 steered targets, 1 of 1 of another vocabulary", shown)
    assert re.search(r"comes back under relearn 2 — appears: 2 of 2 steered targets", shown)
    table = pandas.read_csv(folder / "report/tables/findings.csv", keep_default_na=False, na_values=[""])
    for test in LEVELS:
        for target in TARGETS[: 2 if test.startswith("relearn") else 3]:
            vanilla = samples(description, "unlearn", target, "vanilla", "forget", "rouge_l_recall")
            rows = table[table["Effect"].str.endswith("under " + test) & (table["On"] == f"{target} + tiny, α 1")].set_index("Measure")
            for column, measure in (("rouge_l_recall", "Forget ROUGE-L"), ("answer_logprob", "Forget Prob.")):
                usual = samples(description, "unlearn", target, "cmc", "forget", column)
                asked = samples(description, "robustness", target, "cmc", "forget", column, test)
                changes = [[asked[seed][item] - usual[seed][item] for item in asked[seed] if item in usual[seed]] for seed in usual]
                assert rows.loc[measure, "Difference"] == pytest.approx(numpy.mean([numpy.mean(each) for each in changes]))
                assert rows.loc[measure, "Difference n"] == sum(map(len, changes)), "the items asked both times"
                assert rows.loc[measure, "Claim"] == ("returns: no" if test == "int8" else "returns: yes")
            before = numpy.mean([numpy.mean(list(each.values())) for each in vanilla.values()])
            way = rows.loc["Forget ROUGE-L", "Difference"] / (before - rows.loc["Forget ROUGE-L", "Baseline"])
            effect = shown[shown.index("under " + test + " —"):]
            assert f"{target} + tiny, α 1" in effect and f", {100 * way:.0f} % of the way back" in effect[effect.index(f" {target} + tiny, α 1"):]


def test_findings_say_whether_deltas_compose(run):
    folder, _, shown = run
    assert re.search(r"Composition: [^—]*— appears in part: 5 of 6 effects, 2 of 2 of another vocabulary", shown)
    table = pandas.read_csv(folder / "report/tables/findings.csv", keep_default_na=False, na_values=[""])
    rows = table[table["Effect"].str.startswith("Composition")]
    verdicts = rows.groupby("On").Verdict.first()
    assert verdicts["large + tiny (composed), α 1, unlearning"] == "does not appear", "what it should forget is all there"
    assert verdicts["large + tiny (composed), α 1, instructions"] == verdicts["other + tiny (composed), α 1, unlearning"] == "appears"
