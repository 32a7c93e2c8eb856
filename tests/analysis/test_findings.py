"""What the report says of the paper's effects: there, not there, there in part, not measured, and by which figures."""

import html
import os
import re

import numpy
import pandas
import pytest
import scipy.stats
from support_effects import effects
from support_results import make_folder, planned_beside, report, rows_of

EFFECTS = ("Instructions", "Unlearning", "Logit shifts")


def reported(folder, description):
    """{effect: summary line}, the list's text, the table."""
    make_folder(folder, description)
    done = report(folder, env={**os.environ, "PATH": str(folder)})  # no gnuplot: other tests draw
    assert done.returncode == 0, done.stderr
    shown = re.sub(r"\s+", " ", done.stdout.split("\n\n")[0])
    assert shown.startswith("Findings")
    page = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", (folder / "report/index.html").read_text())))
    assert page.index("Findings") < page.index("appear" if "appear" in page else "not measured") and "80 % of its baseline" in page
    summaries = {}
    for effect in EFFECTS:
        summary = re.search(effect + r": [^—]*— ((?:appears|does not appear|cannot be told|not measured)[^.(]*?)(?= \w[^ ]* (?:\+|and)| Unlearning| Logit| A figure)", shown).group(1)
        assert summary in page
        summaries[effect] = summary
    table = pandas.read_csv(folder / "report/tables/findings.csv", keep_default_na=False, na_values=[""])
    return summaries, shown, table[~table["Effect"].str.startswith("Responses")]  # test_likelihood_table.py


@pytest.mark.parametrize("seeds", [(None,), (1, 2, 3)])
def test_effects_that_are_there(tmp_path, seeds):
    description = effects(seeds)
    summaries, shown, table = reported(tmp_path / "run", description)
    assert summaries == {
        "Instructions": "appears: 3 of 3 steered targets, 1 of 1 of another vocabulary",
        "Unlearning": "appears: 3 of 3 steered targets, 1 of 1 of another vocabulary",
        "Logit shifts": "appears: 2 of 2 pairs",
    }
    assert "other + tiny, α 1 (other vocabulary): Strict, %" in shown and "(other vocabulary)" in shown
    row = table[(table["On"] == "other + tiny, α 1") & (table["Measure"] == "Strict, %")].iloc[0]
    strict = {}
    for method, alpha in (("vanilla", 0.0), ("cmc", 1.0)):
        answers = [rows_of(description, "instruct", ("other", method, alpha), lambda u: u["task"].get("seed") == seed) for seed in seeds]
        strict[method] = numpy.array([[100.0 * (a[i]["followed"] and a[i]["fact"] and a[i]["stopped"]) for i in sorted(a)] for a in answers])
    change = (strict["cmc"] - strict["vanilla"]).mean(axis=1)
    assert row["Baseline"] == pytest.approx(strict["vanilla"].mean()) and row["Measured"] == pytest.approx(strict["cmc"].mean())
    assert row["Difference"] == pytest.approx(change.mean()) and row["Difference n"] == strict["cmc"].size
    error = scipy.stats.sem((strict["cmc"] - strict["vanilla"])[0]) if len(seeds) == 1 else change.std(ddof=1)
    assert row["Difference standard error" if len(seeds) == 1 else "Difference deviation over seeds"] == pytest.approx(error)
    assert f"{change.mean():+.1f} ± {error:.1f}, n = {strict['cmc'].size}" in shown
    assert set(table["Claim"]) == {"rises: yes", "falls: yes", "stays: yes"} and set(table["Verdict"]) == {"appears"}


@pytest.mark.parametrize("seeds", [(None,), (1, 2, 3)])
def test_effects_that_are_not_there(tmp_path, seeds):
    summaries, shown, table = reported(tmp_path / "run", effects(seeds, effect=False))
    assert summaries["Unlearning"] == "does not appear: 0 of 3 steered targets, 0 of 1 of another vocabulary"
    few = len(seeds) == 1  # 30 prompts would not have shown ten points more
    assert summaries["Instructions"].startswith(f"{'cannot be told with so few items' if few else 'does not appear'}: 0 of 3")
    assert ("rises: cannot be told" in set(table["Claim"])) == few
    assert summaries["Logit shifts"] == "does not appear: 0 of 2 pairs"
    assert "; does not appear" in shown
    kept = table[table["Measure"].isin(["Retain ROUGE-L", "Retain Prob."])]
    assert set(kept["Claim"]) == {"stays: yes"} and set(kept["Verdict"]) == {"does not appear"}, "keeping everything is no unlearning"


