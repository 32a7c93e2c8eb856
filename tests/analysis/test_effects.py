"""Every method, the similarity of shifts and the cost of adapting, against numpy."""

import re

import numpy
import pandas
import pytest
import scipy.stats
from support_effects import INSTRUCT, PAIRS, TARGETS, effects
from support_results import make_folder, report, rows_of

SEEDS = (3, 4, 8)
FIRST = (None,)


@pytest.fixture(scope="module", params=["once", "seeds"])
def run(request, tmp_path_factory):
    description = effects(SEEDS if request.param == "seeds" else FIRST)
    folder = make_folder(tmp_path_factory.mktemp(request.param) / "run", description)
    done = report(folder)
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr
    return folder, description, SEEDS if request.param == "seeds" else FIRST


def csv(folder, table):
    return pandas.read_csv(folder / "report/tables" / f"{table}.csv", keep_default_na=False, na_values=[""])


def values_of(unit):
    return {d["name"]: numpy.array(d["values"]).reshape(d["shape"]) for d in unit["datasets"]}


def assert_mean(row, column, samples):
    """`samples`: the values of each seed."""
    means = [numpy.mean(sample) for sample in samples]
    assert row[column] == pytest.approx(numpy.mean(means), rel=1e-12, abs=1e-12)
    assert row[f"{column} n"] == sum(len(sample) for sample in samples)
    if len(samples) == 1:
        assert row[f"{column} standard error"] == pytest.approx(scipy.stats.sem(samples[0]), rel=1e-9, abs=1e-12)
    else:
        assert row[f"{column} deviation over seeds"] == pytest.approx(numpy.std(means, ddof=1), rel=1e-9, abs=1e-12)


def test_instructions_by_form_fact_and_strictness(run):
    folder, description, seeds = run
    table = csv(folder, "instruct")
    systems = [(method, alpha) for method in ("vanilla", "lora", "full", "proxy_tuning", "cmc") for alpha in INSTRUCT[method]]
    assert list(table["Target"]) == [target for target in sorted(TARGETS) for _ in systems]
    assert list(table["Method"]) == [method for method, _ in systems] * 3
    for _, row in table.iterrows():
        system = (row["Target"], row["Method"], 0.0 if numpy.isnan(row["α"]) else row["α"])
        answers = [rows_of(description, "instruct", system, lambda u: u["task"].get("seed") == seed).values() for seed in seeds]
        assert_mean(row, "Followed, %", [[100 * a["followed"] for a in one] for one in answers])
        assert_mean(row, "Right fact, %", [[100 * a["fact"] for a in one] for one in answers])
        strict = [[100 * (a["followed"] and a["fact"] and a["stopped"]) for a in one] for one in answers]
        assert_mean(row, "Strict, %", strict)
    script = (folder / "report/figures/instruct_strict_strength_1.gp").read_text()
    assert 'title "tiny"' in script and "proxy_tuning" not in script, "one strength is no curve"
    steered = script.split("$data0 << END\n")[1].split("END")[0].strip().splitlines()
    large = table[table["Target"] == "large"].set_index("Method")
    expected = [large.loc["vanilla", "Strict, %"], *large.loc["cmc", "Strict, %"]]
    assert [float(line.split()[1]) for line in steered] == pytest.approx(expected, rel=1e-6)


def test_columns_that_nobody_measured_are_left_out(tmp_path):
    description = effects()
    for unit in description["units"]:
        unit["datasets"] = [d for d in unit["datasets"] if d["name"] != "fact"]
    folder = make_folder(tmp_path / "run", description)
    assert report(folder).returncode == 0
    columns = csv(folder, "instruct").columns
    assert "Followed, %" in columns and "Right fact, %" not in columns and "Strict, %" not in columns


def distances(description, pair, seed, name):
    units = [u for u in description["units"] if u["stage"] == "similarity" and u["task"].get("seed") == seed]
    units = [values_of(u) for u in units if (u["task"]["reference"]["name"], u["task"]["other"]["name"]) == pair]
    return numpy.concatenate([u[name] for u in sorted(units, key=lambda u: u["item"][0])])


def test_similarity_tables(run):
    folder, description, seeds = run
    groups = {
        "similarity": {"Sinkhorn divergence / 100": "sinkhorn", "Pearson r": "pearson"},
        "similarity_steps": {"Sinkhorn, mean of steps": "sinkhorn_per_step", "Mean square, nat²": "mean_square"},
    }
    for name, measures in groups.items():
        table = csv(folder, name).set_index(["Reference", "Other"])
        assert set(table.index) == set(PAIRS)
        for pair, row in table.iterrows():
            assert row["n"] == 12 * len(seeds) and row["Tuned by"] == "full"
            for title, dataset in measures.items():
                same, different = ([distances(description, pair, seed, f"{dataset}_{side}") for seed in seeds] for side in ("same", "different"))
                assert_mean(row, f"{title} Same data", same)
                assert_mean(row, f"{title} Different", different)
                change = [d - s for s, d in zip(same, different)]
                assert_mean(row, f"{title} Difference", change)
                assert row[f"{title} p"] == pytest.approx(max(bootstrap_p(one) for one in change), abs=0.02)


def bootstrap_p(differences):
    random = numpy.random.default_rng(0)
    means = random.choice(differences, (10000, len(differences))).mean(axis=1)
    return min(1, 2 * min((means <= 0).mean(), (means >= 0).mean()))


