"""The tables of IFEval against numpy, from synthetic units of two seeds and slices."""

import numpy
import pandas
import pytest
from support_results import double, integer, make_folder, method_of, report, synthetic, text

KINDS = ["keywords:existence", "keywords:frequency", "punctuation:no_comma", "startend:quotation"]
PROMPTS, SLICE = 30, 15
SYSTEMS = [("gemma", "", 0.0), ("gemma", "tiny", 0.5), ("gemma", "tiny", 1.0), ("smollm2", "", 0.0), ("smollm2", "tiny", 0.5), ("smollm2", "tiny", 1.0)]


def ifeval_units(random, seed=None):
    """Units, and {(target, delta, alpha): [(ids, strict, loose)] by item}."""
    units, verdicts = [], {system: [None] * PROMPTS for system in SYSTEMS}
    asked = [random.choice(KINDS, size=1 + item % 3) for item in range(PROMPTS)]  # a kind may come twice
    for target in ("gemma", "smollm2"):
        for delta in ("", "tiny"):
            for first in range(0, PROMPTS, SLICE):
                rows = []
                for alpha in [0.0] if not delta else [0.5, 1.0]:
                    for item in range(first, first + SLICE):
                        strict = (random.random(len(asked[item])) < 0.3 + 0.4 * alpha).astype(int)
                        loose = numpy.maximum(strict, (random.random(len(strict)) < 0.2).astype(int))
                        verdicts[target, delta, alpha][item] = list(asked[item]), strict.tolist(), loose.tolist()
                        rows.append((alpha, item, asked[item], strict, loose, random.random() < 0.6))
                units.append(unit_of(target, delta, first, rows, seed))
    return units, verdicts


def unit_of(target, delta, first, rows, seed):
    count = len(rows)
    task = {"name": f"IFEval {first} {target}", "first": first, "count": SLICE, **method_of(target, delta, [0.5, 1.0])}
    ragged = lambda name, values: {"name": name, "dimension": "row", "type": "int32", "rows": [[int(v) for v in value] for value in values]}
    return {"stage": "ifeval", "task": task if seed is None else {**task, "seed": seed},
            "datasets": [double("alpha", [row[0] for row in rows]), integer("item", [row[1] for row in rows]), integer("prompt_key", [row[1] + 1000 for row in rows]),
                         *(text(name, ["x"] * count) for name in ("prompt", "asked", "response")),
                         text("stop_reason", ["end_token" if row[5] else "length" for row in rows]), text("instruction_ids", [" ".join(row[2]) for row in rows])],
            "ragged": [ragged("response_tokens", [[1]] * count), ragged("strict", [row[3] for row in rows]), ragged("loose", [row[4] for row in rows])]}


def ratio(followed, asked):
    followed, asked = numpy.array(followed, float), numpy.array(asked, float)
    value = followed.sum() / asked.sum()
    return value, numpy.std(followed - value * asked, ddof=1) * numpy.sqrt(len(asked)) / asked.sum()


def expected(rows, how, kind=None):
    """(share of prompts, its error), (share of instructions, its error)"""
    column = 1 if how == "Strict" else 2
    kept = [[v for identity, v in zip(row[0], row[column]) if kind in (None, identity)] for row in rows if kind is None or kind in row[0]]
    prompts = numpy.array([all(row) for row in kept], float)
    return (prompts.mean(), prompts.std(ddof=1) / numpy.sqrt(len(prompts))), ratio([sum(row) for row in kept], [len(row) for row in kept])


def tables_of(folder):
    done = report(folder)
    assert done.returncode == 0, done.stderr
    return {name: pandas.read_csv(folder / "report/tables" / f"{name}.csv", keep_default_na=False, na_values=[""]) for name in ("ifeval", "ifeval_methods", "ifeval_kinds")}


@pytest.fixture(scope="module")
def one_seed(tmp_path_factory):
    units, verdicts = ifeval_units(numpy.random.default_rng(5))
    folder = make_folder(tmp_path_factory.mktemp("ifeval") / "run", {**synthetic(), "units": units})
    return tables_of(folder), verdicts


def system_of(row):
    delta = row["Delta"] if isinstance(row["Delta"], str) else ""
    return row["Target"], delta, float(row["α"]) if delta else 0.0


def test_four_figures(one_seed):
    tables, verdicts = one_seed
    assert {system_of(row) for _, row in tables["ifeval"].iterrows()} == set(SYSTEMS)
    for _, row in tables["ifeval"].iterrows():
        for how in ("Strict", "Loose"):
            prompts, instructions = expected(verdicts[system_of(row)], how)
            for group, figure in (("Prompts", prompts), ("Instructions", instructions)):
                assert (row[f"{group} {how}"], row[f"{group} {how} standard error"]) == pytest.approx(figure, rel=1e-9)
                assert row[f"{group} {how} n"] == PROMPTS == row["n"]


def test_kinds_of_the_main_systems(one_seed):
    """Vanilla and the full strength alone, a row a kind."""
    tables, verdicts = one_seed
    assert list(tables["ifeval_kinds"]["Kind"]) == KINDS
    assert len(tables["ifeval_methods"]) == 4 and not [column for column in tables["ifeval_kinds"] if "0.5" in column]
    for _, row in tables["ifeval_kinds"].iterrows():
        for target, delta, alpha, name in (("gemma", "", 0.0, "gemma vanilla"), ("smollm2", "tiny", 1.0, "smollm2 tiny")):
            figure = expected(verdicts[target, delta, alpha], "Strict", row["Kind"])[1]
            assert (row[name], row[f"{name} standard error"]) == pytest.approx(figure, rel=1e-9)
            assert row["n"] == sum(row["Kind"] in ids for ids, _, _ in verdicts[target, delta, alpha])


def test_over_seeds(tmp_path):
    by_seed = {seed: ifeval_units(numpy.random.default_rng(seed), seed) for seed in (1, 2, 3)}
    units = [unit for some, _ in by_seed.values() for unit in some]
    tables = tables_of(make_folder(tmp_path / "run", {**synthetic(), "units": units}))
    for _, row in tables["ifeval"].iterrows():
        shares = [expected(verdicts[system_of(row)], "Loose")[1][0] for _, verdicts in by_seed.values()]
        assert row["Instructions Loose"] == pytest.approx(numpy.mean(shares))


def test_verdicts_that_do_not_fit_their_ids(tmp_path):
    units, _ = ifeval_units(numpy.random.default_rng(5))
    units[0]["datasets"][-1]["values"][0] += " keywords:existence"
    with pytest.raises(AssertionError, match="ifeval: item 0: has 2 instructions and 1 strict"):
        make_folder(tmp_path / "run", {**synthetic(), "units": units})
