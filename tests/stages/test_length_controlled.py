"""`cmc import alpaca_eval --length-controlled` against scikit-learn as alpaca_eval sets it, on judged pairs with preferences that depend
on length, difficulty and model."""

import json

import numpy as np
import pandas
import pytest

from support_length_controlled import truth
from support_pipeline import cmc

PROMPTS = 200
FORMS = ("v1", "noreg", "minimal")


def logistic(x):
    return 1 / (1 + np.exp(-x))


def gamed_rows(rng, difficulty):
    """Two baselines that a judge likes for their length: alpaca_eval's df_gamed.csv in form."""
    frames = []
    for model, length in (("verbose", 0.8), ("concise", -0.8)):
        difference = -length + 0.5 * rng.normal(size=PROMPTS)
        preference = logistic(-1.5 * np.tanh(difference) + difficulty + 0.3 * rng.normal(size=PROMPTS))
        frames.append(pandas.DataFrame({"model": model, "index": range(PROMPTS), "preference": preference, "std_delta_len": difference,
                                        "instruction_difficulty": difficulty, "not_gamed_baseline": False}))
    return pandas.concat(frames, ignore_index=True)


def pairs(rng, difficulty, skill, verbosity, hard_verdicts):
    rows = []
    for i in range(PROMPTS):
        lengths = rng.integers(1, 400), max(1, int(rng.integers(1, 400) * verbosity))
        logit = skill + difficulty[i] - 1.2 * np.tanh((lengths[0] - lengths[1]) / 200) + 0.4 * rng.normal()
        preference = 1 + (float(rng.random() < logistic(logit)) if hard_verdicts else logistic(logit))
        rows.append({"instruction": f"Prompt {i}, ünïcode", "output_1": "ä" * int(lengths[0]), "generator_1": "reference",
                     "output_2": "😀" * int(lengths[1]), "generator_2": "mine", "annotator": "judge", "preference": preference})
    return rows


def of_rows(form, rows, gamed):
    difference = [len(row["output_1"]) - len(row["output_2"]) for row in rows]
    difficulty = gamed.drop_duplicates("index")["instruction_difficulty"].to_numpy()
    return truth(form, [row["preference"] for row in rows], difference, difficulty, gamed)


def written(folder, rows, gamed):
    (folder / "annotations.json").write_text(json.dumps(rows))
    gamed.to_csv(folder / "df_gamed.csv", index=False)
    return folder / "annotations.json", folder / "df_gamed.csv"


def imported(file, *options, expect=0):
    done = cmc("import", "alpaca_eval", file, "--json", *options, expect=expect)
    return json.loads(done.stdout) if expect == 0 else done.stderr


