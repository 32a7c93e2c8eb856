"""Several seeds in one experiment: means and sample deviations over seeds, against numpy, in tables, figures and comparisons."""

import hashlib
import json
import re

import numpy
import pandas
import pytest
import scipy.stats
from support_results import make_folder, repeated, report, rows_of, synthetic

SEEDS = [1, 2, 5]


def is_fixed(unit):
    return unit["stage"] == "token_map" or unit["task"].get("method") == "vanilla"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    description = repeated(SEEDS, is_fixed)
    folder = make_folder(tmp_path_factory.mktemp("seeds") / "run", description)
    done = report(folder)
    assert done.returncode == 0, done.stderr
    return folder, description, done


def csv(folder, table):
    return pandas.read_csv(folder / "report/tables" / f"{table}.csv", keep_default_na=False, na_values=[""])


def items_of(description, stage, row, seed, more=lambda unit: True):
    system = (row["Target"], row["Method"], 0.0 if row["Method"] == "vanilla" else float(row["α"]))
    wanted = lambda unit: unit["task"].get("seed") in (None, seed) and more(unit)
    items = rows_of(description, stage, system, wanted)
    return [items[i] for i in sorted(items)]


def assert_over_seeds(row, column, figures, n):
    assert row[column] == pytest.approx(numpy.mean(figures), rel=1e-12)
    assert row[f"{column} deviation over seeds"] == pytest.approx(numpy.std(figures, ddof=1), rel=1e-9)
    assert row[f"{column} n"] == n
    for seed, figure in zip(SEEDS, figures):
        assert row[f"{column} seed {seed}"] == pytest.approx(figure, rel=1e-12)


def per_token(item):
    return item["reference_logprob"] / item["reference_tokens"]


def test_instruct_table_equals_numpy(run):
    folder, description, _ = run
    table = csv(folder, "instruct")
    assert len(table) == 8 and not any("standard error" in column for column in table.columns)
    for _, row in table.iterrows():
        seeds = [items_of(description, "instruct", row, seed) for seed in SEEDS]
        if row["Method"] == "vanilla":  # measured once: no spread over seeds
            assert row["n"] == row["Ref. nat/token n"] == 24
            assert row["Ref. nat/token"] == pytest.approx(numpy.mean([per_token(item) for item in seeds[0]]))
            assert numpy.isnan(row["Ref. nat/token deviation over seeds"]) and numpy.isnan(row["Ref. nat/token seed 1"])
            continue
        assert row["n"] == 72
        assert_over_seeds(row, "Ref. nat/token", [numpy.mean([per_token(i) for i in items]) for items in seeds], 72)
        assert_over_seeds(row, "Stopped, %", [100 * numpy.mean([i["stopped"] for i in items]) for items in seeds], 72)
        alone = [per_token(item) for item in items_of(description, "instruct", {**row, "Method": "vanilla"}, 1)]
        wins = [100 * numpy.mean([per_token(a) > b for a, b in zip(items, alone)]) for items in seeds]
        assert_over_seeds(row, "Wins, %", wins, 72)


def test_tofu_table_equals_numpy(run):
    folder, description, _ = run
    table = csv(folder, "tofu")
    for _, row in table[table["Method"] == "cmc"].iterrows():
        for title, name in (("Forget", "forget"), ("Retain", "retain")):
            sets = [items_of(description, "unlearn", row, seed, lambda u: u["task"]["set"] == name) for seed in SEEDS]
            figures = [numpy.mean([item["rouge_l_recall"] for item in items]) for items in sets]
            assert_over_seeds(row, f"{title} ROUGE-L", figures, 3 * len(sets[0]))
            probability = [numpy.mean([numpy.exp(i["answer_logprob"] / i["answer_tokens"]) for i in items]) for items in sets]
            assert_over_seeds(row, f"{title} Prob.", probability, 3 * len(sets[0]))
        assert row["n"] == "60/60/72/120"
        utilities = [row[f"Utility seed {seed}"] for seed in SEEDS]
        assert row["Utility"] == pytest.approx(numpy.mean(utilities)) and len(set(utilities)) == 3
    assert set(table[table["Method"] == "vanilla"]["n"]) == {"20/20/24/40"}


