"""`cmc import`: official TOFU logs and AlpacaEval annotations, scored as their own scripts do, and bad ones refused."""

import copy
import json

import numpy as np
import pandas
import pytest

import support_official as official
from support_pipeline import cmc

FORGET = "eval_log_forget.json"


def write(folder, name, content):
    path = folder / name
    path.write_text(json.dumps(content, indent=4))
    return path


def imported(*arguments):
    return json.loads(cmc("import", *arguments, "--json").stdout)


def flat(value, path=()):
    if not isinstance(value, dict):
        return {path: value}
    return {key: found for name, inner in value.items() for key, found in flat(inner, (*path, name)).items()}


def assert_same(ours, truth):
    ours, truth = flat(ours), flat(truth)
    assert ours.keys() == truth.keys()
    for path, value in truth.items():
        assert ours[path] == (value if value is None else pytest.approx(float(value), rel=1e-9, abs=1e-300)), path


@pytest.mark.parametrize("seed, items, level", [(0, None, 1.0), (1, None, 0.2), (2, 300, 2.0), (3, 1, 1.0), (4, 40, 30.0)])
def test_tofu(tmp_path, seed, items, level):
    log, retain = official.make_log(seed, items, level), official.make_log(seed + 100, items, 1.3 * level)
    file, other = write(tmp_path, "log.json", log), write(tmp_path, "retain.json", retain)
    assert "Infinity" in file.read_text()
    assert_same(imported("tofu", file, "--retain", other), {**official.aggregate(log, retain), "rouge_l_differing": 0})
    assert_same(imported("tofu", file), {**official.aggregate(log), "rouge_l_differing": 0})


def test_stored_rouge_that_the_texts_do_not_give(tmp_path):
    log = official.make_log(5, 20)
    for values in log.values():
        for item in ("3", "11"):
            values["rougeL_recall"][item] = abs(values["rougeL_recall"][item] - 0.01)
        values["rougeL_recall"]["7"] += 1e-8 if values["rougeL_recall"]["7"] < 0.5 else -1e-8
    assert_same(imported("tofu", write(tmp_path, "log.json", log)), {**official.aggregate(log), "rouge_l_differing": 8})


@pytest.mark.parametrize("without", [("eval_log.json",), tuple(file for file, _ in official.SETS.values())])
def test_without_texts_the_log_is_believed(tmp_path, without):
    log = official.make_log(6, 20)
    for values in log.values():
        values["rougeL_recall"] = {item: 0.25 for item in values["rougeL_recall"]}

    def recalls(log, name):
        return np.full(20, 0.25) if official.SETS[name][0] in without else official.rouge_l(log, name)

    truth = official.aggregate(log, recalls=recalls)
    for file in without:
        del log[file]["generated_text"]
    assert_same(imported("tofu", write(tmp_path, "log.json", log)), {**truth, "rouge_l_differing": None})


def test_a_set_the_model_knows_nothing_of_makes_the_utility_0(tmp_path):
    log = official.make_log(7, 10)
    wrong = log["eval_real_author_wo_options.json"]["average_perturb_loss"]
    log["eval_real_author_wo_options.json"]["average_perturb_loss"] = {item: [0.0] * 3 for item in wrong}
    utility = imported("tofu", write(tmp_path, "log.json", log))["model_utility"]
    assert utility == {"geometric": 0, "arithmetic": 0}


def test_only_the_ratios_of_the_retain_log_are_read(tmp_path):
    """And other items than the log's are worth a warning."""
    log, retain = official.make_log(8, 30), official.make_log(9, 25)
    slim = {FORGET: {field: retain[FORGET][field] for field in ("avg_paraphrased_loss", "average_perturb_loss")}}
    file = write(tmp_path, "log.json", log)
    done = cmc("import", "tofu", file, "--retain", write(tmp_path, "retain.json", slim), "--json")
    assert_same(json.loads(done.stdout), {**official.aggregate(log, retain), "rouge_l_differing": 0})
    assert "do not hold the same items" in done.stderr and "retain.json" in done.stderr
    done = cmc("import", "tofu", file, "--retain", write(tmp_path, "same_items.json", official.make_log(10, 30)))
    assert "warning" not in done.stderr.lower()


