"""cmc-report against numpy, scipy and pandas on synthetic units, and on what is missing, odd or hostile in them."""

import re
import subprocess

import numpy
import pandas
import pytest
import scipy.stats
from support_results import BIN, EXPERIMENT, double, instruct_unit, make_folder, planned_beside, report, rows_of, synthetic

SETS = {"Real Authors": "real_authors", "World Facts": "world_facts", "Retain": "retain", "Forget": "forget"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    description = synthetic()
    folder = make_folder(tmp_path_factory.mktemp("report") / "run", description)
    done = report(folder)
    assert done.returncode == 0, done.stderr
    return folder, description, done


def csv(folder, table):
    # "None" and friends are texts here; only an empty field is missing.
    return pandas.read_csv(folder / "report/tables" / f"{table}.csv", keep_default_na=False, na_values=[""])


def system_of(row):
    return row["Target"], row["Method"], 0.0 if row["Method"] == "vanilla" else float(row["α"])


def assert_mean(row, column, values):
    values = numpy.asarray(values, dtype=float)
    assert row[column] == pytest.approx(values.mean(), rel=1e-12)
    assert row[f"{column} standard error"] == pytest.approx(scipy.stats.sem(values), rel=1e-9)
    assert row[f"{column} n"] == len(values)


def test_instruct_table_equals_numpy(run):
    folder, description, _ = run
    table = csv(folder, "instruct")
    assert len(table) == 8
    for _, row in table.iterrows():
        target, method, alpha = system_of(row)
        items = rows_of(description, "instruct", (target, method, alpha))
        ordered = [items[i] for i in sorted(items)]
        assert row["n"] == len(ordered) == 24
        per_token = [item["reference_logprob"] / item["reference_tokens"] for item in ordered]
        assert_mean(row, "Ref. nat/token", per_token)
        assert_mean(row, "Stopped, %", [100 * item["stopped"] for item in ordered])
        assert_mean(row, "Repetition, %", [100 * item["repetition"] for item in ordered])
        assert_mean(row, "Length, tokens", [item["response_tokens"] for item in ordered])
        if method == "vanilla":
            assert numpy.isnan(row["Wins, %"])
            continue
        vanilla = rows_of(description, "instruct", (target, "vanilla", 0.0))
        alone = [vanilla[i]["reference_logprob"] / vanilla[i]["reference_tokens"] for i in sorted(vanilla)]
        assert_mean(row, "Wins, %", [100.0 * (a > b) for a, b in zip(per_token, alone)])


def tofu_item(item, name, geometric):
    loss = lambda stem: -item[f"{stem}_logprob"] / item[f"{stem}_tokens"]
    wrong = numpy.exp(-loss("wrong"))
    averaged = numpy.exp(numpy.log(wrong).mean()) if geometric else wrong.mean()
    ratio = averaged / numpy.exp(-loss("paraphrase"))
    probability = numpy.exp(-loss("answer"))
    if name in ("real_authors", "world_facts"):
        probability = probability / (probability + wrong.sum())
    truth = min(ratio, 1 / ratio) if name == "forget" else max(0, 1 - ratio)
    return item["rouge_l_recall"], probability, truth, ratio


@pytest.mark.parametrize("table_name, geometric", [("tofu", True), ("tofu_arithmetic", False)])
def test_tofu_tables_equal_numpy(run, table_name, geometric):
    folder, description, _ = run
    table = csv(folder, table_name)
    assert len(table) == 6
    for _, row in table.iterrows():
        means = []
        for title, name in SETS.items():
            items = rows_of(description, "unlearn", system_of(row), lambda unit: unit["task"]["set"] == name)
            figures = numpy.array([tofu_item(items[i], name, geometric) for i in sorted(items)])
            for column, values in zip(("ROUGE-L", "Prob.", "Truth R."), figures.T):
                assert_mean(row, f"{title} {column}", values)
                if name != "forget":
                    means.append(values.mean())
        assert row["n"] == "20/20/24/40"
        assert row["Utility"] == pytest.approx(scipy.stats.hmean(means), rel=1e-12)
        assert 0.003 < row["Utility standard error"] < 0.1
        assert numpy.isnan(row["Forget q."]), "no retain-only model was run: a dash, no number"


def test_bootstrap_error_of_the_utility(run):
    folder, description, _ = run
    row = csv(folder, "tofu").iloc[0]
    samples = []
    for name in ("real_authors", "world_facts", "retain"):
        items = rows_of(description, "unlearn", system_of(row), lambda unit: unit["task"]["set"] == name)
        samples.append(numpy.array([tofu_item(items[i], name, True)[:3] for i in sorted(items)]))
    random = numpy.random.default_rng(3)
    drawn = [
        scipy.stats.hmean(numpy.concatenate([s[random.integers(0, len(s), len(s))].mean(axis=0) for s in samples])) for _ in range(4000)
    ]
    assert row["Utility standard error"] == pytest.approx(numpy.std(drawn), rel=0.12)  # 1,000 resamples: 2 % noise


def test_forget_quality_is_scipys_ks_test(tmp_path):
    description = synthetic()
    units = [u for u in description["units"] if u["stage"] == "unlearn" and u["task"]["target"] == "gemma"]
    other = [u for u in synthetic(seed=9)["units"] if u["stage"] == "unlearn" and u["task"]["target"] == "gemma" and u["task"]["method"] == "vanilla"]
    for unit in other:
        unit["task"] = {**unit["task"], "method": "retain_only", "name": "retain only " + unit["task"]["name"]}
    description["units"] = units + other
    folder = make_folder(tmp_path / "run", description)
    assert report(folder).returncode == 0

    def ratios(system):
        items = rows_of(description, "unlearn", system, lambda unit: unit["task"]["set"] == "forget")
        return [tofu_item(items[i], "forget", True)[3] for i in sorted(items)]

    reference = ratios(("gemma", "retain_only", 0.0))
    table = csv(folder, "tofu")
    for _, row in table[(table["Target"] == "gemma") & (table["Method"] != "retain_only")].iterrows():
        expected = scipy.stats.ks_2samp(ratios(system_of(row)), reference).pvalue
        assert row["Forget q."] == pytest.approx(expected, rel=1e-9)


def test_other_tables(run):
    folder, description, _ = run
    maps = csv(folder, "token_map")
    published = maps[maps["Delta vocabulary"] == "llama2"].iloc[0]
    assert (published["Exact"], published["Exact paper"], published["Unmapped paper"]) == (24185, 24185, 1341)
    gemma = maps[maps["Target vocabulary"] == "gemma"].iloc[0]
    assert numpy.isnan(gemma["Exact paper"]) and gemma["Mapped, %"] == pytest.approx(100 * 230000 / 262144)
    training = csv(folder, "training").set_index("For")
    loss = next(d["values"] for u in description["units"] if u["task"].get("kind") == "instruct" for d in u["datasets"] if d["name"] == "loss")
    assert training.loc["instruct", "Steps"] == 120
    assert training.loc["instruct", "Loss, first tenth"] == pytest.approx(numpy.mean(loss[:12]))
    assert training.loc["instruct", "Loss, last tenth"] == pytest.approx(numpy.mean(loss[-12:]))
    cost = csv(folder, "cost").set_index(["Stage", "Model"])
    assert cost.loc[("instruct", "gemma"), "Wall, s"] == 2 * (10 + 22)
    assert cost.loc[("train", "tiny"), "Peak, GiB"] == 2 and cost.loc[("train", "tiny"), "Tokens"] == 10000
    assert numpy.isnan(cost.loc[("instruct", "gemma"), "Tokens"]), "tokens were not counted: a dash, no zero"


def test_terminal_tables_fit_and_agree(run):
    folder, _, done = run
    assert max(len(line) for line in done.stdout.splitlines()) <= 120
    row = csv(folder, "table1").iloc[1]
    assert f"{row['Ref. nat/token']:.3f} ± {row['Ref. nat/token standard error']:.3f}" in done.stdout
    assert str(folder / "report/index.html") in done.stderr


def test_markdown_and_latex_hold_the_same_rows(run):
    folder, _, _ = run
    tables = folder / "report/tables"
    for name in ("instruct", "tofu", "tofu_arithmetic", "token_map", "training", "cost"):
        rows = len(csv(folder, name))
        markdown = [line for line in (tables / f"{name}.md").read_text().splitlines() if line.startswith("|")]
        assert len(markdown) == rows + 2 and len({len(re.findall(r"(?<!\\)\|", line)) for line in markdown}) == 1
        latex = (tables / f"{name}.tex").read_text()
        body = latex.split("\\midrule\n")[1].split("\\bottomrule")[0].strip().splitlines()
        assert len(body) == rows and len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
        assert latex.count("{") == latex.count("}") and "±" not in latex and not re.search(r"(?<!\\)[%_#](?! needs)", latex.replace("\\label{tab:" + name, ""))


def test_a_first_look_is_short(run):
    """Findings, and of the main tables what fits; the rest is on the page and with --all."""
    folder, _, done = run
    short = subprocess.run([BIN / "cmc-report", folder], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(short) < 70 and len(done.stdout.splitlines()) > 2 * len(short) and max(map(len, short)) <= 120
    whole = done.stdout.splitlines()
    assert short[0] == "Findings" and [line for line in short if line.startswith("  Instructions:")] == [line for line in whole if line.startswith("  Instructions:")]
    tofu = csv(folder, "tofu")
    forget = tofu[(tofu["Target"] == "gemma") & (tofu["Method"] == "cmc") & (tofu["α"] == 1)].iloc[0]
    assert any(line.startswith("gemma") and f"{forget['Forget Prob.']:.3f} ±" in line and f"{forget['Retain Prob.']:.3f} ±" in line for line in short)


def test_partial_results_show_dashes(tmp_path):
    description = synthetic()
    kept = [
        u for u in description["units"] if u["stage"] == "instruct" and u["task"]["target"] == "gemma" and u["task"]["first"] == 0
        or u["stage"] == "unlearn" and u["task"]["target"] == "gemma" and u["task"]["set"] == "forget" and u["task"]["method"] == "cmc"
    ]  # fmt: skip
    description = planned_beside(description, kept)
    folder = make_folder(tmp_path / "run", description, "units")
    done = report(folder)
    assert done.returncode == 0 and "no results.h5 yet" in done.stderr
    table = csv(folder, "instruct")
    assert len(table) == 8, "the experiment asks for eight systems"
    missing = table[table["Target"] == "smollm2"]
    assert missing.drop(columns=["Target", "Method", "Delta", "α"]).isna().all().all()
    assert (table[table["Target"] == "gemma"]["n"] == 12).all()
    tofu = csv(folder, "tofu").set_index(["Target", "Method"])
    row = tofu.loc[("gemma", "cmc")].iloc[0]
    assert row["Forget ROUGE-L n"] == 40 and numpy.isnan(row["Retain ROUGE-L"]) and numpy.isnan(row["Utility"]) and row["n"] == "–/–/–/40"
    line = next(line for line in done.stdout.splitlines() if line.startswith("smollm2") and "vanilla" in line)
    assert "–" in line and not re.search(r"\b0\b|nan", line)


def test_values_that_were_not_measured_lower_n(tmp_path):
    description = synthetic()
    unit = next(u for u in description["units"] if u["stage"] == "instruct")
    next(d for d in unit["datasets"] if d["name"] == "repetition")["values"][:3] = [None] * 3
    next(d for d in unit["datasets"] if d["name"] == "reference_tokens")["values"][0] = 0
    description["units"] = [unit]
    folder = make_folder(tmp_path / "run", description)
    assert report(folder).returncode == 0
    row = csv(folder, "instruct").set_index(["Target", "Method"]).loc[("smollm2", "vanilla")]
    assert (row["Repetition, % n"], row["Ref. nat/token n"]) == (9, 11)


@pytest.mark.parametrize("stage, name", [("instruct", "stopped"), ("unlearn", "rouge_l_recall"), ("train", "loss_of_examples")])
def test_a_column_that_is_missing_is_an_error_that_names_it(tmp_path, stage, name):
    """Under another name, as a version that misspelt it would write it."""
    description = synthetic()
    wanted = "examples_loss" if stage == "train" else name
    unit = next(u for u in description["units"] if u["stage"] == stage)
    next(d for d in unit["datasets"] if d["name"] == wanted)["name"] = name + "x"
    folder = make_folder(tmp_path / "run", description, "units")
    done = report(folder)
    assert done.returncode == 65 and f".h5: {wanted}" in done.stderr.replace(": /: ", ": ") and "is missing" in done.stderr, done.stderr


def test_compare(run, tmp_path):
    folder, description, _ = run
    same = report("compare", folder, folder)
    assert same.returncode == 0 and "experiments are the same" in same.stdout
    other = synthetic()
    other["experiment"] = EXPERIMENT.replace("strengths = 0.5, 1, 1.5", "strengths = 1")
    for unit in other["units"]:
        for dataset in unit["datasets"]:
            if dataset["name"] == "rouge_l_recall":
                dataset["values"] = [min(1.0, value + 0.1) for value in dataset["values"]]
    changed = make_folder(tmp_path / "other", other)
    done = report("compare", folder, changed / "results.h5", "--output", tmp_path / "out")
    assert done.returncode == 0 and "+ [instruct] strengths = 1\n" in done.stdout and "- [instruct] strengths = 0.5, 1, 1.5\n" in done.stdout
    table = pandas.read_csv(tmp_path / "out/compare.csv", keep_default_na=False, na_values=[""])
    assert (table[table["Metric"].str.contains("nat/token")]["B − A"] == 0).all()
    row = table[(table["Target"] == "gemma") & (table["Method"] == "vanilla") & (table["Metric"] == "Forget ROUGE-L")].iloc[0]
    items = rows_of(description, "unlearn", ("gemma", "vanilla", 0.0), lambda unit: unit["task"]["set"] == "forget")
    before = numpy.array([items[i]["rouge_l_recall"] for i in sorted(items)])
    after = numpy.minimum(1, before + 0.1)
    assert row["n"] == 40 and row["B − A"] == pytest.approx((after - before).mean(), rel=1e-9)
    low, high = map(float, row["95 % interval"].split(" … "))
    bootstrap = scipy.stats.bootstrap((after - before,), numpy.mean, n_resamples=10000, method="percentile", rng=1).confidence_interval
    assert (low, high) == pytest.approx((bootstrap.low, bootstrap.high), abs=0.002)
    assert row["p"] < 0.01


def test_errors_say_what_to_do(tmp_path):
    assert report().returncode == 2
    assert report("--colour", tmp_path).returncode == 2
    assert report("compare", tmp_path).returncode == 2
    assert report("--help").returncode == 0
    empty = report(tmp_path)
    assert empty.returncode == 66 and "output folder" in empty.stderr
    assert report(tmp_path / "absent").returncode == 66
    (tmp_path / "results.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 500)
    broken = report(tmp_path)
    assert broken.returncode == 65 and "results.h5" in broken.stderr
    (tmp_path / "file").write_text("x")
    good = make_folder(tmp_path / "run", {**synthetic(), "units": [instruct_unit(numpy.random.default_rng(0), "m", "", [], 0, 2)]})
    assert report(good, "--output", tmp_path / "file/below").returncode == 73


def test_unknown_stages_are_passed_over(tmp_path):
    description = synthetic()
    description["units"] = [
        {"stage": "later", "task": {"name": "x"}, "datasets": [double("shift", [[1.0, 2.0]], ("a", "b"))]},
        {"stage": "unlearn", "task": {"name": "z", "set": "other", "target": "m", "method": "vanilla"}, "datasets": []},
    ]
    folder = make_folder(tmp_path / "run", description)
    done = report(folder)
    assert done.returncode == 0, done.stderr
    assert "nan" not in done.stdout


def test_results_of_schema_1_give_the_same_tables(run, tmp_path):
    """Written without plan and tables, as they were: the plan is the folder's."""
    folder, description, _ = run
    old = make_folder(tmp_path / "old", description, "old")
    assert report(old).returncode == 0
    names = sorted(path.name for path in (folder / "report/tables").iterdir())
    assert len(names) > 12
    for name in names:
        assert (old / "report/tables" / name).read_text() == (folder / "report/tables" / name).read_text()