def test_heat_maps_have_the_order_of_the_reference(run):
    folder, description, seeds = run
    figures = folder / "report/figures"
    assert {path.stem for path in figures.glob("shift*")} == {"shift_1", "shift_2"}
    for number, pair in enumerate(sorted(PAIRS), 1):
        unit = next(
            values_of(u)
            for u in description["units"]
            if u["stage"] == "similarity" and u["task"]["other"]["name"] == pair[1] and u["task"].get("seed") == seeds[0] and 0 in values_of(u)["item"]
        )
        steps = sorted(numpy.flatnonzero(unit["step_item"] == 0), key=lambda s: unit["step_number"][s])
        reference = unit["shift_reference"][steps][:, :100]
        order = numpy.concatenate([numpy.argsort(-reference[:, :50], axis=1), numpy.tile(numpy.arange(50, 100), (len(steps), 1))], axis=1)
        script = (figures / f"shift_{number}.gp").read_text()
        drawn = [numpy.array([line.split() for line in block.strip().splitlines()], float) for block in re.findall(r"\$panel\d << END\n(.*?)END", script, re.S)]
        assert len(drawn) == 3 and f'"reference: {pair[0]}"' in script and f'"{pair[1]}, different data"' in script
        for panel, name in zip(drawn, ("shift_reference", "shift_same", "shift_different")):
            assert panel == pytest.approx(numpy.take_along_axis(unit[name][steps], order, axis=1), rel=1e-4, abs=1e-5)
        sizes = numpy.sort(numpy.abs(numpy.concatenate([panel.ravel() for panel in drawn])))
        low, high = map(float, re.findall(r"set cbrange \[(.*):(.*)\]", script)[0])
        assert script.count("cbrange") == 1 and -low == high == pytest.approx(sizes[len(sizes) * 99 // 100], rel=1e-4)
        svg = (figures / f"shift_{number}.svg").read_text()
        assert svg.count("<image") == svg.count("pixelated") == 3
        assert (figures / f"shift_{number}.pdf").read_bytes().startswith(b"%PDF")
    caption = (folder / "report/index.html").read_text()
    assert ("Seed 3." in caption) == (len(seeds) > 1)


def test_cost_of_adapting(run):
    folder, description, seeds = run
    table = csv(folder, "adaptation").set_index(["For", "Method"])
    assert list(table.index) == [
        *(("instruct", method) for method in ("cmc", "full", "lora", "proxy_tuning")),
        *(("unlearn", method) for method in ("cmc", "delta_unlearning", "lora")),
    ]
    roles = {"cmc": "delta", "proxy_tuning": "expert", "delta_unlearning": "offset"}
    spent = {}
    for (purpose, method), row in table.iterrows():
        asked = {"purpose": purpose, "method": method} if method in ("lora", "full") else {"kind": purpose, "role": roles[method]}
        units = [[u["cost"] for u in description["units"] if u["task"].get("seed") == seed and asked.items() <= u["task"].items() and u["stage"] in ("adapt", "train")] for seed in seeds]
        trainings = 3 if method in ("lora", "full") else 1
        assert {len(one) for one in units} == {trainings} and row["Targets"] == 3 and row["Trainings"] == trainings
        wall = [sum(cost["wall_seconds"] for cost in one) for one in units]
        assert row["Wall, s"] == pytest.approx(numpy.mean(wall)) and row["Tokens"] == sum(c["tokens"] for c in units[0])
        spent[purpose, method] = numpy.array(wall)
        assert row["Peak, GiB"] == pytest.approx(max(cost["peak_bytes"] for cost in units[0]) / 2**30)
        if method == "full":
            assert numpy.isnan(row["TFLOP"]) and numpy.isnan(row["Each further target TFLOP"]), "not counted: a dash"
        else:
            assert row["TFLOP"] == sum(c["flops"] for c in units[0]) / 1e12
        if method in ("lora", "full"):
            assert row["Each further target Wall, s"] == pytest.approx(numpy.mean(wall) / 3)
            assert row["Each further target Trainings"] == 1
        else:
            assert row["Each further target Wall, s"] == 0.25 and row["Each further target Trainings"] == row["Each further target Tokens"] == 0
    if len(seeds) > 1:
        assert table.loc[("instruct", "lora"), "Wall, s deviation over seeds"] == pytest.approx(spent["instruct", "lora"].std(ddof=1))


def test_all_trainings_have_a_row_and_a_curve(run):
    folder, _, _ = run
    table = csv(folder, "training").set_index(["For", "Trained"])
    assert len(table) == 3 + 3 + 9 + 4 and table.index.is_unique
    assert ("instruct (expert)", "tiny") in table.index and ("unlearn (lora)", "other") in table.index and ("prepare", "small") in table.index
    figures = {path.stem for path in (folder / "report/figures").glob("training*.svg")}
    assert figures == {f"training_{name}" for name in ("pretrain", "prepare", "instruct", "instruct_lora", "instruct_full", "instruct_expert", "unlearn", "unlearn_lora", "unlearn_offset")}


def test_every_table_comes_in_three_formats(run):
    folder, _, _ = run
    tables = folder / "report/tables"
    for name in ("findings", "instruct", "similarity", "similarity_steps", "adaptation", "training", "cost"):
        rows = len(csv(folder, name))
        markdown = [line for line in (tables / f"{name}.md").read_text().splitlines() if line.startswith("|")]
        assert rows > 0 and len(markdown) == rows + 2 and len({len(re.findall(r"(?<!\\)\|", line)) for line in markdown}) == 1
        latex = (tables / f"{name}.tex").read_text()
        body = latex.split("\\midrule\n")[1].split("\\bottomrule")[0].strip().splitlines()
        assert len(body) == rows and len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
        assert latex.count("{") == latex.count("}") and not re.search("[±²α–→−]", latex) and not re.search(r"(?<!\$)[<>]", latex)
