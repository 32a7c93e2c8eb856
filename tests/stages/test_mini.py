"""The embedded experiment, cut down to seconds: every stage and method over two generated worlds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import support_pipeline as support
from support_length_controlled import truth as length_controlled
from support_pipeline import cmc, mpi, tiny

sys.path.insert(0, str(Path(os.environ["CMC_SOURCE"]) / "analysis/python"))
import cmc_results  # noqa: E402

MINI = Path(tiny.SOURCE) / "jobs" / "experiments" / "mini.ini"
SMALL = {"experiment.seed": "1,2", "world.documents": 400, "pretrain.steps": 6, "prepare.epochs": 1, "train_instruct.items": 32,
         "train_instruct.held_out_items": 8, "train_instruct.evaluation_steps": 1, "train_instruct.epochs": 1, "train_unlearn.epochs": 2, "adapt_instruct.epochs": 1, "adapt_unlearn.epochs": 1,
         "similarity.items": 2, "similarity.new_tokens": 6, "similarity.other_items": 16, "instruct.items": 6,
         "instruct.new_tokens": 8, "instruct.unit_items": 6, "ifeval.items": 6, "ifeval.new_tokens": 16, "judge.model": "large", "unlearn.items": 4, "unlearn.new_tokens": 6,
         "robustness.items": 2, "robustness.relearn_epochs": 1, "byte_exact.items": 2}


def run_mini(output, settings, ranks=None):
    arguments = support.options(settings)
    cmc("run", MINI, "--output", output, *arguments, ranks=ranks)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(output folder, units as (task, values))."""
    output = tmp_path_factory.mktemp("mini") / "mini"
    run_mini(output, SMALL, ranks=2)
    plan = {task["key"]: task for task in json.loads((output / "plan.json").read_text())["tasks"]}
    return output, [(plan[key], values) for key, values in support.units(output).items()]


def test_every_stage_and_method_ran_for_both_seeds(run):
    output, units = run
    assert len(units) == len(json.loads((output / "plan.json").read_text())["tasks"])
    for seed in (1, 2):
        mine = [task for task, _ in units if task["parameters"]["seed"] == seed]
        assert {task["stage"] for task in mine} == {"pretrain", "token_map", "prepare", "train", "adapt", "similarity", "instruct", "ifeval", "judge",
                                                    "unlearn", "relearn", "robustness", "byte_exact"}
        methods = {(task["stage"], task["parameters"]["method"]) for task in mine if task["stage"] in ("instruct", "unlearn")}
        assert methods == {("instruct", m) for m in ("vanilla", "cmc", "lora", "full", "proxy_tuning", "composed", "contrast")} | {
            ("unlearn", m) for m in ("vanilla", "cmc", "lora", "full", "delta_unlearning", "uld", "composed", "retain_only")}


def test_seeds_are_repetitions_of_their_own(run):
    _, units = run
    losses = [tuple(values["loss"]) for task, values in units if task["stage"] == "pretrain" and task["parameters"]["target"] == "small"]
    assert len(losses) == 2 and losses[0] != losses[1]
    for values in losses:
        assert np.isfinite(values).all() and values[-1] < values[0]


def test_responses_are_checked(run):
    _, units = run
    for task, values in units:
        if task["stage"] != "instruct":
            continue
        assert set(np.unique(values["followed"])) <= {0, 1} and set(np.unique(values["fact"])) <= {0, 1}
        assert len(values["response"]) == 6 * len(task["parameters"]["strengths"])


def test_a_model_made_here_judges(run):
    """Its own seed's, and never surely: two verdicts of a model that hardly learnt to speak."""
    _, units = run
    judges = {}
    for task, values in units:
        if task["stage"] != "judge":
            continue
        assert ((values["probability"] > 0) & (values["probability"] < 1)).all()
        judges.setdefault(task["parameters"]["seed"], set()).add(task["parameters"]["judge"]["task"])
    assert judges.keys() == {1, 2} and all(len(made) == 1 for made in judges.values()) and judges[1] != judges[2]


def test_shifts(run):
    """What the unit says of its shifts follows from the shifts it holds, by geomloss and numpy."""
    import torch
    from geomloss import SamplesLoss
    loss = SamplesLoss("sinkhorn", p=2, blur=0.01, backend="tensorized")
    _, units = run
    seen = 0
    for task, values in units:
        if task["stage"] != "similarity":
            continue
        width = values["shift_reference"].shape[1]
        for prompt, item in enumerate(values["item"]):
            rows = values["step_item"] == item
            x = values["shift_reference"][rows].astype(float)
            for kind in ("same", "different"):
                y = values[f"shift_{kind}"][rows].astype(float)
                wanted = loss(torch.tensor(x), torch.tensor(y)).item() / width
                assert values[f"sinkhorn_{kind}"][prompt] == pytest.approx(wanted, rel=1e-4, abs=1e-9)
                assert values[f"mean_square_{kind}"][prompt] == pytest.approx(np.mean((x - y) ** 2), rel=1e-5)
                assert values[f"pearson_{kind}"][prompt] == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1], abs=1e-5)
            seen += 1
    assert seen


