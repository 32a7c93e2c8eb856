"""`cmc import tofu` of what open-unlearning writes: its own figures, dashes for what a log has not, and bad logs refused."""

import copy
import json

import pytest

import support_official as official
import support_open_unlearning as theirs
from support_pipeline import cmc


def write(folder, name, content):
    path = folder / name
    path.write_text(json.dumps(content, indent=4))
    return path


def imported(*arguments):
    done = cmc("import", "tofu", *arguments, "--json")
    assert "warning" not in done.stderr.lower(), done.stderr
    return json.loads(done.stdout)


def assert_same(ours, truth, path=""):
    if isinstance(truth, dict):
        assert isinstance(ours, dict) and ours.keys() == truth.keys(), path
        for name in truth:
            assert_same(ours[name], truth[name], f"{path}/{name}")
    else:
        assert ours == (truth if truth is None else pytest.approx(float(truth), rel=1e-5)), path


@pytest.mark.parametrize("seed, items", [(0, 1), (1, 2), (2, 30), (3, 400)])
def test_a_whole_log(tmp_path, seed, items):
    retain = theirs.make_log(seed + 100, items)
    log = theirs.make_log(seed, items)
    file, other = write(tmp_path, "TOFU_EVAL.json", log), write(tmp_path, "RETAIN_EVAL.json", retain)
    assert_same(imported(file), theirs.full(log))
    assert_same(imported(file, "--retain", other), theirs.full(log, retain))


def test_forget_quality_without_retain_is_the_logs_own(tmp_path):
    retain = theirs.make_log(5)
    log = theirs.make_log(6, retain=retain)
    quality = imported(write(tmp_path, "TOFU_EVAL.json", log))["forget_quality"]
    assert quality == {"geometric": pytest.approx(theirs.forget_quality(log, retain)), "arithmetic": None}


def test_a_summary(tmp_path):
    log = theirs.make_log(7, retain=theirs.make_log(8))
    file = write(tmp_path, "TOFU_SUMMARY.json", theirs.summary_of(log))
    assert_same(imported(file), theirs.told(log))
    means_alone = {name: {"agg_value": metric["agg_value"]} for name, metric in log.items()}
    assert_same(imported(write(tmp_path, "TOFU_EVAL.json", means_alone)), theirs.told(log))


def test_what_a_log_has_not_is_a_dash(tmp_path):
    """The suite as open-unlearning runs it leaves, for each set, what was asked for alone."""
    log = theirs.make_log(9)
    kept = {name: log[name] for name in ("forget_Q_A_Prob", "forget_Q_A_ROUGE", "ra_Q_A_Prob", "forget_quality")}
    truth = theirs.told(kept)
    assert_same(imported(write(tmp_path, "TOFU_EVAL.json", kept)), truth)
    lines = cmc("import", "tofu", tmp_path / "TOFU_EVAL.json").stdout.splitlines()
    assert [line.split()[1:] for line in lines[1:4]] == [["-"] * 4] * 3
    forget = truth["sets"]["forget"]
    assert lines[4].split()[1:] == [f"{forget['rouge_l']:.4f}", f"{forget['probability']:.4f}", "-", "-"]
    assert [line.split()[2:] for line in lines[5:7]] == [["-", "-"]] * 2
    without_rouge = {name: metric for name, metric in log.items() if "ROUGE" not in name and name != "model_utility"}
    found = imported(write(tmp_path, "TOFU_EVAL.json", without_rouge))
    assert found["model_utility"] is None and found["sets"]["retain"]["rouge_l"] is None and found["rouge_l_differing"] is None
    assert found["sets"]["retain"]["truth_ratio"]["arithmetic"] is not None


def test_table(tmp_path):
    log, retain = theirs.make_log(10), theirs.make_log(11)
    done = cmc("import", "tofu", write(tmp_path, "e.json", log), "--retain", write(tmp_path, "r.json", retain))
    lines, truth = done.stdout.splitlines(), theirs.full(log, retain)
    assert lines[0] == cmc("import", "tofu", write(tmp_path, "o.json", official.make_log(1, 5))).stdout.splitlines()[0]
    for line in lines[1:5]:
        name, *shown = line.split()
        expected = truth["sets"][name]
        figures = [expected["rouge_l"], expected["probability"], *(expected["truth_ratio"][mean] for mean in official.MEANS)]
        assert [float(figure) for figure in shown] == pytest.approx(figures, abs=1e-4)
    for line, name in zip(lines[5:7], ("model_utility", "forget_quality")):
        assert [float(figure) for figure in line.split()[2:]] == pytest.approx([truth[name][mean] for mean in official.MEANS], rel=2e-3)


def test_a_summary_that_its_items_contradict_is_told(tmp_path):
    """Another aggregator (prob_mean) leaves the same name."""
    log = theirs.make_log(12)
    truth = theirs.full(log)
    log["forget_truth_ratio"]["agg_value"] = 0.5 * log["forget_truth_ratio"]["agg_value"]
    done = cmc("import", "tofu", write(tmp_path, "TOFU_EVAL.json", log), "--json")
    assert_same(json.loads(done.stdout), truth)
    assert "the truth ratio of forget: the log tells" in done.stderr