def test_table(tmp_path):
    log, retain = official.make_log(11, 30), official.make_log(12, 30)
    file = write(tmp_path, "log.json", log)
    lines = cmc("import", "tofu", file, "--retain", write(tmp_path, "retain.json", retain)).stdout.splitlines()
    truth = official.aggregate(log, retain)
    assert [line.split()[0] for line in lines[1:5]] == ["real_authors", "world_facts", "retain", "forget"]
    for line in lines[1:5]:
        name, *shown = line.split()
        expected = truth["sets"][name]
        figures = [expected["rouge_l"], expected["probability"], *(expected["truth_ratio"][mean] for mean in official.MEANS)]
        assert [float(figure) for figure in shown] == pytest.approx(figures, abs=1e-4)
    for line, name in zip(lines[5:7], ("model_utility", "forget_quality")):
        assert line.startswith(name.replace("_", " "))
        assert [float(figure) for figure in line.split()[2:]] == pytest.approx([truth[name][mean] for mean in official.MEANS], rel=1e-3)
    assert len({line.rfind(line.split()[-2]) + len(line.split()[-2]) for line in lines[1:7]}) == 1, "columns are aligned"
    assert cmc("import", "tofu", file).stdout.splitlines()[6].split() == ["forget", "quality", "-", "-"]


def renamed(log):
    """The same forget set with the items' names the other way round, beside other sets."""
    names = {item: str(19 - int(item)) for item in log[FORGET]["avg_gt_loss"]}
    forget = {field: {names[item]: value for item, value in values.items()} for field, values in log[FORGET].items()}
    return {**official.make_log(99, 20), FORGET: forget}


@pytest.mark.parametrize("retain", [lambda log: log, renamed, lambda log: {FORGET: log[FORGET]}])
def test_a_log_is_not_compared_with_itself(tmp_path, retain):
    log = official.make_log(13, 20)
    file, other = write(tmp_path, "log.json", log), write(tmp_path, "retain.json", retain(log))
    error = cmc("import", "tofu", file, "--retain", other, "--json", expect=77)
    assert "the same" in error.stderr and "retain.json" in error.stderr and not error.stdout


def without(*path):
    def spoil(log):
        for key in path[:-1]:
            log = log[key]
        del log[path[-1]]

    return spoil


def put(value, *path):
    def spoil(log):
        for key in path[:-1]:
            log = log[key]
        log[path[-1]] = value

    return spoil


def each(*spoilers):
    return lambda log: [spoil(log) for spoil in spoilers]