@pytest.fixture(scope="module", params=["two seeds", "one seed"])
def report(request, run):
    """(folder, its tables by name, its values): as cmc-report and cmc_results give them. One seed: the units of the two."""
    folder, _ = run
    if request.param == "one seed":
        folder = folder.with_name("one_seed")
        for part in ("units", "checkpoints"):
            shutil.copytree(run[0] / part, folder / part)
        run_mini(folder, {**SMALL, "experiment.seed": 1})
    done = subprocess.run([mpi.program("cmc-report"), str(folder)], capture_output=True, text=True, env={**os.environ, "PATH": ""})
    assert done.returncode == 0, done.stderr
    tables = {file.stem: pd.read_csv(file, keep_default_na=False, na_values=[""]) for file in (folder / "report/tables").glob("*.csv")}
    return folder, tables, cmc_results.open(folder)


def fusion(row):
    """What of a system's fusion is not the paper's, as tables write it."""
    words = [] if row["mode"] in ("", "base_normalized") else [row["mode"]]
    if row["map_method"] not in ("", "pm_mined"):
        words.append(row["map_method"] + (f" of the top {row['top']}" if row["top"] else ""))
    if row["unmapped"] not in ("", "zero"):
        words.append("unmapped: " + row["unmapped"])
    if row["gate"]:
        words.append(f"where {row['gate']} {row['gate_threshold']:g}" if row["gate_threshold"] else "by " + row["gate"])
    return ", ".join(words)


def by_hand(results):
    """{(target, method as tables write it, delta, alpha, set, metric): {seed: values by item}}, from measurements() alone."""
    frame = results.measurements()
    keys = ["target", "method", "delta", "mode", "map_method", "unmapped", "top", "gate", "gate_threshold", "alpha", "seed", "set", "metric"]
    found = {}
    for key, group in frame.groupby(keys, observed=True):
        row = dict(zip(keys, key))
        variant = fusion(row)
        method = row["method"] + (f" ({variant})" if variant else "")
        values = found.setdefault((row["target"], method, row["delta"], row["alpha"], row["set"], row["metric"]), {})
        assert row["seed"] not in values
        values[row["seed"]] = group.set_index("item").value
    return found


def assert_figure(row, column, by_seed):
    """A cell and what stands beside it. `by_seed`: {seed: (value, standard error, n)}, NaN where there is none."""
    values = [value for value, _, _ in by_seed.values()]
    if len(by_seed) > 1:
        wanted = {"": np.mean(values), " deviation over seeds": np.std(values, ddof=1)}
        wanted |= {f" seed {seed}": value for seed, (value, _, _) in by_seed.items()}
    else:
        wanted = {"": values[0] if values else np.nan, " standard error": next(iter(by_seed.values()))[1] if values else np.nan}
    if column + " n" in row:
        wanted[" n"] = sum(n for _, _, n in by_seed.values()) or np.nan
    for suffix, value in wanted.items():
        if np.isnan(value):
            assert pd.isna(row.get(column + suffix, np.nan)), (column + suffix, row[column + suffix])
        else:
            assert row[column + suffix] == pytest.approx(value, rel=1e-9, abs=1e-12), column + suffix
    return 1


def means(by_seed):
    return {seed: (values.mean(), values.sem(), len(values)) for seed, values in by_seed.items()}


def system_of(row):
    added = not pd.isna(row["Delta"])
    return row["Target"], row["Method"], row["Delta"] if added else "", float(row["α"]) if added else 0.0


INSTRUCT = {"Followed, %": "followed", "Right fact, %": "fact", "Strict, %": "strict", "Ref. nat/token": "reference_per_token",
            "Wins, %": "wins", "Stopped, %": "stopped", "Repetition, %": "repetition", "Length, tokens": "length"}
TOFU = {"Real Authors": "real_authors", "World Facts": "world_facts", "Retain": "retain", "Forget": "forget"}


def test_the_tables_of_instructions_are_means_of_measurements(report):
    _, tables, results = report
    found = by_hand(results)
    for name, of in (("instruct", "plain"), ("instruct_checked", "checked")):
        seen = 0
        for _, row in tables.get(name, pd.DataFrame()).iterrows():
            for title, metric in INSTRUCT.items():
                if title in row:
                    seen += assert_figure(row, title, means(found.get((*system_of(row), of, metric), {})))
        assert seen > 100 or name not in tables
    assert "instruct" in tables


