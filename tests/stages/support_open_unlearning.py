"""TOFU_EVAL.json and TOFU_SUMMARY.json in the form of locuslab/open-unlearning (at d3d7cf9), with random numbers and texts, and what its
formulas make of them: src/evals/metrics/memorization.py (probability, probability_w_options, rouge, truth_ratio), utility.py
(hm_aggregate), privacy.py (ks_test). Each adds 1e-10 to what it divides by; the losses here are small enough for that not to show."""

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

import support_official as official

EPSILON = 1e-10
PREFIX = {"retain": "retain", "real_authors": "ra", "world_facts": "wf", "forget": "forget"}
AUDITS = ("extraction_strength", "mia_min_k", "privleak")
REAL = ("real_authors", "world_facts")
UTILITY = [f"retain_{name}" for name in ("Q_A_Prob", "Q_A_ROUGE", "Truth_Ratio")] + [
    f"{prefix}_{name}" for prefix in ("ra", "wf") for name in ("Q_A_Prob_normalised", "Q_A_ROUGE", "Truth_Ratio")]


def by_index(metric, field):
    return np.array([values[field] for values in metric["value_by_index"].values()])


def with_mean(values, field):
    """A metric of one value by item, its mean with it."""
    metric = {"value_by_index": {str(i): value for i, value in enumerate(values)}}
    return {"agg_value": float(np.mean(by_index(metric, field))), **metric}


def probability(rng, items, answers=None):
    """Of one answer an item; of `answers` of them lists."""
    losses = rng.gamma(2, 0.5, (items, answers or 1)).astype(np.float32)
    rows = [{"prob": np.exp(-row).astype(float).tolist(), "avg_loss": row.astype(float).tolist()} for row in losses]
    return with_mean(rows if answers else [{field: values[0] for field, values in row.items()} for row in rows], "prob")


def rouge(rng, items):
    rows = []
    for _ in range(items):
        reference, generated = official.words(rng), official.words(rng)
        score = official.SCORER.score(reference, generated)
        rows.append({"rouge1_recall": score["rouge1"].recall, "rougeL_f1": score["rougeL"].fmeasure, "rougeL_recall": score["rougeL"].recall,
                     "input": "user " + official.words(rng), "ground_truth": reference, "generation": generated})
    return with_mean(rows, "rougeL_recall")


def normalised(correct, wrong):
    right = by_index(correct, "prob")
    return with_mean([{"prob": float(p)} for p in right / (right + by_index(wrong, "prob").sum(axis=1) + EPSILON)], "prob")


def truth_ratio(correct, wrong, name):
    ratios = np.exp(-by_index(wrong, "avg_loss").mean(axis=1)) / (np.exp(-by_index(correct, "avg_loss")) + EPSILON)
    aggregate = np.minimum(ratios, 1 / (ratios + EPSILON)) if name == "forget" else np.maximum(0, 1 - ratios)
    return {"agg_value": float(aggregate.mean()), "value_by_index": {str(i): {"score": float(ratio)} for i, ratio in enumerate(ratios)}}


def forget_quality(log, retain):
    return float(stats.ks_2samp(*(by_index(one["forget_truth_ratio"], "score") for one in (log, retain))).pvalue)


def make_log(seed, items=30, retain=None):
    """What an evaluation with all of TOFU's metrics leaves; `retain`: the log that its forget quality was computed with."""
    rng, log = np.random.default_rng(seed), {}
    for name, prefix in PREFIX.items():
        answer = log[f"{prefix}_Q_A_Prob"] = probability(rng, items)
        wrong = log[f"{prefix}_Q_A_PERT_Prob"] = probability(rng, items, 3 if name in REAL else 5)
        log[f"{prefix}_Q_A_ROUGE"] = rouge(rng, items)
        if name in REAL:
            log[f"{prefix}_Q_A_Prob_normalised"] = normalised(answer, wrong)
        else:
            answer = log[f"{prefix}_Q_A_PARA_Prob"] = probability(rng, items)
        log["forget_truth_ratio" if name == "forget" else f"{prefix}_Truth_Ratio"] = truth_ratio(answer, wrong, name)
    log["model_utility"] = {"agg_value": float(stats.hmean([log[metric]["agg_value"] for metric in UTILITY]))}
    log["forget_quality"] = {"agg_value": forget_quality(log, retain) if retain else None}
    log["extraction_strength"] = {"agg_value": 0.1, "value_by_index": {"0": {"score": 0.1}}}
    log["mia_min_k"] = membership(rng, items)
    log["privleak"] = {"agg_value": privleak(log["mia_min_k"]["auc"], 0.5)}
    return log


