"""The table of token maps held against the byte-exact reference, and what the report finds of it, from synthetic rows."""

import re

import numpy
import pandas
import pytest
from support_effects import effects, task_of
from support_results import double, integer, make_folder, report

ITEMS, TOKENS = 24, 8
# nat a token that each way to map is from the reference; None: the usual
FAR = {None: 0.30, "exact_only": 0.55, "prefix_sum": 0.12, "minimum": 0.30}


def unit(random, seed, variant):
    task = task_of(seed, "other", "cmc", [1.0])
    task.update(name=f"byte-exact {variant}", map_method=variant if variant in ("exact_only", "prefix_sum") else "pm_mined",
                unmapped="minimum" if variant == "minimum" else "zero")
    noise = numpy.random.default_rng(7 + (seed or 0)).normal(0, 0.03, ITEMS)  # of a text, the same for all maps
    far = TOKENS * (FAR[variant] + noise + random.normal(0, 0.02, ITEMS))
    return {"stage": "byte_exact", "task": task, "cost": {"wall_seconds": 1.0},
            "datasets": [double("alpha", numpy.ones(ITEMS)), integer("item", range(ITEMS)), double("divergence", far),
                         integer("same_choice", random.integers(3, TOKENS + 1, ITEMS)), integer("compared", [TOKENS] * ITEMS)]}


@pytest.fixture(scope="module", params=[(None,), (1, 2, 3)], ids=["one seed", "three seeds"])
def run(request, tmp_path_factory):
    description, units = effects(request.param), {}
    for seed in request.param:
        random = numpy.random.default_rng(5 + (seed or 0))
        for variant in FAR:
            units[seed, variant] = unit(random, seed, variant)
    description["units"] += units.values()
    folder = make_folder(tmp_path_factory.mktemp("maps") / "run", description)
    done = report(folder)
    assert done.returncode == 0, done.stderr
    return folder, units, request.param, re.sub(r"\s+", " ", done.stdout)


def means(units, seeds, variant, column):
    values = lambda seed: numpy.array(next(d["values"] for d in units[seed, variant]["datasets"] if d["name"] == column), float) / TOKENS
    return numpy.mean([values(seed).mean() for seed in seeds])


def test_a_row_for_each_map(run):
    folder, units, seeds, _ = run
    table = pandas.read_csv(folder / "report/tables/token_map_reference.csv", keep_default_na=False, na_values=[""])
    assert len(table) == len(FAR)
    shown = {None: "cmc", "exact_only": "cmc (exact_only)", "prefix_sum": "cmc (prefix_sum)", "minimum": "cmc (unmapped: minimum)"}
    by_method = {row["Method"]: row for _, row in table.iterrows()}
    for variant, name in shown.items():
        assert by_method[name]["From byte-exact, nat"] == pytest.approx(means(units, seeds, variant, "divergence"), rel=1e-9)
        assert by_method[name]["Same choice, %"] == pytest.approx(100 * means(units, seeds, variant, "same_choice"), rel=1e-9)
        assert by_method[name]["n"] == ITEMS * len(seeds)
    assert "Nearest: other + tiny (prefix_sum)." in (folder / "report/tables/token_map_reference.md").read_text()


def test_the_finding_weighs_each_map_against_the_papers(run):
    folder, units, seeds, shown = run
    assert re.search(r"Token maps: [^—]* — appears in part", shown)
    table = pandas.read_csv(folder / "report/tables/findings.csv", keep_default_na=False, na_values=[""])
    rows = table[table["Effect"].str.startswith("Token maps")].set_index("Measure")
    assert len(rows) == 3
    for variant, name in (("exact_only", "exact_only"), ("prefix_sum", "prefix_sum"), ("minimum", "unmapped: minimum")):
        row = rows.loc[f"nat from byte-exact, {name}"]
        apart = means(units, seeds, None, "divergence") - means(units, seeds, variant, "divergence")
        assert row["Difference"] == pytest.approx(apart, rel=1e-9)
        assert row["Claim"] == ("falls: yes" if variant == "exact_only" else "falls: no")
