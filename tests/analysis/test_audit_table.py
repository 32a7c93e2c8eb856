"""The table of the audit against open-unlearning's formulas, recomputed with numpy, zlib and scikit-learn from the rows."""

import zlib

import numpy
import pandas
import pytest
from open_unlearning import extraction_strength, lowest
from sklearn.metrics import roc_auc_score
from support_results import double, integer, make_folder, method_of, report, synthetic, text

SETS = {"forget": 40, "retain": 24, "holdout": 30}
SYSTEMS = [("vanilla", "", 0.0), ("cmc", "tiny", 0.5), ("cmc", "tiny", 1.0), ("retain_only", "", 0.0)]


def ragged(name, rows, kind="float"):
    return {"name": name, "dimension": "row", "type": kind, "rows": [row.tolist() for row in rows]}


def audited_unit(random, target, method, delta, strengths, name):
    """A unit of the stage unlearn, and its rows as plain values."""
    count = SETS[name]
    alphas = strengths if delta else [0.0]
    rows = [{"alpha": alpha, "item": item} for alpha in alphas for item in range(count)]
    for row in rows:
        length = int(random.integers(2, 20))
        shift = row["alpha"] if name == "forget" else -0.3
        row["logprob"] = -(random.exponential(1.0, length) + max(0, shift)).astype(numpy.float32)
        row["best"] = (random.random(length) < (0.9 if name == "forget" and method == "vanilla" else 0.5)).astype(int)
        row["mean"] = -random.exponential(3.0, length).astype(numpy.float32)
        row["variance"] = random.exponential(1.0, length).astype(numpy.float32)
        row["answer"] = "Author " + "x" * int(random.integers(1, 30)) + f" {row['item']}"
    ones = numpy.ones(len(rows), dtype=int)
    log_probs = [float(row["logprob"].astype(float).sum()) for row in rows]
    lengths = [len(row["logprob"]) for row in rows]
    task = {"name": f"TOFU {name} {target} {method}", "set": name, "first": 0, "count": count, **method_of(target, delta, strengths)}
    unit = {
        "stage": "unlearn",
        "task": {**task, "method": method},
        "datasets": [
            double("alpha", [row["alpha"] for row in rows]),
            integer("item", [row["item"] for row in rows]),
            *(text(column, ["?"] * len(rows)) for column in ("question", "generated")),
            text("answer", [row["answer"] for row in rows]),
            double("rouge1_recall", ones * 0.5),
            double("rouge_l_recall", ones * 0.5),
            *(part for stem in ("answer", "paraphrase") for part in (double(f"{stem}_logprob", log_probs), integer(f"{stem}_tokens", lengths))),
        ],
        "ragged": [
            ragged("generated_tokens", [numpy.array([1])] * len(rows), "int32"),
            ragged("answer_token_logprob", [row["logprob"] for row in rows]),
            ragged("answer_token_best", [row["best"] for row in rows], "int32"),
            ragged("answer_token_mean", [row["mean"] for row in rows]),
            ragged("answer_token_variance", [row["variance"] for row in rows]),
        ],
    }
    if name != "holdout":
        wrong = (len(rows), 3)
        unit["datasets"] += [double("wrong_logprob", -random.random(wrong) * 9, ("row", "wrong")), integer("wrong_tokens", numpy.full(wrong, 4), ("row", "wrong"))]
    return unit, rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    random = numpy.random.default_rng(5)
    units, rows = [], {}
    for target in ("smollm2", "gemma"):
        for method, delta, strengths in (("vanilla", "", []), ("cmc", "tiny", [0.5, 1.0]), ("retain_only", "", [])):
            if target == "gemma" and method == "retain_only":
                continue  # its privacy leakage is against chance
            for name in SETS:
                unit, those = audited_unit(random, target, method, delta, strengths, name)
                units.append(unit)
                for row in those:
                    rows.setdefault((target, method, row["alpha"], name), []).append(row)
    folder = make_folder(tmp_path_factory.mktemp("audit") / "run", {**synthetic(), "units": units})
    done = report(folder)
    assert done.returncode == 0, done.stderr
    return folder, rows, done


SCORES = {
    "MIA loss": lambda row: -row["logprob"].astype(float).mean(),
    "MIA zlib": lambda row: -row["logprob"].astype(float).mean() / len(zlib.compress(row["answer"].encode())),
    "MIA min-k": lambda row: lowest(row["logprob"].astype(float)[:-1], 0.4),
    "MIA min-k++": lambda row: lowest(((row["logprob"].astype(float) - row["mean"]) / numpy.sqrt(numpy.maximum(row["variance"].astype(float), 1e-6)))[:-1], 0.4),
}


def auc(forget, holdout):
    return roc_auc_score([0] * len(forget) + [1] * len(holdout), [*forget, *holdout])


def test_every_figure(run):
    folder, rows, _ = run
    table = pandas.read_csv(folder / "report/tables/audit.csv", keep_default_na=False, na_values=[""])
    assert len(table) == 7
    for _, line in table.iterrows():
        system = (line["Target"], line["Method"], 0.0 if line["Method"] in ("vanilla", "retain_only") else float(line["α"]))
        of = {name: rows[(*system, name)] for name in SETS}
        assert line["n"] == "24/40/30"
        for title, name in (("Forget", "forget"), ("Retain", "retain")):
            assert line[f"{title} Exact mem."] == pytest.approx(numpy.mean([row["best"][:-1].mean() for row in of[name]]), rel=1e-12)
            assert line[f"{title} Extraction"] == pytest.approx(numpy.mean([extraction_strength(row["best"]) for row in of[name]]), rel=1e-12)
        group = "Forget against holdout "
        for title, score in SCORES.items():
            assert line[group + title] == pytest.approx(auc(*([score(row) for row in of[name]] for name in ("forget", "holdout"))), rel=1e-12)
        alone = (system[0], "retain_only", 0.0)
        reference = 0.5
        if (*alone, "forget") in rows:
            theirs = {name: {row["item"]: SCORES["MIA loss"](row) for row in rows[(*alone, name)]} for name in ("forget", "holdout")}
            above = [[SCORES["MIA loss"](row) - theirs[name][row["item"]] for row in of[name]] for name in ("forget", "holdout")]
            if system != alone:
                assert line[group + "MIA reference"] == pytest.approx(auc(*above), rel=1e-12)
            reference = auc(*([SCORES["MIA min-k"](row) for row in rows[(*alone, name)]] for name in ("forget", "holdout")))
        else:
            assert numpy.isnan(line[group + "MIA reference"])
        if system == alone:
            assert numpy.isnan(line[group + "PrivLeak, %"])
        else:
            leak = 100 * ((1 - line[group + "MIA min-k"]) - (1 - reference)) / (1 - reference)
            assert line[group + "PrivLeak, %"] == pytest.approx(leak, rel=1e-9)


def test_what_was_not_audited_has_no_section(tmp_path):
    folder = make_folder(tmp_path / "run", synthetic())
    assert report(folder).returncode == 0
    assert not list((folder / "report/tables").glob("audit*"))
    assert "audited" not in (folder / "report/index.html").read_text()