def test_utility_of_each_seed_is_that_of_its_own_run(run, tmp_path):
    folder, _, _ = run
    alone = make_folder(tmp_path / "run", synthetic(seed=5))
    assert report(alone).returncode == 0
    column = lambda table, name: table[table["Method"] == "cmc"][name].tolist()
    assert column(csv(folder, "tofu"), "Utility seed 5") == column(csv(alone, "tofu"), "Utility")


def test_training_and_its_curve(run):
    folder, description, _ = run
    losses = numpy.array(
        [
            next(d["values"] for d in unit["datasets"] if d["name"] == "loss")
            for seed in SEEDS
            for unit in description["units"]
            if unit["task"].get("kind") == "instruct" and unit["task"]["seed"] == seed
        ]
    )
    row = csv(folder, "training").set_index("For").loc["instruct"]
    last = losses[:, -12:].mean(axis=1)
    assert row["Loss, last tenth"] == pytest.approx(last.mean()) and row["Loss, last tenth seed 2"] == pytest.approx(last[1])
    assert row["Loss, last tenth deviation over seeds"] == pytest.approx(last.std(ddof=1))
    script = (folder / "report/figures/training_instruct.gp").read_text()
    points = numpy.array([line.split() for line in script.split("$data0 << END\n")[1].split("END")[0].strip().splitlines()], float)
    assert points[:, 1] == pytest.approx(losses.mean(axis=0), rel=1e-8)
    assert points[:, 2] == pytest.approx(losses.std(axis=0, ddof=1), rel=1e-8)
    assert "filledcurves" in script
    assert (folder / "report/figures/training_instruct.pdf").read_bytes().startswith(b"%PDF")


def test_strength_figure(run):
    folder, _, _ = run
    script = (folder / "report/figures/instruct_strength_1.gp").read_text()
    points = numpy.array([line.split() for line in script.split("$data0 << END\n")[1].split("END")[0].strip().splitlines()], float)
    gemma = csv(folder, "instruct").set_index("Target").loc["gemma"]
    assert points[:, 0].tolist() == [0, 0.5, 1, 1.5]
    assert points[:, 1] == pytest.approx(gemma["Ref. nat/token"].to_numpy(), rel=1e-8)
    assert points[:, 2] == pytest.approx(gemma["Ref. nat/token deviation over seeds"].fillna(0).to_numpy(), rel=1e-8)


def test_what_the_errors_are_is_said_everywhere(run):
    folder, _, done = run
    page = (folder / "report/index.html").read_text()
    for text in (page, re.sub(r"\s+", " ", done.stdout), (folder / "report/tables/instruct.md").read_text(), (folder / "report/tables/tofu.tex").read_text()):
        assert "mean over seeds 1, 2, 5" in text and "standard deviation" in text
        assert "standard error" not in text
    assert "Bars: sample standard deviation over seeds 1, 2, 5" in page and "seed 5: " in page
    row = csv(folder, "table1").iloc[1]
    assert f"{row['Ref. nat/token']:.3f} ± {row['Ref. nat/token deviation over seeds']:.3f}" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 120


def test_one_seed_is_reported_as_none(tmp_path):
    one, none = repeated([1], lambda unit: False), synthetic(seed=1)
    folders = [make_folder(tmp_path / name, description) for name, description in (("one", one), ("none", none))]
    assert [report(folder).returncode for folder in folders] == [0, 0]
    tables = sorted(path.name for path in (folders[0] / "report/tables").iterdir())
    assert len(tables) > 12
    for name in tables:
        assert (folders[0] / "report/tables" / name).read_text() == (folders[1] / "report/tables" / name).read_text()


