"""analysis/example.py, which shows how to read a results.h5, against the tables of cmc-report."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy
import pandas
import pytest
from support_results import make_folder, report, synthetic

EXAMPLE = Path(os.environ["CMC_SOURCE"]) / "analysis/example.py"
ROUGE = {"Real Authors ROUGE-L": "rouge_l_real_authors", "World Facts ROUGE-L": "rouge_l_world_facts",
         "Retain ROUGE-L": "rouge_l_retain", "Forget ROUGE-L": "rouge_l_forget"}
LIKELIHOOD = {"Ref. nat/token": "reference_nat_per_token"}


def summary(folder):
    return runpy.run_path(str(EXAMPLE))["summary"](folder / "results.h5")


def compare(folder, frame, name, columns):
    """Every row of a table is a row of the frame with the same figures. Returns the systems."""
    table = pandas.read_csv(folder / "report/tables" / f"{name}.csv", keep_default_na=False, na_values=[""])
    systems = set()
    for _, row in table.iterrows():
        vanilla = row["Method"] == "vanilla"
        system = (row["Target"], row["Method"], "" if vanilla else row["Delta"], 0.0 if vanilla else float(row["α"]))
        for theirs, ours in columns.items():
            assert frame.loc[system, ours] == pytest.approx(row[theirs], rel=1e-12, nan_ok=True), (system, ours)
        systems.add(system)
    return systems


def test_figures_are_the_reports(tmp_path):
    folder = make_folder(tmp_path / "run", synthetic())
    assert report(folder).returncode == 0
    frame = summary(folder)
    tofu, instruct = compare(folder, frame, "tofu", ROUGE), compare(folder, frame, "instruct", LIKELIHOOD)
    assert len(tofu) == 6 and len(instruct) == 8
    assert frame.index.is_unique and set(frame.index) == tofu | instruct
    assert frame.loc[("gemma", "cmc", "tiny", 1.5)].drop("reference_nat_per_token").isna().all(), "TOFU was not run at 1.5"
    assert frame.loc[("gemma", "cmc", "tiny", 0.5)].notna().all()


def test_it_prints_the_frame(tmp_path):
    folder = make_folder(tmp_path / "run", synthetic())
    done = subprocess.run([sys.executable, EXAMPLE, folder / "results.h5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    frame = summary(folder)
    words = done.stdout.split()
    for value in frame.to_numpy().ravel():
        assert (f"{value:.4f}" if numpy.isfinite(value) else "–") in words
    assert len(done.stdout.splitlines()) == len(frame) + 2
    assert subprocess.run([sys.executable, EXAMPLE], capture_output=True).returncode == 1


def test_what_was_not_measured_and_checked_prompts_do_not_count(tmp_path):
    description = synthetic()
    kept = [unit for unit in description["units"] if unit["task"].get("target") == "gemma"]
    checked, plain, *_ = [unit for unit in kept if unit["stage"] == "instruct"]
    checked["task"]["prompts"] = "checked"
    next(d for d in plain["datasets"] if d["name"] == "reference_tokens")["values"][0] = 0
    kept[-1]["task"]["mode"] = "both_normalized"
    description["units"] = [unit for unit in kept if unit["task"].get("set") != "retain"]
    folder = make_folder(tmp_path / "run", description)
    assert report(folder).returncode == 0
    frame = summary(folder)
    assert ("gemma", "cmc (both_normalized)", "tiny", 0.5) in frame.index
    assert frame.rouge_l_retain.isna().all()
    tofu = pandas.read_csv(folder / "report/tables/tofu.csv")
    gemma = tofu[(tofu["Target"] == "gemma") & (tofu["Method"] == "vanilla")].iloc[0]
    assert frame.loc[("gemma", "vanilla", "", 0.0), "rouge_l_forget"] == pytest.approx(gemma["Forget ROUGE-L"], rel=1e-12)
    values = [d for d in plain["datasets"] if d["name"] in ("reference_logprob", "reference_tokens")]
    log_prob, tokens = (numpy.array(next(d for d in values if d["name"] == f"reference_{part}")["values"]) for part in ("logprob", "tokens"))
    expected = numpy.mean(log_prob[1:] / tokens[1:])
    assert frame.loc[("gemma", "vanilla", "", 0.0), "reference_nat_per_token"] == pytest.approx(expected, rel=1e-12)


def test_a_file_without_evaluations(tmp_path):
    assert len(summary(make_folder(tmp_path / "run", {**synthetic(), "units": []}))) == 0
