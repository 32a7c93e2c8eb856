"""cmc_results: its data frames against the report's tables, figure by figure to the last digit, and against pandas."""

import os
import sys
from pathlib import Path

import numpy
import pandas
import pytest
import scipy.stats
from support_effects import effects
from support_results import make_folder, repeated, report, synthetic

sys.path.insert(0, str(Path(os.environ["CMC_SOURCE"]) / "analysis/python"))
import cmc_results  # noqa: E402

SETS = {"Real Authors": "real_authors", "World Facts": "world_facts", "Retain": "retain", "Forget": "forget"}
RUNS = {
    "synthetic": lambda: synthetic(),
    "synthetic, three seeds": lambda: repeated([1, 2, 5], lambda unit: unit["stage"] == "token_map" or unit["task"].get("method") == "vanilla"),
    "effects": lambda: effects(),
    "effects, three seeds": lambda: effects((3, 4, 8)),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("python") / "run", RUNS[request.param]())
    done = report(folder, env={**os.environ, "PATH": ""})  # no gnuplot: figures are not looked at
    assert done.returncode == 0, done.stderr
    return folder, cmc_results.open(folder)


def table(folder, name):
    return pandas.read_csv(folder / "report/tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


def same(first, second):
    return first == second or (pandas.isna(first) and pandas.isna(second))


def figures(results):
    """{(target, method, delta, alpha, set, metric): {seed: row}}; seed -1: the report's figure where there are several seeds."""
    frame = results.summary()
    frame = frame.astype({name: str for name in ("target", "method", "delta", "set", "metric")})
    found = {}
    for row in frame.to_dict("records"):
        found.setdefault((row["target"], row["method"], row["delta"], row["alpha"], row["set"], row["metric"]), {})[row["seed"]] = row
    return found


def shown_of(by_seed):
    return by_seed[-1] if -1 in by_seed else next(iter(by_seed.values()))


def assert_cell(row, column, by_seed):
    """A table's figure, its error, n and each seed's."""
    figure = shown_of(by_seed) if by_seed else {}
    assert same(row[column], figure.get("value", numpy.nan)), (column, row[column], figure)
    several = len(by_seed) > 1
    error = f"{column} deviation over seeds" if several else f"{column} standard error"
    if error in row:
        wanted = figure.get("seed_deviation" if several else "standard_error", numpy.nan)
        assert same(row[error], wanted), (error, row[error], wanted)
    if f"{column} n" in row:
        assert same(row[f"{column} n"], figure.get("n") or numpy.nan)
    for seed, mine in by_seed.items():
        if seed >= 0 and several:
            assert same(row[f"{column} seed {seed}"], mine["value"])


def system_of(row):
    added = not pandas.isna(row["Delta"])
    return row["Target"], row["Method"], row["Delta"] if added else "", float(row["α"]) if added else 0.0


def metrics_by_title(results):
    return {title: name for name, title in results.metrics()[["name", "title"]].itertuples(index=False)}


def test_summary_is_the_instruct_table(run):
    folder, results = run
    found, titles, seen = figures(results), metrics_by_title(results), 0
    for _, row in table(folder, "instruct").iterrows():
        for title, name in titles.items():
            if title in row and title not in ("Same verdict, %",):
                assert_cell(row, title, found.get((*system_of(row), "plain", name), {}))
                seen += 1
    assert seen >= 40


@pytest.mark.parametrize("name, suffix", [("tofu", ""), ("tofu_arithmetic", "_arithmetic")])
def test_summary_is_the_tofu_table(run, name, suffix):
    folder, results = run
    found, seen = figures(results), 0
    for _, row in table(folder, name).iterrows():
        for title, of in SETS.items():
            for column, metric in {"ROUGE-L": "rouge_l", "Prob.": "probability", "Truth R.": "truth_ratio" + suffix}.items():
                assert_cell(row, f"{title} {column}", found.get((*system_of(row), of, metric), {}))
                seen += 1
        for column, metric in {"Utility": "utility" + suffix, "Forget q.": "forget_quality" + suffix}.items():
            assert_cell(row, column, found.get((*system_of(row), "all sets", metric), {}))
    assert seen >= 72


def test_summary_is_the_similarity_and_training_tables(run):
    folder, results = run
    found = figures(results)
    if (folder / "report/tables/similarity.csv").exists():
        for _, row in table(folder, "similarity").iterrows():
            for title, name in {"Sinkhorn divergence / 100": "sinkhorn", "Pearson r": "pearson"}.items():
                for column, side in {"Same data": "same", "Different": "different", "Difference": "difference", "p": "p"}.items():
                    key = (row["Other"], row["Tuned by"], "", 0.0, f"answers of {row['Reference']}", f"{name}_{side}")
                    assert_cell(row, f"{title} {column}", found[key])
    titles = metrics_by_title(results)
    trainings = {(key[4].removeprefix("training: "), key[2] or key[0]): key[:5] for key in found if key[4].startswith("training: ")}
    rows = table(folder, "training")
    assert len(rows) == len(trainings)
    for _, row in rows.iterrows():
        for title in ("Loss, first tenth", "Loss, last tenth", "Step, s", "Tokens/s"):
            assert_cell(row, title, found[(*trainings[row["For"], row["Trained"]], titles[title])])


def test_summary_follows_from_measurements(run):
    """Means, errors and n of pandas over the long form."""
    _, results = run
    measured = results.measurements()
    keys = ["target", "method", "delta", "mode", "map_method", "unmapped", "top", "gate", "gate_threshold", "alpha", "seed", "set", "metric"]
    grouped = measured.groupby(keys, observed=True).value.agg(["mean", "sem", "count"])
    frame, single = results.summary().set_index(keys), results.metrics().set_index("name")["aggregate"]
    several = (results.summary().seeds > 0).any()
    seen = 0
    for key, row in grouped.iterrows():
        if single[key[-1]].startswith("single"):
            continue
        figure = frame.loc[key]
        assert figure.value == pytest.approx(row["mean"], rel=1e-12, abs=1e-12) and figure.n == row["count"]
        if not (several and key[keys.index("seed")] == -1):  # measured once for all seeds: ± would be taken for a spread over them
            assert figure.standard_error == pytest.approx(row["sem"], rel=1e-9, nan_ok=True)
        seen += 1
    assert seen > 50 and measured.value.notna().all() and (measured.dtypes[["target", "set", "metric"]] == "category").all()


def test_utility_is_scipys_harmonic_mean(run):
    _, results = run
    found = figures(results)
    for (target, method, delta, alpha, of, metric), by_seed in found.items():
        if metric != "utility":
            continue
        for seed, row in by_seed.items():
            parts = [found[target, method, delta, alpha, each, name] for each in ("retain", "real_authors", "world_facts")
                     for name in ("rouge_l", "probability", "truth_ratio")]
            if row["seeds"] == 0:
                wanted = scipy.stats.hmean([part.get(seed, shown_of(part))["value"] for part in parts])
            else:
                wanted = numpy.mean([mine["value"] for other, mine in by_seed.items() if other >= 0])
            assert row["value"] == pytest.approx(wanted, rel=1e-12)


def test_responses_tasks_and_plan(tmp_path):
    description = synthetic()
    folder = make_folder(tmp_path / "run", {**description, "missing": [{"stage": "unlearn", "task": {
        "name": "to do", "target": "gemma", "method": "cmc", "delta": "tiny", "mode": "raw_sum", "strengths": [0.5, 1.0], "set": "forget"}}]})
    results = cmc_results.open(folder / "results.h5")
    responses = results.responses()
    wanted = sum(len(unit["datasets"][0]["values"]) for unit in description["units"] if unit["stage"] in ("instruct", "unlearn"))
    assert len(responses) == wanted and responses.response.str.contains("says α=1.5").any()
    plan = results.plan()
    assert len(plan) == len(description["units"]) + 1 and plan[plan.done == 0].name.tolist() == ["to do"]
    row = plan[plan.done == 0].iloc[0]
    assert (row["mode"], row["strengths"], row["set"]) == ("raw_sum", "0.5, 1.0", "forget") and numpy.isnan(row["alpha"])
    assert len(results.tasks()) == len(description["units"])


def test_shifts(tmp_path):
    results = cmc_results.open(make_folder(tmp_path / "run", effects()))
    shifts = results.shifts()
    assert {key[1:3] for key in shifts} == {("large", "small"), ("other", "large")}
    for dataset in shifts.values():
        assert dataset["same"].dims == ("step", "top") and dataset["same"].attrs["units"] == "nat" and dataset.sizes["top"] == 120


def test_several_files_stand_side_by_side(tmp_path):
    folders = [make_folder(tmp_path / name, synthetic(seed=seed)) for seed, name in enumerate(("first", "second"), 1)]
    both, alone = cmc_results.open(*folders), [cmc_results.open(folder) for folder in folders]
    for name in ("summary", "measurements", "systems", "responses", "tasks"):
        frames = [getattr(each, name)() for each in alone]
        whole = getattr(both, name)()
        assert len(whole) == sum(map(len, frames)) and whole.file.cat.categories.tolist() == ["first", "second"]
    with pytest.raises(FileNotFoundError, match="results.h5"):
        cmc_results.open(tmp_path / "absent")


def test_a_schema_without_tables_is_refused(tmp_path):
    import h5py

    folder = make_folder(tmp_path / "run", {**synthetic(), "units": []})
    with h5py.File(folder / "results.h5", "r+") as file:
        file.attrs["schema_version"] = "1.0"
    with pytest.raises(ValueError, match="only cmc-report reads it"):
        cmc_results.open(folder)
