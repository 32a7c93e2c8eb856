"""TOFU logs in the official form, with random numbers and texts, and what the official aggregation makes of them.

locuslab/tofu at 8c49eee: evaluate_util.py writes the log. Its two scripts differ in the truth ratio of a set: the one its
README runs (aggregate_eval_stat.py) averages the wrong answers' losses, utils.py their probabilities. Forget quality takes
losses in both. Both pair the values of two fields here by item."""

import numpy as np
from rouge_score import rouge_scorer
from scipy import stats

SETS = {
    "retain": ("eval_log.json", 5),
    "real_authors": ("eval_real_author_wo_options.json", 3),
    "world_facts": ("eval_real_world_wo_options.json", 3),
    "forget": ("eval_log_forget.json", 5),
}
MEANS = ("geometric", "arithmetic")
WORDS = "the author Writes novels writing running in Café 東京 don't x-ray 1984 relational conditionally £5 prize's and".split()
SCORER = rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=True)


def words(rng):
    return " ".join(rng.choice(WORDS, rng.integers(1, 25)))


def shuffled(rng, values):
    """The same values by item in another order."""
    return {str(i): values[i] for i in rng.permutation(len(values)).tolist()}


def make_set(rng, items, wrong, level=1.0):
    """A loss is float32 in the official logs."""
    loss = lambda *shape: rng.gamma(2, level, shape).astype(np.float32).astype(float).tolist()
    texts = [["[INST] " + words(rng) + " [/INST]", words(rng), words(rng)] for _ in range(items)]
    rouge = [SCORER.score(reference, generated) for _, generated, reference in texts]
    columns = {
        "avg_gt_loss": loss(items),
        "num_token_gt": rng.integers(1, 50, items).tolist(),
        "generated_text": texts,
        "rouge1_recall": [r["rouge1"].recall for r in rouge],
        "rougeL_recall": [r["rougeL"].recall for r in rouge],
        "average_perturb_loss": loss(items, wrong),
        "avg_paraphrased_loss": loss(items),
        "truth_ratio": [float("inf")] * items,  # float32 overflows in a model that broke down: Python writes Infinity
    }
    return {field: shuffled(rng, values) for field, values in columns.items()}


def make_log(seed, items=None, level=1.0):
    rng = np.random.default_rng(seed)
    return {file: make_set(rng, items or int(rng.integers(2, 60)), wrong, level) for file, wrong in SETS.values()}


def column(log, name, field):
    values = log[SETS[name][0]][field]
    return np.array([values[item] for item in sorted(values)])


def likelihood_ratio(log, name, mean):
    """P(paraphrase) / P(wrong), the inverse of the truth ratio R."""
    paraphrased, wrong = column(log, name, "avg_paraphrased_loss"), column(log, name, "average_perturb_loss")
    if mean == "geometric":
        return np.exp(wrong.mean(axis=1) - paraphrased)
    return np.exp(-paraphrased) / np.exp(-wrong).mean(axis=1)


def rouge_l(log, name):
    texts = log[SETS[name][0]]["generated_text"]
    return np.array([SCORER.score(texts[item][2], texts[item][1])["rougeL"].recall for item in sorted(texts)])


def set_figures(log, name, mean, recalls):
    probability = np.exp(-column(log, name, "avg_gt_loss"))
    if name in ("real_authors", "world_facts"):
        probability = probability / (probability + np.exp(-column(log, name, "average_perturb_loss")).sum(axis=1))
    ratio = likelihood_ratio(log, name, mean)
    truth = np.minimum(ratio, 1 / ratio) if name == "forget" else np.maximum(0, 1 - 1 / ratio)
    return {"rouge_l": recalls.mean(), "probability": probability.mean(), "truth_ratio": truth.mean()}


def aggregate(log, retain=None, recalls=rouge_l):
    """What `cmc import tofu --json` must give, but for rouge_l_differing. recalls(log, set): ROUGE-L by item."""
    result = {"sets": {}, "model_utility": {}, "forget_quality": {} if retain else None}
    for mean in MEANS:
        figures = {name: set_figures(log, name, mean, recalls(log, name)) for name in SETS}
        for name, found in figures.items():
            kept = result["sets"].setdefault(name, {**found, "truth_ratio": {}})
            kept["truth_ratio"][mean] = found["truth_ratio"]
        nine = [value for name in SETS if name != "forget" for value in figures[name].values()]
        result["model_utility"][mean] = stats.hmean(nine)
        if retain:
            pair = [likelihood_ratio(one, "forget", mean) for one in (log, retain)]
            result["forget_quality"][mean] = stats.ks_2samp(*pair).pvalue
    return result