def test_a_seed_that_is_not_finished_is_blank(tmp_path):
    description = repeated(SEEDS, is_fixed)
    gone = lambda task: task.get("seed") == 5 and task.get("target") == "gemma"
    late = lambda task: task.get("seed") in (2, 5) and task.get("kind") == "unlearn"
    description["units"] = [unit for unit in description["units"] if not gone(unit["task"]) and not late(unit["task"])]
    folder = make_folder(tmp_path / "run", description)
    assert report(folder).returncode == 0
    row = csv(folder, "instruct").set_index(["Target", "Method"]).loc[("gemma", "cmc")].iloc[0]
    figures = [row["Ref. nat/token seed 1"], row["Ref. nat/token seed 2"]]
    assert numpy.isnan(row["Ref. nat/token seed 5"]) and row["Ref. nat/token n"] == row["n"] == 48
    assert row["Ref. nat/token"] == pytest.approx(numpy.mean(figures))
    assert row["Ref. nat/token deviation over seeds"] == pytest.approx(numpy.std(figures, ddof=1))
    training = csv(folder, "training").set_index("For")
    assert training.index.tolist() == ["instruct", "unlearn"]
    assert numpy.isnan(training.loc["unlearn", "Loss, last tenth deviation over seeds"])


def key_of(unit):
    return hashlib.sha256((unit["stage"] + json.dumps(unit["task"], sort_keys=True, separators=(",", ":"))).encode()).hexdigest()


def test_a_unit_belongs_to_the_seed_of_what_it_was_made_from(run, tmp_path):
    """A target that is fine-tuned before unlearning differs from seed to seed, though its evaluation names no seed."""
    description = repeated(SEEDS, lambda unit: unit["stage"] == "token_map")
    trained = {seed: {"stage": "prepare", "task": {"name": "prepare", "training": {"seed": seed}}} for seed in SEEDS}
    passed_on = {seed: {"stage": "prepare", "task": {"name": "merge", "inputs": [key_of(unit)]}} for seed, unit in trained.items()}
    plain = make_folder(tmp_path / "plain", description)
    for unit in description["units"]:
        if unit["task"].get("method") == "vanilla":
            unit["task"]["inputs"] = ["0" * 64, key_of(passed_on[unit["task"].pop("seed")])]
    description["units"] += [*trained.values(), *passed_on.values()]
    inherited = make_folder(tmp_path / "inherited", description)
    assert [report(folder).returncode for folder in (plain, inherited)] == [0, 0]
    for name in ("instruct", "tofu"):
        table = csv(inherited, name)
        assert table.equals(csv(plain, name)) and (table["n"] != "20/20/24/40").all()


def test_compare_pairs_seed_with_seed(run, tmp_path):
    folder, description, _ = run
    other = repeated(SEEDS, is_fixed)
    random = numpy.random.default_rng(4)
    for unit in other["units"]:
        for dataset in unit["datasets"]:
            if dataset["name"] == "rouge_l_recall":
                dataset["values"] = [value + 0.05 + 0.02 * random.random() for value in dataset["values"]]
    changed = make_folder(tmp_path / "other", other)
    done = report("compare", folder, changed, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    table = pandas.read_csv(tmp_path / "out/compare.csv", keep_default_na=False, na_values=[""])
    row = table[(table["Target"] == "gemma") & (table["Method"] == "cmc") & (table["Metric"] == "Forget ROUGE-L")].iloc[0]
    forget = lambda unit: unit["task"]["set"] == "forget"
    before = numpy.array([[i["rouge_l_recall"] for i in items_of(description, "unlearn", row, seed, forget)] for seed in SEEDS])
    after = numpy.array([[i["rouge_l_recall"] for i in items_of(other, "unlearn", row, seed, forget)] for seed in SEEDS])
    assert row["n"] == before.size == 120
    assert row["A"] == pytest.approx(before.mean(axis=1).mean()) and row["A deviation over seeds"] == pytest.approx(before.mean(axis=1).std(ddof=1))
    assert row["B − A"] == pytest.approx((after - before).mean())
    low, high = map(float, row["95 % interval"].split(" … "))
    difference = (after - before).ravel()
    interval = scipy.stats.bootstrap((difference,), numpy.mean, n_resamples=10000, method="percentile", rng=1).confidence_interval
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.001)


def test_two_runs_of_one_seed_each_are_compared_whatever_the_seed(tmp_path):
    folders = [make_folder(tmp_path / str(seed), repeated([seed], lambda unit: False)) for seed in (1, 2)]
    assert report("compare", *folders, "--output", tmp_path / "out").returncode == 0
    assert (pandas.read_csv(tmp_path / "out/compare.csv")["n"] > 0).all()
