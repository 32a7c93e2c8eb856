"""Chats on the command line and prompts in tasks, against transformers' apply_chat_template."""

import json
import subprocess
import sys

import h5py
import pytest
from transformers import AutoTokenizer

import support_pipeline as support
from support_pipeline import HERE, cmc, mpi, tiny, world  # noqa: F401
from test_truth import text

sys.path.append(str(HERE.parent / "text"))
from chat_shapes import SHAPES  # noqa: E402

MESSAGES = ["Who?", "  two  lines\n\n", "{{ bos_token }}", "</think> é 日本", ""]


def chatty(folder, shape):
    tokenizer, special = tiny.sentencepiece_bpe(900, dummy_prefix=True)
    tiny.write(folder, tiny.llama(tokenizer.get_vocab_size(), 5, hidden=48), tokenizer, {**special, "chat_template": SHAPES[shape]})
    return folder


def chats(folder, *options, messages=MESSAGES, expect=0):
    lines = "".join(json.dumps(line if isinstance(line, dict) else {"text": line}) + "\n" for line in messages)
    done = subprocess.run([mpi.program("cmc"), "tokenize", "--chat", "--model", folder, *options], input=lines, text=True,
                          capture_output=True, env=mpi.environment(), timeout=120)
    assert done.returncode == expect, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()] if expect == 0 else done.stderr


@pytest.mark.parametrize("shape", ["llama2", "chatml_begins", "splits_questions", "qwen3"])
@pytest.mark.parametrize("system", [None, "Be brief.\n"])
def test_tokenize_chats(shape, system, tmp_path):
    folder = chatty(tmp_path / "model", shape)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for message, ours in zip(MESSAGES, chats(folder, *(["--system", system] if system else [])), strict=True):
        chat = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": message}]
        rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert ours == {"text": rendered, "ids": tokenizer.encode(rendered, add_special_tokens=False)}


def test_the_date_is_told(tmp_path):
    folder = chatty(tmp_path / "model", "granite")
    assert "July 26, 2024" in chats(folder)[0]["text"]
    assert "January 31, 2025" in chats(folder, "--date", "2025-01-31")[0]["text"]
    assert "own" in chats(folder, messages=[{"text": "x", "system": "own"}])[0]["text"]
    assert "--date" in chats(folder, "--date", "today", expect=2)


def test_wrong_lines(tmp_path):
    folder = chatty(tmp_path / "model", "gemma")
    assert "standard input:2" in chats(folder, messages=["x", {"prompt": "y"}], expect=65)
    assert "There is no system role" in chats(folder, "--system", "x", expect=65)
    done = cmc("tokenize", "--model", folder, "--system", "x", expect=2)
    assert "--chat" in done.stderr


def test_generate_chats(tmp_path):
    """The same answer as to the prompt's text where the tokenizer adds nothing to it."""
    folder = chatty(tmp_path / "model", "chatml")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Who wrote it?"}\n')
    answer = cmc("generate", "--model", folder, "--prompts", tmp_path / "prompts.jsonl", "--new", 5, "--chat").stdout.splitlines()[0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    from test_truth import published

    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Who wrote it?"}], add_generation_prompt=True, return_dict=False)
    model, tokens = published.load_model(folder), []
    import torch
    with torch.no_grad():
        for _ in range(5):
            tokens.append(int(model(torch.tensor([ids + tokens])).logits[0, -1].argmax()))
            if tokens[-1] == tokenizer.eos_token_id:
                break
    assert json.loads(answer)["ids"] == [token for token in tokens if token != tokenizer.eos_token_id]


def planned(experiment, folder, *settings, expect=0):
    done = cmc("run", experiment, "--output", folder, "--only", "instruct", "--set", "models.targets=other", "--set", "deltas.unlearn=",
               *[word for setting in settings for word in ("--set", setting)], expect=expect)
    return done.stderr if expect else [task for task in json.loads((folder / "plan.json").read_text())["tasks"] if task["stage"] == "instruct"]


def test_tasks_and_results_hold_the_text(world, tmp_path):  # noqa: F811
    root, experiment = world
    config = root / "other" / "tokenizer_config.json"
    plain = config.read_text()
    config.write_text(json.dumps({**json.loads(plain), "chat_template": SHAPES["granite"]}))
    tasks = planned(experiment, tmp_path / "chat", "model.other.other_prompt=chat", "experiment.date=2025-01-31", "methods.instruct=vanilla")
    config.write_text(plain)
    (prompt,) = {json.dumps(task["parameters"]["base_prompt"], sort_keys=True) for task in tasks}
    prompt = json.loads(prompt)
    assert prompt.keys() == {"style", "before", "after", "date"} and prompt["date"] == "2025-01-31" and "January 31, 2025" in prompt["before"]
    for values in support.units(tmp_path / "chat").values():
        assert [text(asked) for asked in values["asked"]] == [prompt["before"] + text(one) + prompt["after"] for one in values["prompt"]]
    with h5py.File(tmp_path / "chat" / "results.h5") as file:
        assert set(map(text, file["tasks/prompt_before"][:])) == {prompt["before"]}
        assert set(map(text, file["tasks/prompt_after"][:])) == {prompt["after"]}
        assert "date = 2025-01-31" in text(file["configuration/experiment"][()])


def test_prompts_given_as_text(world, tmp_path):  # noqa: F811
    root, experiment = world
    tasks = planned(experiment, tmp_path / "text", "model.other.other_prompt_before=### Q:\\n".replace("#", "\\u0023"),
                    "model.other.other_prompt_after=\\n\\nA:\\s", "methods.instruct=vanilla")
    for task in tasks:
        assert task["parameters"]["base_prompt"] == {"style": "text", "before": "### Q:\n", "after": "\n\nA: "}
    for values in support.units(tmp_path / "text").values():
        assert [text(asked) for asked in values["asked"]] == [f"### Q:\n{text(one)}\n\nA: " for one in values["prompt"]]
    error = planned(experiment, tmp_path / "both", "model.other.other_prompt=chat", "model.other.other_prompt_after=x", expect=78)
    assert "other_prompt_after" in error


def test_a_question_that_the_template_writes_in_another_way(world, tmp_path):  # noqa: F811
    root, experiment = world
    config, data = root / "other" / "tokenizer_config.json", root / "data" / "alpaca_eval.json"
    plain, questions = config.read_text(), data.read_text()
    config.write_text(json.dumps({**json.loads(plain), "chat_template": SHAPES["thinks_when_asked"]}))
    settings = "model.other.other_prompt=chat", "methods.instruct=vanilla"
    assert all(task["parameters"]["base_prompt"]["marks"] == ["/no_think"] for task in planned(experiment, tmp_path / "well", *settings))
    items = json.loads(questions)
    items[1]["instruction"] += " /no_think"
    data.write_text(json.dumps(items))
    error = planned(experiment, tmp_path / "marked", *settings, expect=65)
    config.write_text(plain), data.write_text(questions)
    assert "in another way" in error and "prompt_before" in error and "tokenizer_config.json" in error
