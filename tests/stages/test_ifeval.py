"""The stage ifeval: its responses are those of the stage instruct to the same prompts, its verdicts lm_eval's, its figures numpy's."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import support_pipeline as support
from support_pipeline import cmc, made_data, mpi

sys.path[:0] = [str(Path(os.environ["CMC_SOURCE"]) / "analysis/python"), str(Path(__file__).resolve().parents[1] / "ifeval")]
import cmc_results  # noqa: E402
import support_originals  # noqa: E402

# Kinds that are told by rule alone, of which a random model's twenty tokens follow some.
ASKED = [("punctuation:no_comma", {}), ("length_constraints:number_words", {"num_words": 12, "relation": "less than"}),
         ("keywords:letter_frequency", {"letter": "e", "let_frequency": 3, "let_relation": "at least"}),
         ("keywords:existence", {"keywords": ["[aeiou]{2}"]}), ("keywords:forbidden_words", {"forbidden_words": ["a", r"\w"]}),
         ("startend:quotation", {}), ("detectable_format:title", {}), ("detectable_format:number_bullet_lists", {"num_bullets": 1}),
         ("keywords:frequency", {"keyword": "t", "frequency": 2, "relation": "at least"})]
SYSTEM = ["target", "method", "delta", "alpha"]
SETTINGS = ["--set", "instruct.new_tokens=20", "--set", "ifeval.new_tokens=20", "--set", "ifeval.unit_items=3", "--set", "instruct.items=0",
            "--set", "instruct.checked_items=0", "--set", "methods.instruct=vanilla, cmc, lora", "--set", "deltas.unlearn=", "--set", "compute.batch=16"]


def items():
    """As Hugging Face's copy has them: null where an instruction takes nothing."""
    names = sorted({name for _, kwargs in ASKED for name in kwargs})
    rows = []
    for number, row in enumerate(made_data.evaluation_prompts(12)):
        asked = [ASKED[(number + step) % len(ASKED)] for step in range(1 + number % 3)]
        rows.append({"key": 100 + number, "prompt": row["instruction"], "instruction_id_list": [identity for identity, _ in asked],
                     "kwargs": [{**dict.fromkeys(names), **kwargs} for _, kwargs in asked]})
    return rows


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, [(task, its rows)] of the stage, the same of instruct)"""
    root = tmp_path_factory.mktemp("ifeval")
    experiment = support.make_world(root)
    output = root / "run"
    cmc("run", experiment, "--output", output, "--set", f"data.ifeval={write(root / 'input_data.jsonl', items())}", *SETTINGS, ranks=2)
    plan = {task["key"]: task for task in json.loads((output / "plan.json").read_text())["tasks"]}
    units = support.units(output)
    return output, *([(plan[key], values) for key, values in units.items() if plan[key]["stage"] == stage] for stage in ("ifeval", "instruct"))


def texts(values):
    return [value.decode() for value in values]


def ragged(values, name):
    offsets, flat = values[f"{name}_offsets"], values[f"{name}_values"]
    return [flat[a:b].tolist() for a, b in zip(offsets, offsets[1:])]


def system_of(parameters, alpha):
    return parameters["target"], parameters["method"], parameters.get("delta", ""), float(alpha) if parameters.get("delta") else 0.0


def by_row(units, *names):
    """{(system, item): values of these columns}"""
    found = {}
    for task, values in units:
        columns = [texts(values[n]) if n in values and values[n].dtype.kind == "O" else values[n] if n in values else ragged(values, n) for n in names]
        for row, (alpha, item) in enumerate(zip(values["alpha"], values["item"])):
            place = system_of(task["parameters"], alpha), int(item)
            assert place not in found
            found[place] = [column[row] for column in columns]
    return found


def test_responses_are_those_of_instruct(run):
    _, ifeval, instruct = run
    ours, theirs = (by_row(units, "prompt", "asked", "response", "response_tokens", "stop_reason") for units in (ifeval, instruct))
    assert len({system for system, _ in ours}) == 3 * (1 + 2 + 1) and len(ours) == 12 * 12
    assert ours == theirs


def test_verdicts_are_lm_evals(run):
    rows = items()
    seen = set()
    for (_, item), (key, prompt, response, ids, strict, loose) in by_row(
            run[1], "prompt_key", "prompt", "response", "instruction_ids", "strict", "loose").items():
        assert (key, prompt, ids.split(" ")) == (rows[item]["key"], rows[item]["prompt"], rows[item]["instruction_id_list"])
        expected = support_originals.verdicts(rows[item], response)
        assert [list(map(bool, pair)) for pair in zip(strict, loose)] == expected, (rows[item], response)
        seen |= set(strict)
    assert seen == {0, 1}


def share(followed, asked):
    """A ratio of sums and its standard error, by the delta method on prompts; that of a jackknife is near to it."""
    followed, asked = np.array(followed, float), np.array(asked, float)
    n, value = len(asked), followed.sum() / asked.sum()
    error = np.sqrt(n / (n - 1) * ((followed - value * asked) ** 2).sum()) / asked.sum()
    left_out = np.array([(followed.sum() - f) / (asked.sum() - a) for f, a in zip(followed, asked)])
    jackknife = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    assert error == pytest.approx(jackknife, rel=0.35, abs=1e-12)
    return value, error, n


def expected_figures(run):
    """{(system, set, metric): (value, error, n)}"""
    verdicts = {}
    for (system, item), (ids, strict, loose) in by_row(run[1], "instruction_ids", "strict", "loose").items():
        verdicts.setdefault(system, []).append((ids.split(" "), strict, loose))
    figures = {}
    for system, rows in verdicts.items():
        for how, column in (("strict", 1), ("loose", 2)):
            prompts = [float(all(row[column])) for row in rows]
            figures[system, "ifeval", f"ifeval_prompt_{how}"] = np.mean(prompts), np.std(prompts, ddof=1) / np.sqrt(len(rows)), len(rows)
            figures[system, "ifeval", f"ifeval_instruction_{how}"] = share([sum(row[column]) for row in rows], [len(row[0]) for row in rows])
            for kind in {identity for row in rows for identity in row[0]}:
                mine = [[v for identity, v in zip(row[0], row[column]) if identity == kind] for row in rows if kind in row[0]]
                figures[system, kind, f"ifeval_instruction_{how}"] = share([sum(v) for v in mine], [len(v) for v in mine])
    return figures


def test_figures(run):
    summary = cmc_results.open(run[0]).summary().set_index([*SYSTEM, "set", "metric"])
    for (system, of, metric), (value, error, n) in expected_figures(run).items():
        row = summary.loc[(*system, of, metric)]
        assert (row.value, row.standard_error, row.n) == (pytest.approx(value, abs=1e-12), pytest.approx(error, abs=1e-12), n), (system, of, metric)


def test_responses_in_python(run):
    frame = cmc_results.open(run[0]).responses()
    frame = frame[frame.set == "ifeval"]
    ours = by_row(run[1], "prompt", "response", "instruction_ids")
    assert len(frame) == len(ours)
    for row in frame.itertuples():
        alpha = row.alpha if row.delta else 0.0
        assert ours[(row.target, row.method, row.delta, alpha), row.item] == [row.prompt, row.response, row.instruction_ids]


def test_tables(run):
    subprocess.run([mpi.program("cmc-report"), str(run[0])], check=True, capture_output=True)
    figures = expected_figures(run)
    tables = {name: list(csv.DictReader((run[0] / "report/tables" / f"{name}.csv").open(encoding="utf-8"))) for name in ("ifeval", "ifeval_kinds")}
    assert len(tables["ifeval"]) == 12
    for row in tables["ifeval"]:
        system = row["Target"], row["Method"], row["Delta"], float(row["α"] or 0)
        for group in ("Prompts", "Instructions"):
            for how in ("Strict", "Loose"):
                value, error, _ = figures[system, "ifeval", f"ifeval_{group[:-1].lower()}_{how.lower()}"]
                assert float(row[f"{group} {how}"]) == pytest.approx(value) and float(row[f"{group} {how} standard error"]) == pytest.approx(error, abs=1e-9)
    assert [row["Kind"] for row in tables["ifeval_kinds"]] == sorted(identity for identity, _ in ASKED)
    for row in tables["ifeval_kinds"]:
        assert float(row["small vanilla"]) == pytest.approx(figures[("small", "vanilla", "", 0.0), row["Kind"], "ifeval_instruction_strict"][0])
        assert float(row["large d"]) == pytest.approx(figures[("large", "cmc", "d", 1.0), row["Kind"], "ifeval_instruction_strict"][0])


def test_export(run, tmp_path):
    """Lines that evaluation_main.py of the authors reads: a prompt and its response each."""
    cmc("export", "ifeval", run[0], "--target", "other", "--delta", "d", "--alpha", "0.5", "--to", tmp_path / "one.jsonl")
    rows = {item: (prompt, response) for (system, item), (prompt, response) in by_row(run[1], "prompt", "response").items()
            if system == ("other", "cmc", "d", 0.5)}
    lines = [json.loads(line) for line in (tmp_path / "one.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["prompt"], line["response"]) for line in lines] == [rows[item] for item in sorted(rows)]
    cmc("export", "ifeval", run[0], "--all", "--to", tmp_path / "all")
    assert len(list((tmp_path / "all").glob("*.jsonl"))) == 12


def test_a_bad_line_is_refused_before_anything_runs(run, tmp_path):
    rows = items()
    rows[3]["kwargs"][0] = {"no_such": 1}
    done = cmc("plan", run[0].parent / "tiny.ini", "--set", f"data.ifeval={write(tmp_path / 'bad.jsonl', rows)}", *SETTINGS, expect=65)
    assert "bad.jsonl:4: kwargs[0].no_such" in done.stderr


@pytest.mark.parametrize("key, value", [("new_tokens", 15), ("new_tokens", 2049), ("unit_items", 0), ("items", -1)])
def test_settings_out_of_range(key, value, run):
    done = cmc("plan", run[0].parent / "tiny.ini", "--set", f"ifeval.{key}={value}", expect=78)
    assert f"ifeval.{key}" in done.stderr
