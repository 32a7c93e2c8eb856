"""The judge: its probabilities equal transformers' on a prompt built here, its table numpy's; what cannot be judged is refused early."""

import json
import shutil
import subprocess

import numpy as np
import pandas
import pytest
import scipy.stats
import torch
from transformers import AutoTokenizer

import support_pipeline as support
from support_pipeline import HERE, cmc, mpi, tiny
from test_truth import published, text

torch.set_num_threads(1)

CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
COMPARISON = """Two assistants answered the same instruction. Compare their outputs.

### Instruction
{instruction}

### Output A
{a}

### Output B
{b}

### Question
Which output is the better answer to the instruction? Reply with one letter, A or B."""
SYSTEM = ("target", "method", "delta", "mode", "map_method")


def settings(**values):
    return [word for key, value in values.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The tiny experiment, and a model with a chat template that only judges."""
    root = tmp_path_factory.mktemp("judge")
    experiment = support.make_world(root)
    tokenizer, special = tiny.byte_level_bpe(600)
    tiny.write(root / "chatty", tiny.llama(tokenizer.get_vocab_size(), 7, hidden=48), tokenizer, {**special, "chat_template": CHATML})
    return root, experiment


def judged(world, ranks=None, **values):
    """Units of a run with a judge, as (task, values), and its tables. All runs share a folder: responses are made once."""
    root, experiment = world
    output = root / "run"
    cmc("run", experiment, "--output", output, "--only", "judge", *settings(instruct__strengths="0, 1", judge__unit_items=3, **values),
        ranks=ranks)
    return planned_units(output), report(output)


def planned_units(output):
    found, plan = support.units(output), json.loads((output / "plan.json").read_text())["tasks"]
    return [(task, found[task["key"]]) for task in plan if task["key"] in found]


def report(output):
    done = subprocess.run([mpi.program("cmc-report"), str(output)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tables = output / "report" / "tables"
    return {name: pandas.read_csv(tables / f"{name}.csv") for name in ("win_rates", "judge")} | {
        "markdown": (tables / "win_rates.md").read_text(encoding="utf-8") + (tables / "judge.md").read_text(encoding="utf-8")}


@pytest.fixture(scope="module")
def by_reference(world):
    return judged(world, ranks=2, judge__model="chatty", model__chatty__path=world[0] / "chatty")


@pytest.fixture(scope="module")
def by_vanilla(world):
    return judged(world, judge__model="other", judge__against="vanilla")


def system_of(parameters):
    return tuple(parameters.get(key, "") for key in SYSTEM)


def rows_of(units, stage):
    """{(system, alpha, item): {dataset: value}}"""
    rows = {}
    for task, values in units:
        if task["stage"] != stage or task["parameters"].get("prompts") == "checked":
            continue
        for row, (alpha, item) in enumerate(zip(values["alpha"], values["item"])):
            rows[system_of(task["parameters"]), alpha, item] = {name: column[row] for name, column in values.items() if
                                                               len(column) == len(values["alpha"])}
    return rows


class Judge:
    """transformers and tokenizers, one verdict at a time."""

    def __init__(self, folder, prompt):
        self.model, self.tokenizer, self.prompt = published.load_model(folder), published.load_tokenizer(folder), prompt

    def likelihood(self, instruction, a, b, verdict):
        asked = self.prompt(COMPARISON.format(instruction=instruction, a=a, b=b))
        return np.exp(published.score(self.model, self.tokenizer, asked, verdict)["logprob"])

    def prefers_a(self, instruction, a, b):
        first, second = (self.likelihood(instruction, a, b, verdict) for verdict in "AB")
        return first / (first + second), first + second


def assert_judged_as(judge, row, instruction, response, baseline):
    first, some = judge.prefers_a(instruction, response, baseline)
    other, more = judge.prefers_a(instruction, baseline, response)
    assert row["probability_first"] == pytest.approx(first, abs=1e-4)
    assert row["probability_second"] == pytest.approx(1 - other, abs=1e-4)
    assert row["probability"] == pytest.approx((first + 1 - other) / 2, abs=1e-4)
    assert row["verdict_probability"] == pytest.approx((some + more) / 2, abs=1e-4)


def test_against_the_reference(world, by_reference):
    root, units = world[0], by_reference[0]
    chat = AutoTokenizer.from_pretrained(root / "chatty")
    judge = Judge(root / "chatty", lambda question: chat.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True))
    items = json.loads((root / "data" / "alpaca_eval.json").read_text(encoding="utf-8"))
    responses, judgements = rows_of(units, "instruct"), rows_of(units, "judge")
    assert judgements.keys() == responses.keys() and len(judgements) == 3 * 4 * 3, "every system, strength and prompt"
    for key, row in judgements.items():
        item = items[key[2]]
        assert_judged_as(judge, row, item["instruction"], text(responses[key]["response"]), item["output"])


def test_against_what_the_target_alone_answers(world, by_vanilla):
    """A judge of another vocabulary without a chat template: asked as open-instruct writes it, a begin token before."""
    root, units = world[0], by_vanilla[0]
    judge = Judge(root / "other", lambda question: f"<|user|>\n{question}\n<|assistant|>\n")
    responses, judgements = rows_of(units, "instruct"), rows_of(units, "judge")
    assert judgements.keys() == {key for key in responses if key[0][1] != "vanilla"}
    for (system, alpha, item), row in judgements.items():
        response = responses[system, alpha, item]
        alone = responses[(system[0], "vanilla", "", "", ""), 0, item]
        assert_judged_as(judge, row, text(response["prompt"]), text(response["response"]), text(alone["response"]))
        if alpha == 0:  # nothing is added: the target against itself
            assert row["probability"] == 0.5, "a tie, exactly"


@pytest.mark.parametrize("run", ["by_reference", "by_vanilla"])
def test_tables_equal_numpy(run, request):
    units, tables = request.getfixturevalue(run)
    judgements = rows_of(units, "judge")
    rows = tables["win_rates"].fillna({"α": 0})
    assert len(rows) == len({(key[0], key[1]) for key in judgements})
    for _, row in rows.iterrows():
        mine = [values for (system, alpha, _), values in judgements.items() if system[:2] == (row["Target"], row["Method"]) and alpha == row["α"]]
        probability = np.array([values["probability"] for values in mine])
        wins = 100 * (np.sign(probability - 0.5) + 1) / 2
        assert row["n"] == len(mine) == 4
        for column, values in [("Win rate, %", wins), ("Probability, %", 100 * probability)]:
            assert row[column] == pytest.approx(np.mean(values), rel=1e-12)
            assert row[f"{column} standard error"] == pytest.approx(scipy.stats.sem(values), rel=1e-9)
            assert row[f"{column} n"] == 4
    assert len(tables["judge"]) == 1
    bias = tables["judge"].iloc[0]
    first = pandas.Series({key: (row["probability_first"] + 1 - row["probability_second"]) / 2 for key, row in judgements.items()})
    by_item = 100 * first.groupby(level=2).mean()
    assert bias["First preferred, %"] == pytest.approx(by_item.mean(), rel=1e-12)
    assert bias["First preferred, % standard error"] == pytest.approx(scipy.stats.sem(by_item), rel=1e-9)
    assert bias["n"] == 4


def test_tables_name_judge_and_baseline(by_reference, by_vanilla):
    first, second = by_reference[1]["judge"].iloc[0], by_vanilla[1]["judge"].iloc[0]
    assert (first["Judge"], first["Against"]) == ("chatty", "nobody")
    assert (second["Judge"], second["Against"]) == ("other", "vanilla")
    assert "judged by chatty" in by_reference[1]["markdown"] and "nobody" in by_reference[1]["markdown"]


def test_what_is_not_judged_is_a_dash(world, by_reference, tmp_path):
    """A run that ended before its judge: every system has its row, and no figure."""
    judged(world, judge__model="chatty", model__chatty__path=world[0] / "chatty")  # the folder's last run
    output = shutil.copytree(world[0] / "run", tmp_path / "run")
    for key, values in support.units(output).items():
        if "verdict_probability" in values:
            (output / "units" / key[:2] / f"{key}.h5").unlink()
    (output / "results.h5").unlink()
    tables = report(output)
    rows = tables["win_rates"]
    assert len(rows) == len(by_reference[1]["win_rates"])
    assert rows[["n", "Win rate, %", "Probability, %"]].isna().all(axis=None)
    assert "–" in tables["markdown"] and "0.0" not in tables["markdown"]


def test_every_variant_is_judged_by_itself(world):
    """Whatever tells systems apart: no task mixes two of them, and none is left out."""
    several = settings(judge__model="large", judge__unit_items=3, fusion__mode="base_normalized, raw_sum",
                       fusion__unmapped="zero, minimum", token_map__method="pm_mined, exact_only")
    plan = json.loads(cmc("plan", world[1], "--json", *several).stdout)["tasks"]
    asked = {task["key"]: json.dumps({key: value for key, value in task["parameters"].items() if key not in ("first", "count")})
             for task in plan if task["stage"] == "instruct" and task["parameters"]["prompts"] == "plain"}
    judges = [task for task in plan if task["stage"] == "judge"]
    for task in judges:
        assert len({asked[key] for key in task["parameters"]["responses"]}) == 1, task["name"]
    assert {key for task in judges for key in task["parameters"]["responses"]} == asked.keys()
    systems = 3 * 3 + 2  # vanilla, cmc and its other mode; in another vocabulary also the other map, and another unmapped
    assert len(set(asked.values())) == systems and len({task["name"] for task in judges}) == len(judges) == 2 * systems


def test_longer_than_the_judges_context(world, by_reference):
    """Left out of n, not guessed: a context of as many tokens as the median prompt."""
    root = world[0]
    narrow = shutil.copytree(root / "chatty", root / "narrow")
    config = json.loads((narrow / "config.json").read_text())
    full = rows_of(by_reference[0], "judge")
    tokenizer, items = AutoTokenizer.from_pretrained(narrow), json.loads((root / "data" / "alpaca_eval.json").read_text(encoding="utf-8"))
    lengths = [len(tokenizer.apply_chat_template([{"role": "user", "content": COMPARISON.format(
        instruction=items[key[2]]["instruction"], a=text(row["response"]), b=items[key[2]]["output"])}], add_generation_prompt=True)["input_ids"])
        for key, row in rows_of(by_reference[0], "instruct").items()]
    config["max_position_embeddings"] = int(np.median(lengths))
    (narrow / "config.json").write_text(json.dumps(config))
    units, tables = judged(world, judge__model="narrow", model__narrow__path=narrow)
    rows = rows_of(units, "judge")
    assert rows.keys() == full.keys()
    unjudged = [key for key, row in rows.items() if np.isnan(row["probability"])]
    assert 0 < len(unjudged) < len(rows)
    for key, row in rows.items():
        assert key in unjudged or row["probability"] == pytest.approx(full[key]["probability"], abs=1e-5)
    assert tables["win_rates"]["n"].sum() == len(rows) - len(unjudged)


@pytest.mark.parametrize("change, key, remedy", [
    ({"judge__model": "nobody"}, "judge.model", "[model.nobody]"),
    ({"judge__against": "vanilla", "methods__instruct": "cmc"}, "judge.against", "methods.instruct"),
    ({"data__alpaca_eval": ""}, "data.alpaca_eval", "AlpacaEval prompts"),
    ({"deltas__instruct": ""}, "judge.model", "deltas.instruct"),
    ({"judge__prompt": "chat"}, "judge.prompt", "open_instruct"),
    ({"judge__against": "gpt4"}, "judge.against", "reference, vanilla"),
])
def test_what_cannot_be_judged(world, tmp_path, change, key, remedy):
    done = cmc("run", world[1], "--output", tmp_path / "out", *settings(**{"judge__model": "large", **change}), expect=78)
    assert key in done.stderr and remedy in done.stderr
    assert not (tmp_path / "out" / "plan.json").exists(), "nothing was begun"