def test_nothing_measured_is_said_so(tmp_path):
    summaries, _, table = reported(tmp_path / "run", {**effects(), "units": [], "experiment": ""})
    assert set(summaries.values()) == {"not measured"} and set(table["Verdict"]) == {"not measured"}


def test_targets_that_are_missing_are_counted(tmp_path):
    description = effects()
    description = planned_beside(
        description, [u for u in description["units"] if u["task"].get("target") != "other" or u["task"].get("method") == "vanilla"])
    summaries, shown, _ = reported(tmp_path / "run", description)
    assert summaries["Instructions"] == "appears: 2 of 2 steered targets; 1 not measured"
    assert "other + tiny, α 1: not measured" in shown


def test_forgetting_everything_is_the_effect_in_part(tmp_path):
    description = effects()
    for unit in description["units"]:
        if unit["stage"] == "unlearn" and unit["task"]["set"] == "retain" and unit["task"]["method"] == "cmc" and unit["task"]["target"] == "small":
            rouge = next(d for d in unit["datasets"] if d["name"] == "rouge_l_recall")
            rouge["values"] = [value * 0.79 * 0.9 / 0.85 for value in rouge["values"]]
    summaries, shown, table = reported(tmp_path / "run", description)
    assert summaries["Unlearning"].startswith("appears in part: 2 of 3") and "does not stay" in shown
    row = table[(table["On"] == "small + tiny, α 1") & (table["Measure"] == "Retain ROUGE-L")].iloc[0]
    assert row["Claim"] == "stays: no" and row["Measured"] < 0.8 * row["Baseline"]
    assert row["Verdict"] == "appears in part"


def test_one_seed_against_the_others_is_no_effect(tmp_path):
    description = effects((1, 2, 3))
    turned = effects((3,), effect=False)["units"]
    units = [u for u in description["units"] if u["stage"] == "similarity" and u["task"]["seed"] != 3]
    for unit in turned:
        if unit["stage"] == "similarity":
            for dataset in unit["datasets"]:
                if dataset["name"] == "sinkhorn_same":
                    dataset["values"] = [value + 1 for value in dataset["values"]]
            units.append(unit)
    summaries, _, table = reported(tmp_path / "run", {**description, "units": units})
    assert summaries["Logit shifts"] == "does not appear: 0 of 2 pairs"
    assert (table["p"] < 0.01).any(), "all items together would say otherwise"


def test_too_few_items_say_nothing(tmp_path):
    summaries, shown, table = reported(tmp_path / "run", effects(prompts=4))
    assert summaries["Instructions"] == "not measured" and "too few items to judge" in shown
    assert "rises: too few items" in set(table["Claim"])


def test_the_strength_nearest_to_one_is_judged(tmp_path):
    description = effects()
    for unit in description["units"]:
        if unit["task"].get("method") == "cmc":
            alpha = next(d for d in unit["datasets"] if d["name"] == "alpha")
            alpha["values"] = [{0.5: 0.25, 1.0: 0.75}[value] for value in alpha["values"]]
    _, shown, _ = reported(tmp_path / "run", description)
    assert "large + tiny, α 0.75: Strict" in shown and "α 0.25" not in shown


def test_a_variant_of_the_fusion_is_not_judged(tmp_path):
    description = effects()
    worse = effects(effect=False)["units"]
    for unit in worse:
        if unit["task"].get("method") == "cmc":
            unit["task"].update(mode="raw_sum")
            description["units"].append(unit)
    summaries, shown, _ = reported(tmp_path / "run", description)
    assert summaries["Instructions"].startswith("appears: 3 of 3") and "raw_sum" not in shown
