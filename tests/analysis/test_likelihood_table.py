"""The table of answers that no training read, how a strength is chosen by them, and what the report finds of it: that a delta makes
them likelier, more than a control does, or that so few pairs do not tell."""

import re

import numpy
import pandas
import pytest
import scipy.stats
from support_effects import effects, instruct_unit, task_of
from support_results import double, integer, make_folder, report

CHOICE, UNREAD = 10, 40
# nat a token that each delta's best strength wins over the target alone, by target; the control wins the form alone
GAIN = {"tiny": {"small": 0.30, "large": 0.30, "other": 0.02}, "control": {"small": 0.10, "large": 0.30, "other": 0.02}}
BEST = {"small": 1.0, "large": 0.5, "other": 1.0}
STRENGTHS = (0.5, 1.0)


def unit(random, seed, target, delta, part):
    first, count = (60, CHOICE) if part == "choice" else (60 + CHOICE, UNREAD)
    strengths = STRENGTHS if delta else (0.0,)
    task = {**task_of(seed, target, "cmc" if delta else "vanilla", list(strengths)), "name": f"{part} {target} {delta}", "part": part,
            "base_prompt": {"style": "text", "before": "", "after": ""}}
    if delta:
        task["delta"] = delta
    noise = numpy.random.default_rng(11 + (seed or 0)).normal(0, 0.5, count)  # of a pair, the same for all systems
    gains = [GAIN[delta][target] * (1 if alpha == BEST[target] else 0.5) for alpha in strengths] if delta else [0.0]
    spread = 0.4 if target == "other" else 0.03
    each = numpy.concatenate([-2 + noise + gain + random.normal(0, spread, count) for gain in gains])
    tokens, end = random.integers(3, 50, len(each)), -random.random(len(each))
    datasets = [double("alpha", numpy.repeat(strengths, count)), integer("item", numpy.tile(numpy.arange(first, first + count), len(strengths))),
                double("answer_logprob", each * tokens), double("end_logprob", end), integer("answer_tokens", tokens)]
    return {"stage": "likelihood", "task": task, "cost": {"wall_seconds": 1.0}, "datasets": datasets}


def values(units, seeds, target, delta, alpha, part="unread"):
    """{column: [seed][pair]}"""
    found = {"Answer, nat/token": [], "Its text, nat/token": [], "Its end, nat": []}
    for seed in seeds:
        columns = {d["name"]: numpy.array(d["values"]) for d in units[seed, target, delta, part]["datasets"]}
        kept = columns["alpha"] == alpha
        log, end, tokens = (columns[name][kept] for name in ("answer_logprob", "end_logprob", "answer_tokens"))
        found["Answer, nat/token"].append(log / tokens)
        found["Its text, nat/token"].append((log - end) / (tokens - 1))
        found["Its end, nat"].append(end)
    return {name: numpy.array(rows) for name, rows in found.items()}


@pytest.fixture(scope="module", params=[(None,), (1, 2, 3)], ids=["one seed", "three seeds"])
def run(request, tmp_path_factory):
    description, units = effects(request.param), {}
    description["experiment"] = description["experiment"].replace("instruct = tiny", "instruct = tiny, control", 1) + "[delta.control]\nanswers_of_others = yes\n"
    for seed in request.param:
        random = numpy.random.default_rng(3 + (seed or 0))
        for target in BEST:
            for delta in ("", "tiny", "control"):
                for part in ("choice", "unread"):
                    units[seed, target, delta, part] = unit(random, seed, target, delta, part)
            answers = instruct_unit(random, seed, target, "cmc", 30, effect=False)
            answers["task"].update(delta="control", name=f"instruct {target} control")
            description["units"].append(answers)
    description["units"] += units.values()
    folder = make_folder(tmp_path_factory.mktemp("likelihood") / "run", description)
    done = report(folder)
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr
    return folder, units, request.param, re.sub(r"\s+", " ", done.stdout)


