"""Examples as pipeline/train writes them against the published way with transformers' tokenizers, on real data."""
import json

import outside
import pytest
import transformers

from reference import run_probe


@pytest.fixture(scope="module", params=["smollm2-135m-instruct", "gemma-3-270m"])
def tokenizer(request):
    folder = outside.model(request.param)
    return folder, transformers.AutoTokenizer.from_pretrained(folder)


def tofu(count):
    rows = [json.loads(line) for line in outside.data("tofu", "forget01.json").read_text().splitlines()]
    assert len(rows) >= count
    return [{"prompt": f"[INST] {row['question']} [/INST]", "answer": row["answer"]} for row in rows[:count]]


def alpaca(count):
    rows = json.loads(outside.data("alpaca_gpt4", "alpaca_en_demo.json").read_text())[:count]
    question = lambda row: row["instruction"] + ("\n" + row["input"] if row["input"] else "")
    return [{"prompt": f"<|user|>\n{question(row)}\n<|assistant|>\n", "answer": row["output"]} for row in rows]


def published_answer(tokenizer, item, max_tokens):
    """convert_raw_data_to_model_format of the TOFU code, without its padding."""
    prompt_tokens = len(tokenizer(item["prompt"], add_special_tokens=True).input_ids)
    ids = tokenizer(item["prompt"] + item["answer"], add_special_tokens=True, max_length=max_tokens,
                    truncation=True).input_ids
    if len(ids) < max_tokens:
        ids = ids + [tokenizer.eos_token_id]
    return {"tokens": ids, "labels": [-100] * min(prompt_tokens, len(ids)) + ids[prompt_tokens:]}


def published_instruction(tokenizer, item):
    source = tokenizer(item["prompt"], max_length=1024, truncation=True).input_ids
    target = (tokenizer(item["answer"], add_special_tokens=False).input_ids + [tokenizer.eos_token_id])[:1024]
    return {"tokens": source + target, "labels": [-100] * len(source) + target}


@pytest.mark.parametrize("max_tokens", [500, 40])
def test_answers(tokenizer, tmp_path, max_tokens):
    folder, truth = tokenizer
    items = tofu(40)
    ours = run_probe(tmp_path, {"command": "encode", "kind": "answer", "tokenizer": str(folder), "items": items,
                                "max_tokens": max_tokens})["examples"]
    assert ours == [published_answer(truth, item, max_tokens) for item in items]


def test_instructions(tokenizer, tmp_path):
    folder, truth = tokenizer
    items = alpaca(200)
    items.append({"prompt": "<|user|>\n" + "word " * 2000 + "\n<|assistant|>\n", "answer": "long " * 2000})
    ours = run_probe(tmp_path, {"command": "encode", "kind": "instruction", "tokenizer": str(folder),
                                "items": items})["examples"]
    assert ours == [published_instruction(truth, item) for item in items]