def test_logs_of_both_forms_are_compared(tmp_path):
    log, retain = theirs.make_log(13, 30), official.make_log(14, 30)
    file, other = write(tmp_path, "TOFU_EVAL.json", log), write(tmp_path, "eval_log_aggregated.json", retain)
    ours, back = imported(file, "--retain", other)["forget_quality"], imported(other, "--retain", file)["forget_quality"]
    assert ours == pytest.approx(back)
    ratios = theirs.by_index(log["forget_truth_ratio"], "score"), 1 / official.likelihood_ratio(retain, "forget", "geometric")
    assert ours["geometric"] == pytest.approx(theirs.stats.ks_2samp(*ratios).pvalue)


def test_forget_quality_needs_items(tmp_path):
    log, retain = theirs.make_log(15), theirs.make_log(16)
    file, other = write(tmp_path, "e.json", log), write(tmp_path, "r.json", retain)
    for name, pair in {"s.json": lambda summary: (file, summary), "t.json": lambda summary: (summary, other)}.items():
        summary = write(tmp_path, name, theirs.summary_of(theirs.make_log(17)))
        given, against = pair(summary)
        error = cmc("import", "tofu", given, "--retain", against, expect=65).stderr
        assert name in error and "forget_Q_A_PERT_Prob" in error and "TOFU_EVAL.json" in error
    assert "the same" in cmc("import", "tofu", file, "--retain", write(tmp_path, "again.json", log), expect=77).stderr


def put(value, *path):
    def spoil(log):
        for key in path[:-1]:
            log = log[key]
        log[path[-1]] = value

    return spoil


def without(*path):
    def spoil(log):
        for key in path[:-1]:
            log = log[key]
        del log[path[-1]]

    return spoil


PERT, ROUGE, ITEMS = "forget_Q_A_PERT_Prob", "ra_Q_A_ROUGE", "value_by_index"
BAD = {
    "text for a metric": (put("0.5", "forget_Q_A_Prob"), ["forget_Q_A_Prob", "string"]),
    "text for a mean": (put("0.5", "model_utility", "agg_value"), ["model_utility.agg_value", "string"]),
    "mean above 1": (put(1.5, ROUGE, "agg_value"), [ROUGE + ".agg_value", "1.5"]),
    "list of items": (put([1], PERT, ITEMS), [PERT, "value_by_index", "array"]),
    "no items": (put({}, PERT, ITEMS), [PERT, "value_by_index", "no item"]),
    "item a number": (put(0.5, PERT, ITEMS, "4"), [PERT, "[4]", "number"]),
    "no loss": (without(PERT, ITEMS, "4", "avg_loss"), [PERT, "[4].avg_loss", "null"]),
    "NaN": (put(float("nan"), "retain_Q_A_Prob", ITEMS, "4", "avg_loss"), ["retain_Q_A_Prob", "[4].avg_loss", "NaN"]),
    "negative": (put(-0.5, PERT, ITEMS, "4", "avg_loss", 2), [PERT, "[4].avg_loss[2]", "-0.5"]),
    "no wrong answer": (put([], PERT, ITEMS, "4", "avg_loss"), [PERT, "[4].avg_loss", "empty"]),
    "other count": (put([0.5] * 4, PERT, ITEMS, "4", "avg_loss"), [PERT, "[4].avg_loss", "4 losses"]),
    "an item less": (without(PERT, ITEMS, "4"), [PERT, "no item 4"]),
    "an item more": (put({"prob": [0.5], "avg_loss": [0.7]}, PERT, ITEMS, "20"), [PERT, "item 20"]),
    "no recall": (without(ROUGE, ITEMS, "4", "rougeL_recall"), [ROUGE, "[4].rougeL_recall", "null"]),
    "text for a score": (put("0.5", "mia_min_k", "holdout", ITEMS, "4", "score"), ["mia_min_k.holdout", "[4].score", "string"]),
    "text for a leak": (put("-3", "privleak", "agg_value"), ["privleak.agg_value", "string"]),
    "half the texts": (without(ROUGE, ITEMS, "4", "generation"), [ROUGE, "[4].generation", "null"]),
}
GOOD = theirs.make_log(18, 20)


@pytest.mark.parametrize("case", BAD)
def test_bad_logs(tmp_path, case):
    spoil, named = BAD[case]
    log = copy.deepcopy(GOOD)
    spoil(log)
    error = cmc("import", "tofu", write(tmp_path, "TOFU_EVAL.json", log), expect=65).stderr
    assert all(word in error for word in ["TOFU_EVAL.json", *named]), error


def test_other_benchmarks_are_refused(tmp_path):
    muse = {"forget_verbmem_ROUGE": {"agg_value": 0.5}, "privleak": {"agg_value": 3.0}, "extraction_strength": {"agg_value": 0.1}}
    error = cmc("import", "tofu", write(tmp_path, "MUSE_EVAL.json", muse), expect=65).stderr
    assert "MUSE_EVAL.json" in error and "TOFU_EVAL.json" in error
