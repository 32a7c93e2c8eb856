"""What `cmc export` writes: one system, never a mixture; and the figures of each, imported again, are the report's."""

import json
import os
import sys
from pathlib import Path

import pytest

import support_pipeline as support
from support_pipeline import cmc, world  # noqa: F401

sys.path.insert(0, str(Path(os.environ["CMC_SOURCE"]) / "analysis/python"))
import cmc_results  # noqa: E402

FLAGS = {"target": "target", "method": "method", "delta": "delta", "alpha": "alpha", "mode": "mode", "map_method": "map", "unmapped": "unmapped", "seed": "seed"}
SETS = ("retain", "forget", "real_authors", "world_facts")


@pytest.fixture(scope="module")
def run(world):
    """Two seeds, two modes and two treatments of unmapped tokens, two strengths: its folder."""
    root, experiment = world
    folder = root / "variants"
    cmc("run", experiment, "--output", folder, "--set", "experiment.seed=3,4", "--set", "fusion.mode=base_normalized, raw_sum",
        "--set", "fusion.unmapped=zero, minimum", "--set", "unlearn.strengths=0.5, 1", "--set", "models.targets=large, other",
        "--set", "unlearn.holdout=holdout01", "--set", "methods.unlearn=vanilla, cmc, retain_only")
    return folder


@pytest.fixture(scope="module")
def systems(run):
    """{stage: the systems that have answers, as dictionaries}"""
    summary = cmc_results.open(run).summary()
    fields = list(FLAGS)
    found = {}
    for stage, name in (("unlearn", "forget"), ("instruct", "plain")):
        rows = summary[(summary.set == name) & (summary.seeds == 0)][fields].drop_duplicates()
        found[stage] = [dict(zip(fields, map(lambda v: v.item() if hasattr(v, "item") else v, row))) for row in rows.itertuples(index=False)]
    return found


def flags(system):
    words = []
    for field, flag in FLAGS.items():
        applies = system[field] != "" and not (field == "alpha" and not system["delta"]) and not (field == "seed" and system[field] < 0)
        if applies:
            words += [f"--{flag}", system[field]]
    return words


def figures_of(summary, system, of):
    rows = summary[(summary.seeds == 0) & (summary.set == of)]
    for field, value in system.items():
        rows = rows[rows[field] == value]
    return rows.set_index("metric").value


def test_every_system_imported_again_is_the_reports(run, systems, tmp_path):
    summary = cmc_results.open(run).summary()
    complete = [system for system in systems["unlearn"] if system["method"] != "retain_only"]
    assert len(complete) == 2 * (1 + 3) + 2 * (1 + 4), "of each seed: alone; two strengths and the variants at 1"
    for number, system in enumerate(complete):
        log = tmp_path / f"{number}.json"
        cmc("export", "tofu", run, *flags(system), "--to", log)
        items = json.loads(log.read_text())
        assert all(values["avg_gt_loss"].keys() == {"0", "1", "2"} for values in items.values())
        scored = json.loads(cmc("import", "tofu", log, "--json").stdout)
        for of in SETS:
            mine, wanted = scored["sets"][of], figures_of(summary, system, of)
            assert mine["rouge_l"] == pytest.approx(wanted["rouge_l"], rel=1e-9)
            assert mine["probability"] == pytest.approx(wanted["probability"], rel=1e-9)
            assert mine["truth_ratio"]["geometric"] == pytest.approx(wanted["truth_ratio"], rel=1e-9)
            assert mine["truth_ratio"]["arithmetic"] == pytest.approx(wanted["truth_ratio_arithmetic"], rel=1e-9)
        together = figures_of(summary, system, "all sets")
        assert scored["model_utility"]["geometric"] == pytest.approx(together["utility"], rel=1e-9)
        assert scored["model_utility"]["arithmetic"] == pytest.approx(together["utility_arithmetic"], rel=1e-9)


AUDITS = ("exact_memorization", "extraction_strength", "mia_loss", "mia_zlib", "mia_min_k", "mia_min_k_plus_plus", "privleak")