REAL = "eval_real_author_wo_options.json"
BAD = {
    "no set": (without(FORGET), [FORGET]),
    "no sets": (each(without(FORGET), without(REAL)), [FORGET, REAL]),
    "set null": (put(None, REAL), [REAL]),
    "set list": (put([1], REAL), [REAL, "array"]),
    "no field": (without(REAL, "avg_gt_loss"), [REAL, "avg_gt_loss"]),
    "no fields": (each(without(FORGET, "rougeL_recall"), without(FORGET, "average_perturb_loss")), [FORGET, "rougeL_recall", "average_perturb_loss"]),
    "early form": (put([0.5] * 20, "eval_log.json", "avg_gt_loss"), ["eval_log.json", "avg_gt_loss", "array"]),
    "no item": (without(FORGET, "rougeL_recall", "17"), [FORGET, "rougeL_recall", "17"]),
    "no text": (without(FORGET, "generated_text", "17"), [FORGET, "generated_text", "17"]),
    "extra item": (put(1.0, FORGET, "avg_paraphrased_loss", "20"), [FORGET, "avg_gt_loss", "20", "avg_paraphrased_loss"]),
    "empty": (put({field: {} for field in official.make_log(0, 1)[FORGET]}, FORGET), [FORGET, "no item"]),
    "NaN": (put(float("nan"), FORGET, "avg_gt_loss", "4"), [FORGET, "avg_gt_loss[4]", "NaN"]),
    "Infinity": (put(float("inf"), FORGET, "average_perturb_loss", "4", 2), [FORGET, "average_perturb_loss[4][2]", "Infinity"]),
    "negative": (put(-0.5, FORGET, "avg_paraphrased_loss", "4"), [FORGET, "avg_paraphrased_loss[4]", "-0.5"]),
    "text for a number": (put("0.5", FORGET, "avg_paraphrased_loss", "4"), [FORGET, "avg_paraphrased_loss[4]", "string"]),
    "recall above 1": (put(1.5, REAL, "rougeL_recall", "0"), [REAL, "rougeL_recall[0]", "1.5"]),
    "one loss for all": (put(0.5, FORGET, "average_perturb_loss", "4"), [FORGET, "average_perturb_loss[4]", "number"]),
    "no wrong answer": (put([], FORGET, "average_perturb_loss", "4"), [FORGET, "average_perturb_loss[4]", "empty"]),
    "other count": (put([0.5] * 4, FORGET, "average_perturb_loss", "4"), [FORGET, "average_perturb_loss[4]", "4 losses"]),
    "two texts": (put(["a", "b"], FORGET, "generated_text", "4"), [FORGET, "generated_text[4]"]),
    "text null": (put(["a", None, "b"], FORGET, "generated_text", "4"), [FORGET, "generated_text[4]"]),
}
GOOD = official.make_log(14, 20)


@pytest.mark.parametrize("case", BAD)
def test_bad_logs(tmp_path, case):
    spoil, named = BAD[case]
    log = copy.deepcopy(GOOD)
    spoil(log)
    error = cmc("import", "tofu", write(tmp_path, "log.json", log), expect=65).stderr
    assert all(word in error for word in ["log.json", *named]), error


def test_bad_retain_log(tmp_path):
    retain = copy.deepcopy(GOOD)
    del retain[FORGET]["average_perturb_loss"]
    file = write(tmp_path, "log.json", GOOD)
    error = cmc("import", "tofu", file, "--retain", write(tmp_path, "retain.json", retain), expect=65).stderr
    assert "retain.json" in error and "average_perturb_loss" in error
    assert "absent.json" in cmc("import", "tofu", file, "--retain", tmp_path / "absent.json", expect=66).stderr


@pytest.mark.parametrize("verb", ["tofu", "alpaca_eval"])
def test_files_that_are_none(tmp_path, verb):
    assert "absent.json" in cmc("import", verb, tmp_path / "absent.json", expect=66).stderr
    assert "folder" in cmc("import", verb, tmp_path, expect=65).stderr
    for text in ("", "{", "NaN", "NaN,", '"', '{"a": "NaN', "[1]", "7", json.dumps(GOOD)[:-200]):
        file = tmp_path / "bad.json"
        file.write_text(text)
        assert "bad.json" in cmc("import", verb, file, expect=65).stderr


def test_the_log_of_one_set(tmp_path):
    assert "eval_log_aggregated.json" in cmc("import", "tofu", write(tmp_path, "eval_log.json", GOOD["eval_log.json"]), expect=65).stderr


def test_usage(tmp_path):
    file = write(tmp_path, "log.json", GOOD)
    assert "tofu, alpaca_eval" in cmc("import", "gsm8k", file, expect=2).stderr
    assert "--retain" in cmc("import", "alpaca_eval", file, "--retain", file, expect=2).stderr
    cmc("import", "tofu", expect=2)
    assert "--retain" in cmc("import", "--help").stdout and "import" in cmc("--help").stdout