def csv(folder, name):
    return pandas.read_csv(folder / "report/tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


def test_rows_are_means_over_pairs(run):
    folder, units, seeds, _ = run
    for name, part, count in (("likelihood", "unread", UNREAD), ("likelihood_choice", "choice", CHOICE)):
        table = csv(folder, name)
        assert len(table) == 3 * (1 + 2 * len(STRENGTHS))
        for _, row in table.iterrows():
            delta = "" if row["Method"] == "vanilla" else row["Delta"]
            assert row["n"] == count * len(seeds)
            for column, rows in values(units, seeds, row["Target"], delta, row["α"] if delta else 0.0, part).items():
                assert row[column] == pytest.approx(rows.mean(), rel=1e-9)
                if len(seeds) == 1:
                    assert row[f"{column} standard error"] == pytest.approx(scipy.stats.sem(rows[0]), rel=1e-9)
    assert (folder / "report/figures/likelihood_strength_1.svg").exists()


def test_the_strength_is_the_one_that_the_choice_part_finds_likeliest(run):
    folder, units, seeds, _ = run
    chosen = {}
    for target in BEST:
        chosen[target] = max(STRENGTHS, key=lambda alpha: values(units, seeds, target, "tiny", alpha, "choice")["Answer, nat/token"].mean())
    assert chosen["large"] == 0.5 and chosen["small"] == 1.0
    findings = csv(folder, "findings")
    for effect in ("Objective: steered", "Responses", "Instructions"):
        assert set(findings[findings["Effect"].str.startswith(effect)]["On"]) == {f"{target} + tiny, α {alpha:g}" for target, alpha in chosen.items()}


def test_the_finding_is_the_difference_to_the_target_alone_and_to_the_control(run):
    folder, units, seeds, shown = run
    findings = csv(folder, "findings")
    findings = findings[(findings["Measure"] == "Answer, nat/token")]
    for effect, baseline in (("Objective: steered", ""), ("Content", "control")):
        rows = findings[findings["Effect"].str.startswith(effect)].set_index("On")
        for target in ("small", "large"):
            alpha = BEST[target]
            row = rows.loc[f"{target} + tiny, α {alpha:g}"]
            apart = values(units, seeds, target, "tiny", alpha)["Answer, nat/token"] - values(units, seeds, target, baseline, alpha if baseline else 0.0)["Answer, nat/token"]
            assert row["Difference"] == pytest.approx(apart.mean(), rel=1e-9)
            seen = (scipy.stats.norm.ppf(0.995) + scipy.stats.norm.ppf(0.8)) * scipy.stats.sem(apart.ravel())
            assert row["Seen from"] == pytest.approx(seen, rel=1e-4)
            assert row["Claim"] == ("rises: yes" if target == "small" or not baseline else "rises: no")
    assert re.search(r"Content: [^—]* — appears in part: \d of 6 comparisons", shown)
    responses = csv(folder, "findings").set_index("On").loc["small + tiny, α 1, responses"]
    assert responses["Measure"] == "Ref. nat/token" and responses["Claim"] == "rises: yes"


def test_a_seed_of_few_noisy_pairs_does_not_tell(tmp_path):
    description = effects()
    random = numpy.random.default_rng(1)
    for delta in ("", "tiny"):
        one = unit(random, None, "other", delta, "unread")
        for dataset in one["datasets"]:
            if dataset["name"] == "answer_logprob":
                dataset["values"] = [value * scale for value, scale in zip(dataset["values"], random.uniform(0.1, 1.9, len(dataset["values"])))]
        description["units"].append(one)
    folder = make_folder(tmp_path / "run", description)
    assert report(folder).returncode == 0
    row = csv(folder, "findings").set_index("Measure").loc["Answer, nat/token"]
    assert row["Claim"] == "rises: cannot be told" and row["p"] > 0.01 and row["Seen from"] > 0.2 * abs(row["Baseline"])