def assert_length_controlled(row, found, of):
    system, column = system_of(row), "LC win rate, %"
    alone = of.endswith("against vanilla")
    theirs = found[(system[0], "vanilla", "", 0.0, "plain", "response_characters")] if alone else found[(*system, "plain", "reference_characters")]
    preferences, ours = found[(*system, of, "win_probability")], found[(*system, "plain", "response_characters")]
    rates = {}
    for seed, values in preferences.items():
        other = theirs.get(seed, next(iter(theirs.values())))
        rates[seed], _ = length_controlled("minimal", 1 + values.sort_index() / 100, (other - ours[seed]).sort_index())
        shown = row[column] if len(preferences) == 1 else row[f"{column} seed {seed}"]
        assert shown == pytest.approx(rates[seed], abs=0.05)
    assert row[column] == pytest.approx(np.mean(list(rates.values())), abs=0.05)


def test_win_rates_are_means_of_measurements(report):
    _, tables, results = report
    found = by_hand(results)
    of = next(key[4] for key in found if key[4].startswith("judged by large"))
    for _, row in tables["win_rates"].iterrows():
        for title, metric in {"Win rate, %": "win_rate", "Probability, %": "win_probability", "Same verdict, %": "same_verdict"}.items():
            assert_figure(row, title, means(found[(*system_of(row), of, metric)]))
        assert_length_controlled(row, found, of)
    frame = results.measurements()
    for title, metric in {"First preferred, %": "first_preferred", "Same verdict, %": "same_verdict", "Any verdict, %": "any_verdict"}.items():
        rows = frame[(frame.set == of) & (frame.metric == metric)]  # of each prompt first over systems
        by_seed = {seed: mine.groupby("item").value.mean() for seed, mine in rows.groupby("seed")}
        assert_figure(tables["judge"].iloc[0], title, means(by_seed))


@pytest.mark.parametrize("table, suffix", [("tofu", ""), ("tofu_arithmetic", "_arithmetic")])
def test_the_tables_of_tofu_follow_from_measurements(report, table, suffix):
    """Means by pandas, the utility by scipy's harmonic mean, forget quality by scipy's Kolmogorov-Smirnov test."""
    _, tables, results = report
    found = by_hand(results)
    metrics = {"ROUGE-L": "rouge_l", "Prob.": "probability", "Truth R.": "truth_ratio" + suffix}
    tested = 0
    for _, row in tables[table].iterrows():
        system = system_of(row)
        for title, of in TOFU.items():
            for column, metric in metrics.items():
                assert_figure(row, f"{title} {column}", means(found.get((*system, of, metric), {})))
        parts = [(*system, of, metric) for of in list(TOFU.values())[:3] for metric in metrics.values()]
        measured = all(part in found for part in parts)  # of the model that never saw what is forgotten, that set alone
        utility = {seed: scipy.stats.hmean([found[part][seed].mean() for part in parts]) for seed in found[parts[0]]} if measured else {}
        items = {seed: sum(len(found[part][seed]) for part in parts[::3]) for seed in utility}
        # Its standard error is by bootstrap: near what a second one gives, not equal.
        plain = row.drop([column for column in ["Utility standard error"] if column in row])
        assert_figure(plain, "Utility", {seed: (value, np.nan, items[seed]) for seed, value in utility.items()})
        ratio = "truth_ratio" + suffix + "_r"
        reference = found.get((system[0], "retain_only", "", 0.0, "forget", ratio), {})
        quality = {seed: (scipy.stats.ks_2samp(values, reference[seed]).pvalue, np.nan, len(values))
                   for seed, values in found[(*system, "forget", ratio)].items() if not values.equals(reference[seed])}
        assert_figure(row, "Forget q.", quality if row["Method"] != "retain_only" else {})
        tested += bool(quality)
    assert tested > 20