def annotations(preferences):
    return [{"instruction": f'What is "NaN" {i}?', "output_1": "a\\", "generator_2": "cmc", "preference": p} for i, p in enumerate(preferences)]


def leaderboard(preferences):
    """get_winrate of alpaca_eval 0.6.6: 0 is a draw of older files; what lies outside of [1, 2] is no preference."""
    series = pandas.Series(preferences, dtype=float).replace({0.0: 1.5})
    kept = series[series.between(1, 2)] - 1
    error = kept.sem() * 100
    return {
        "win_rate": kept.mean() * 100,
        "standard_error": None if np.isnan(error) else error,
        "n": len(kept),
        "missing": len(series) - len(kept),
    }


@pytest.mark.parametrize("seed", range(6))
def test_alpaca_eval(tmp_path, seed):
    rng = np.random.default_rng(seed)
    choices = [1, 2, None] if seed < 2 else [1, 2, 1.5, 0, None, float("nan"), 3.0, -1]
    preferences = [choices[i] for i in rng.integers(0, len(choices), 805)]
    if seed >= 4:  # alpaca_eval 2: the judge's probability
        preferences = [None if p is None else 1 + rng.random() for p in preferences]
    rows = annotations(preferences)
    for row in rows[:20]:
        if row["preference"] is None:
            del row["preference"]
    assert_same(imported("alpaca_eval", write(tmp_path, "annotations.json", rows)), leaderboard(preferences))


def test_one_annotation_has_no_standard_error(tmp_path):
    file = write(tmp_path, "annotations.json", annotations([1.75, None, None]))
    assert imported("alpaca_eval", file) == {"win_rate": 75, "standard_error": None, "n": 1, "missing": 2}
    shown = [line.split() for line in cmc("import", "alpaca_eval", file).stdout.splitlines()]
    assert shown == [["win", "rate", "75.00", "%"], ["standard", "error", "-", "%"], ["pairs", "1"], ["missing", "2"]]


@pytest.mark.parametrize("preferences, named", [
    ([1, "2"], ["[1]", "preference", "string"]), ([1, True], ["[1]", "preference", "boolean"]),
    ([None, None], ["preference"]), ([7], ["preference"]), ([[1]], ["[0]", "array"])])
def test_bad_annotations(tmp_path, preferences, named):
    error = cmc("import", "alpaca_eval", write(tmp_path, "annotations.json", annotations(preferences)), expect=65).stderr
    assert all(word in error for word in ["annotations.json", *named]), error
    missing = cmc("import", "alpaca_eval", write(tmp_path, "outputs.json", [{"instruction": "i", "output": "o"}]), expect=65).stderr
    assert "outputs.json" in missing and "preference" in missing


def test_several_models_and_judges_are_told_apart(tmp_path):
    """Never one rate over all: what each judge said of each model, in the order of the file."""
    rows = [{"instruction": f"q{i}", "generator_1": "r", "generator_2": model, "annotator": judge, "preference": preference}
            for model, judge, preference, i in [("m", "x", 1, 0), ("m", "x", 2, 1), ("m2", "x", 2, 0), ("m2", "y", 2, 1), ("m3", "y", None, 0)]]
    groups = imported("alpaca_eval", write(tmp_path, "annotations.json", rows))["groups"]
    assert [(g["generator_1"], g["generator_2"], g["annotator"], g["win_rate"], g["n"], g["missing"]) for g in groups] == [
        ("r", "m", "x", 50, 2, 0), ("r", "m2", "x", 100, 1, 0), ("r", "m2", "y", 100, 1, 0), ("r", "m3", "y", None, 0, 1)]
    assert groups[0]["standard_error"] == pytest.approx(50)
    shown = cmc("import", "alpaca_eval", tmp_path / "annotations.json").stdout
    assert [line for line in shown.splitlines() if "against" in line] == [
        f"{model} against r, judged by {judge}" for model, judge in [("m", "x"), ("m2", "x"), ("m2", "y"), ("m3", "y")]]