CASES = {"alike": (0.0, 1.0, False), "better and longer": (1.0, 2.5, False), "worse and shorter": (-1.5, 0.4, False), "hard verdicts": (0.5, 1.6, True)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_equals_scikit_learn(tmp_path, form, name):
    rng = np.random.default_rng(sorted(CASES).index(name))
    difficulty = rng.normal(size=PROMPTS)
    gamed, rows = gamed_rows(rng, difficulty), pairs(rng, difficulty, *CASES[name])
    for i in rng.integers(0, PROMPTS, 12):  # a judge that failed, and a draw of older files
        rows[i]["preference"] = None if i % 2 else 0
    file, baselines = written(tmp_path, rows, gamed)
    ours = imported(file, "--length-controlled", form, *([] if form == "minimal" else ["--gamed", baselines]))
    rate, error = of_rows(form, rows, gamed)
    assert ours["length_controlled"]["win_rate"] == pytest.approx(rate, abs=0.05)
    assert ours["length_controlled"]["standard_error"] == pytest.approx(error, abs=0.05)
    done = cmc("import", "alpaca_eval", file, "--length-controlled", form, *([] if form == "minimal" else ["--gamed", baselines]))
    assert f"{ours['length_controlled']['win_rate']:.2f} %" in done.stdout
    told = "is not the published df_gamed.csv (SHA-256 97aeec3f1c7de6dee6fd31fe66f1702623f4614c3efe1c6fc5f4927cd5fd674d)"
    assert (told in done.stderr) == (form != "minimal"), "a file of another content is told"


def test_a_long_winded_model_loses_what_its_length_won(tmp_path):
    rng = np.random.default_rng(9)
    difficulty = rng.normal(size=PROMPTS)
    file, baselines = written(tmp_path, pairs(rng, difficulty, -0.5, 3.0, False), gamed_rows(rng, difficulty))
    ours = imported(file, "--length-controlled", "v1", "--gamed", baselines)
    assert ours["length_controlled"]["win_rate"] < ours["win_rate"] - 3


def test_difficulties_are_found_by_the_prompts_place(tmp_path):
    """Pairs in another order than the data set's give another rate, unless the data set is given (alpaca_eval#453)."""
    rng = np.random.default_rng(4)
    difficulty = rng.normal(size=PROMPTS)
    rows = pairs(rng, difficulty, 0.3, 1.3, False)
    file, baselines = written(tmp_path, rows, gamed_rows(rng, difficulty))
    form = ("--length-controlled", "v1", "--gamed", baselines)
    (tmp_path / "alpaca_eval.json").write_text(json.dumps([{"instruction": row["instruction"], "output": "o", "generator": "g"} for row in rows]))
    prompts = ("--prompts", tmp_path / "alpaca_eval.json")
    right = imported(file, *form)["length_controlled"]["win_rate"]
    file.write_text(json.dumps(rows[::-1]))
    assert imported(file, *form, *prompts)["length_controlled"]["win_rate"] == pytest.approx(right, abs=0.05)
    assert abs(imported(file, *form)["length_controlled"]["win_rate"] - right) > 0.05
    file.write_text(json.dumps(rows[:150]))
    error = imported(file, *form, expect=65)
    assert "150 pairs" in error and "200 instructions" in error and "--prompts" in error
    imported(file, *form, *prompts)
    file.write_text(json.dumps([*rows[:-1], {**rows[-1], "instruction": "Another"}]))
    assert "[199].instruction" in imported(file, *form, *prompts, expect=65)


def test_what_is_missing_is_named(tmp_path):
    rng = np.random.default_rng(1)
    difficulty = rng.normal(size=PROMPTS)
    gamed, rows = gamed_rows(rng, difficulty), pairs(rng, difficulty, 0.0, 1.0, False)
    file, baselines = written(tmp_path, rows, gamed)
    ask = lambda *options, expect: imported(file, *options, expect=expect)
    assert "df_gamed.csv" in ask("--length-controlled", "v1", expect=2)
    assert "v1, noreg, minimal" in ask("--length-controlled", "v2", expect=2)
    assert "--gamed" in ask("--length-controlled", "minimal", "--gamed", baselines, expect=2)
    assert "--length-controlled" in ask("--gamed", baselines, expect=2)
    for broken, named in ((gamed.drop(columns="std_delta_len"), "std_delta_len"), (gamed.assign(preference=1.5), "preference"),
                          (gamed[gamed["index"] != 7], "leaves out 7"), (gamed[:0], "no row"), (gamed.assign(index="a"), "index")):  # fmt: skip
        broken.to_csv(baselines, index=False)
        error = ask("--length-controlled", "noreg", "--gamed", baselines, expect=65)
        assert "df_gamed.csv" in error and named in error, error
    file.write_text(json.dumps([{**row, "preference": None} for row in rows[4:]] + rows[:4]))
    assert "five-fold" in ask("--length-controlled", "minimal", expect=65)
    file.write_text(json.dumps([{key: value for key, value in row.items() if key != "output_2"} for row in rows]))
    assert "output_1 and output_2" in ask("--length-controlled", "minimal", expect=65)