def test_open_unlearnings_log_is_the_reports(run, systems, tmp_path):
    """Every figure, as its own reader would take it, and imported again."""
    summary = cmc_results.open(run).summary()
    for number, system in enumerate(systems["unlearn"]):
        log, means = tmp_path / f"{number}.json", tmp_path / f"{number}_summary.json"
        cmc("export", "open_unlearning", run, *flags(system), "--to", log)
        cmc("export", "open_unlearning_summary", run, *flags(system), "--to", means)
        whole, told = json.loads(log.read_text()), json.loads(means.read_text())
        assert told == {name: metric["agg_value"] for name, metric in whole.items() if metric["agg_value"] is not None}
        scored = json.loads(cmc("import", "tofu", log, "--json").stdout)
        together, forget = figures_of(summary, system, "all sets"), figures_of(summary, system, "forget")
        for name in AUDITS:
            if name == "privleak" and system["method"] == "retain_only":
                continue
            wanted = forget[name] if name.startswith("ex") else together[name]
            assert told[name] == pytest.approx(wanted, rel=1e-9) and scored["audits"][name] == pytest.approx(wanted, rel=1e-9), name
        assert whole["mia_min_k"]["forget"]["value_by_index"].keys() == {"0", "1", "2"}
        if system["method"] == "retain_only":
            assert not set(whole) & {"model_utility", "retain_Q_A_Prob"} and whole["forget_quality"]["agg_value"] is None
            continue
        for of in SETS:
            wanted = figures_of(summary, system, of)
            assert scored["sets"][of]["rouge_l"] == pytest.approx(wanted["rouge_l"], rel=1e-9)
            assert scored["sets"][of]["probability"] == pytest.approx(wanted["probability"], rel=1e-9)
            assert scored["sets"][of]["truth_ratio"]["geometric"] == pytest.approx(wanted["truth_ratio"], rel=1e-9)
        assert told["model_utility"] == pytest.approx(together["utility"], rel=1e-9)
        quality = together.get("forget_quality")  # none where both models are the same
        assert told.get("forget_quality") == (None if quality is None else pytest.approx(quality, rel=1e-9))


@pytest.mark.parametrize("form, stage", [("tofu", "unlearn"), ("alpaca_eval", "instruct")])
def test_what_is_ambiguous_is_refused_with_the_choices(run, systems, tmp_path, form, stage):
    done = cmc("export", form, run, "--target", "other", "--delta", "d", "--to", tmp_path / "x.json", expect=2)
    choices = [line for line in done.stderr.splitlines() if line.startswith("  --")]
    mine = [system for system in systems[stage] if system["target"] == "other" and system["delta"] == "d"]
    assert len(choices) == len(mine) > 4 and not (tmp_path / "x.json").exists()
    for flag in ("--alpha 0.5", "--mode raw_sum", "--unmapped minimum", "--seed 4"):
        assert any(flag in line for line in choices), flag
    for choice in choices:  # each line is one system
        cmc("export", form, run, "--target", "other", "--delta", "d", *choice.split(), "--to", tmp_path / "one.json")


@pytest.mark.parametrize("form, stage", [("tofu", "unlearn"), ("alpaca_eval", "instruct")])
def test_all_are_one_file_each_under_names_that_say_which(run, systems, tmp_path, form, stage):
    cmc("export", form, run, "--all", "--to", tmp_path / "all")
    files = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "all").iterdir()}
    assert len(files) == len(systems[stage])
    cmc("export", form, run, "--target", "other", "--delta", "d", "--alpha", "1.0", "--mode", "raw_sum", "--seed", "4", "--to", tmp_path / "one.json")
    assert files["other-cmc-d-alpha1-raw_sum-pm_mined-zero-seed4"] == json.loads((tmp_path / "one.json").read_text())
    if form == "alpaca_eval":
        assert all(len(rows) == 4 and len({row["instruction"] for row in rows}) == 4 for rows in files.values())
        generators = [{row["generator"] for row in rows} for rows in files.values()]
        assert all(len(names) == 1 for names in generators) and len(set.union(*generators)) == len(files)


def test_a_system_that_is_not_there(run, tmp_path):
    done = cmc("export", "tofu", run, "--target", "other", "--delta", "d", "--alpha", "0.7", "--to", tmp_path / "x.json", expect=66)
    assert "--alpha 0.5" in done.stderr


def test_models_of_several_seeds_are_told_apart_by_their_keys(run, tmp_path):
    done = cmc("export", "hf", run, "--model", "instruct:d", "--to", tmp_path / "delta", expect=2)
    keys = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("  --model ")]
    assert len(keys) == 2
    for key in keys:
        cmc("export", "hf", run, "--model", key, "--to", tmp_path / key)
        assert (tmp_path / key / "model.safetensors").exists()