def test_the_tables_of_shifts_maps_and_trainings_follow_from_measurements(report):
    _, tables, results = report
    found = by_hand(results)
    shown = {"similarity": {"Sinkhorn divergence / 100": "sinkhorn", "Pearson r": "pearson"},
             "similarity_steps": {"Sinkhorn, mean of steps": "sinkhorn_per_step", "Mean square, nat²": "mean_square"}}
    for name, titles in shown.items():
        for _, row in tables[name].iterrows():
            for title, metric in titles.items():
                for column, side in {"Same data": "same", "Different": "different", "Difference": "difference"}.items():
                    key = (row["Other"], row["Tuned by"], "", 0.0, f"answers of {row['Reference']}", f"{metric}_{side}")
                    assert_figure(row, f"{title} {column}", means(found[key]))
    frame = results.measurements()
    single = frame[frame.set.isin(["token map"]) | frame.set.str.startswith("training: ")]
    assert (single.item == 0).all() and len(single) > 100
    for _, row in tables["token_map"].iterrows():
        for title, metric in {"Exact": "map_exact", "Inexact": "map_inexact", "Unmapped": "map_unmapped", "Mapped, %": "map_share"}.items():
            mine = single[(single.target == row["Target vocabulary"]) & (single.map_method == row["Method"]) & (single.metric == metric)]
            assert_figure(row, title, {seed: (value, np.nan, 0) for seed, value in zip(mine.seed, mine.value)})
    for _, row in tables["training"].iterrows():
        for title, metric in {"Loss, first tenth": "loss_first_tenth", "Loss, last tenth": "loss_last_tenth", "Step, s": "step_seconds"}.items():
            trained = np.where(single.delta == "", single.target.astype(str), single.delta.astype(str))
            trained = np.where((single.delta != "") & (single.target != ""), single.target.astype(str) + " + " + single.delta.astype(str), trained)
            mine = single[(single.set == "training: " + row["For"]) & (single.metric == metric) & (trained == row["Trained"])]
            assert_figure(row, title, {seed: (value, np.nan, 0) for seed, value in zip(mine.seed, mine.value)})


def test_the_summary_holds_every_figure_of_the_main_tables(report):
    _, tables, results = report
    summary = results.summary()
    top = summary[(summary.seed == -1) | (summary.seeds == 0)]
    values = set(top.value)
    for name in ("instruct", "ifeval", "tofu", "tofu_arithmetic", "win_rates", "judge", "similarity", "similarity_steps", "token_map", "training"):
        table = tables[name]
        plain = [c for c in table.select_dtypes("number") if c not in ("n", "α") and not c.endswith((" n", " error", " paper", " seeds"))
                 and " seed " not in c]
        for column in plain:
            assert set(table[column].dropna()) <= values, (name, column)


def test_the_table_of_tasks_is_the_plan(run):
    """Every stage: what /tasks and the attributes of units say is what the plan's parameters say."""
    import h5py

    output, _ = run
    plan = {task["key"]: task for task in json.loads((output / "plan.json").read_text())["tasks"]}
    table = cmc_results.open(output).tasks().set_index("key")
    assert set(table.index) == plan.keys()
    roles = {"delta": "cmc", "expert": "proxy_tuning", "offset": "delta_unlearning", "assistant": "uld"}
    with h5py.File(output / "results.h5") as file:
        for key, task in plan.items():
            row, p, stage = table.loc[key], task["parameters"], task["stage"]
            assert row["name"] == task["name"] and row["stage"] == stage
            wanted = {"target": p.get("target", ""), "delta": p.get("delta", ""), "mode": p.get("mode", ""), "unmapped": p.get("unmapped", ""),
                      "map_method": p.get("map_method", ""), "method": p.get("method", ""), "top": p.get("top", 0), "seed": p["seed"], "set": "", "gate": p.get("gate", ""), "gate_threshold": p.get("gate_threshold", 0)}
            if stage in ("instruct", "ifeval", "unlearn", "judge", "robustness", "relearn", "byte_exact"):
                strengths = p["strengths"]
                assert row["alpha"] == strengths[0] if len(strengths) == 1 else np.isnan(row["alpha"])
                assert [float(s) for s in row["strengths"].split(", ")] == strengths
                test = p.get("stress", "") + (f" {p['relearn_epochs']}" if "relearn_epochs" in p else "")
                wanted["set"] = {"instruct": p.get("prompts"), "ifeval": "ifeval", "unlearn": p.get("set"), "relearn": "", "byte_exact": "byte-exact reference", "robustness": f"{p.get('set')}, {test}",
                                 "judge": f"judged by large against {p.get('baseline')}"}[stage]
            elif stage == "token_map":
                wanted |= {"target": p["base"]["name"], "delta": p["delta"]["name"], "map_method": p["method"], "method": ""}
            elif stage == "similarity":
                wanted |= {"target": p["other"]["name"], "set": f"answers of {p['reference']['name']}", "top": 0}
            elif stage == "prepare":
                wanted |= {"method": {"retain": "retain_only"}.get(p["part"], "vanilla")}
            elif stage == "adapt":
                wanted |= {"purpose": p["purpose"]}
            elif stage == "train":
                trained = task["name"].split()[2]  # the parameters name its start
                wanted |= {"delta": trained, "method": roles[p["role"]], "purpose": p["kind"]}
            else:
                assert stage == "pretrain"
            attributes = file[row["group"]].attrs
            for field, value in wanted.items():
                assert row[field] == value and attributes[field] == value, (stage, field, row[field], attributes[field], value)