def membership(rng, items):
    """mia_auc of mia/utils.py: forget is label 0, holdout label 1."""
    scores = {"forget": rng.gamma(2, 0.5, items), "holdout": rng.gamma(2, 0.7, items + 3)}
    sets = {name: with_mean([{"score": float(score)} for score in values], "score") for name, values in scores.items()}
    auc = float(roc_auc_score([0] * items + [1] * (items + 3), np.concatenate(list(scores.values()))))
    return {**sets, "auc": auc, "agg_value": auc}


def privleak(auc, reference):
    return ((1 - auc) - (1 - reference)) / (1 - reference + EPSILON) * 100


def summary_of(log):
    """TOFU_SUMMARY.json has the mean of each metric that has one."""
    return {name: metric["agg_value"] for name, metric in log.items() if metric["agg_value"] is not None}


def mean_of(log, metric):
    return log.get(metric, {}).get("agg_value")


def told(log):
    """What `cmc import tofu --json` must give of a log's means alone: the truth ratio is the geometric one."""
    def geometric(value):
        return None if value is None else {"geometric": value, "arithmetic": None}

    sets = {name: {"rouge_l": mean_of(log, f"{prefix}_Q_A_ROUGE"),
                   "probability": mean_of(log, f"{prefix}_Q_A_Prob" + ("_normalised" if name in REAL else "")),
                   "truth_ratio": geometric(mean_of(log, "forget_truth_ratio" if name == "forget" else f"{prefix}_Truth_Ratio"))}
            for name, prefix in PREFIX.items()}
    return {"sets": sets, "model_utility": geometric(mean_of(log, "model_utility")),
            "forget_quality": geometric(mean_of(log, "forget_quality")), "rouge_l_differing": None,
            "audits": {name: mean_of(log, name) for name in AUDITS if mean_of(log, name) is not None}}


def arithmetic_ratios(log, name):
    """R with the mean of the wrong answers' probabilities, which open-unlearning does not compute."""
    correct = log[f"{PREFIX[name]}_Q_A_{'' if name in REAL else 'PARA_'}Prob"]
    return by_index(log[f"{PREFIX[name]}_Q_A_PERT_Prob"], "prob").mean(axis=1) / by_index(correct, "prob")


def full(log, retain=None):
    """What a whole log must give: open-unlearning's own means, and the arithmetic figures beside them."""
    result = told(log)
    nine = []
    for name, figures in result["sets"].items():
        ratios = arithmetic_ratios(log, name)
        score = np.minimum(ratios, 1 / ratios) if name == "forget" else np.maximum(0, 1 - ratios)
        figures["truth_ratio"]["arithmetic"] = score.mean()
        if name != "forget":
            nine += [figures["rouge_l"], figures["probability"], score.mean()]
    result["model_utility"]["arithmetic"] = stats.hmean(nine)
    if retain:
        p_value = stats.ks_2samp(arithmetic_ratios(log, "forget"), arithmetic_ratios(retain, "forget")).pvalue
        result["forget_quality"] = {"geometric": forget_quality(log, retain), "arithmetic": p_value}
        del result["audits"]["privleak"]  # none against a model of which all members are told
        if retain["mia_min_k"]["auc"] < 1:
            result["audits"]["privleak"] = privleak(log["mia_min_k"]["auc"], retain["mia_min_k"]["auc"])
    result["rouge_l_differing"] = 0
    return result
