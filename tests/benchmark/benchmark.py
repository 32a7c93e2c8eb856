"""Side by side in one run: cmc against the published loop over transformers, and against its own limits.

    .venv/bin/python tests/benchmark/benchmark.py [--new 48] [--prompts 32]

Needs a build (build/release/bin, or CMC_BIN) and the two small models (CMC_MODELS). Prints a Markdown table. Figures are of this
machine and this moment: compare within a run only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "differential"))
import published  # noqa: E402
import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402

BIN = Path(os.environ.get("CMC_BIN", ROOT / "build" / "release" / "bin"))
MODELS = Path(os.environ.get("CMC_MODELS", ROOT / "models"))
DATA = Path(os.environ.get("CMC_DATA", ROOT / ".." / "shared" / "data"))
SMOLLM2, GEMMA = MODELS / "smollm2-135m-instruct", MODELS / "gemma-3-270m"


def make_delta(folder):
    """A delta as small_llms trains it: 4 layers of 64 on SmolLM2's vocabulary."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(SMOLLM2)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4,
                         intermediate_size=172, tie_word_embeddings=True, max_position_embeddings=2048)
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (Path(folder) / name).write_bytes((SMOLLM2 / name).read_bytes())
    return folder


def jsonl(path, rows):
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def cmc(verb, *arguments):
    """(seconds, tokens) of the loop, without loading."""
    done = subprocess.run([BIN / "cmc", verb, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    return last["seconds"], last["tokens"]


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


class Table:
    def __init__(self):
        print("| what | figure | against | goal |\n|---|---|---|---|", flush=True)

    def row(self, what, figure, against="", goal=""):
        print(f"| {what} | {figure} | {against} | {goal} |", flush=True)


def limits():
    """(bytes/s of reading memory, FLOP/s of a float32 product)."""
    block = torch.ones(64 * 1024 * 1024)
    best = min(timed(lambda: block.sum())[0] for _ in range(5))
    a = torch.randn(1024, 1024)
    flops = min(timed(lambda: a @ a)[0] for _ in range(10))
    return block.numel() * 4 / best, 2 * 1024**3 / flops


def transformers_batch(folder, prompts, new):
    """tokens/s of transformers' own greedy decoding at batch 16."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    total = 0

    def run():
        nonlocal total
        for first in range(0, len(prompts), 16):
            inputs = tokenizer(prompts[first:first + 16], return_tensors="pt", padding=True)
            out = model.generate(**inputs, max_new_tokens=new, min_new_tokens=new, do_sample=False)
            total += (out.shape[1] - inputs.input_ids.shape[1]) * out.shape[0]
    with torch.no_grad():
        seconds, _ = timed(run)
    return total / seconds


def published_decoding(folder, delta, prompts, new, token_map=None):
    """tokens/s of the published loop: vanilla without delta, else fused."""
    base, tokenizer = published.load_model(folder), published.load_tokenizer(folder)
    steering = {}
    if delta:
        steering = {"delta": published.Delta([published.Part(published.load_model(delta))]), "alpha": 0.1}
        if token_map:
            steering["delta"].tokenizer, steering["delta"].token_map = published.load_tokenizer(delta), token_map
    seconds, results = timed(lambda: [published.generate(base, tokenizer, prompt, new, **steering) for prompt in prompts])
    return sum(len(result["ids"]) for result in results) / seconds


def token_map_of(work):
    file = work / "map.json"
    subprocess.run([BIN / "cmc", "map", "--from", GEMMA, "--to", SMOLLM2, "--json", file], check=True, capture_output=True)
    parsed = json.loads(file.read_text())
    kinds = {"exact": published.EXACT, "inexact": published.INEXACT, "unmapped": published.UNMAPPED}
    return parsed["ids"], [kinds[match] for match in parsed["match"]]


def decoding(table, work, delta, prompts, new, bandwidth):
    file = jsonl(work / "prompts.jsonl", [{"prompt": prompt} for prompt in prompts])
    few = prompts[:3]
    speed = {}
    for name, folder, other in [("SmolLM2", SMOLLM2, False), ("Gemma", GEMMA, True)]:
        weights = sum(f.stat().st_size for f in folder.glob("*.safetensors")) * 2  # bf16 on disk, float32 here
        common = ["--model", folder, "--prompts", file, "--new", new, "--batch", 16]
        seconds, tokens = cmc("generate", *common)
        vanilla = tokens / seconds
        slow = published_decoding(folder, None, few, new)
        own = transformers_batch(folder, prompts, new)
        table.row(f"vanilla {name}, batch 16, tokens/s", f"{vanilla:.0f}", f"published loop {slow:.0f} ({vanilla / slow:.1f}×), "
                  f"transformers batch 16 {own:.0f} ({vanilla / own:.2f}×); batch-1 limit by bandwidth {bandwidth / weights:.0f}", "5×")
        seconds, tokens = cmc("generate", *common, "--delta", delta, "--alpha", 0.1)
        fused = tokens / seconds
        slow = published_decoding(folder, delta, few, new, token_map_of(work) if other else None)
        table.row(f"fused {name}{', other vocabulary' if other else ''}, batch 16, tokens/s", f"{fused:.0f}",
                  f"published loop {slow:.1f} ({fused / slow:.1f}×)", "5×")
        table.row(f"fused against own vanilla, {name}, time a token", f"{vanilla / fused:.2f}×", "", "1.3×" if other else "1.15×")
        speed[name] = vanilla
    return speed


def scoring(table, work, delta, flops):
    lines = (DATA / "tofu" / "forget01.json").read_text(encoding="utf-8").splitlines()[:24]
    items = [json.loads(line) for line in lines]
    pairs = [{"prompt": f"[INST] {i['question']} [/INST]", "answer": i["answer"]} for i in items]
    file = jsonl(work / "pairs.jsonl", pairs)
    base, tokens = cmc("score", "--model", GEMMA, "--pairs", file)
    fused, _ = cmc("score", "--model", GEMMA, "--delta", delta, "--pairs", file)
    model, tokenizer = published.load_model(GEMMA), published.load_tokenizer(GEMMA)
    steering = published.Delta([published.Part(published.load_model(delta))], published.load_tokenizer(delta), token_map_of(work))
    few = pairs[:4]
    plain, _ = timed(lambda: [published.score(model, tokenizer, p["prompt"], p["answer"]) for p in few])
    slow, _ = timed(lambda: [published.score(model, tokenizer, p["prompt"], p["answer"], steering, 1.0) for p in few])
    parameters = sum(f.stat().st_size for f in GEMMA.glob("*.safetensors")) / 2
    table.row("scoring in the other vocabulary, against own base forward", f"{fused / base:.2f}×",
              f"published loop {slow / plain:.2f}× its base; base alone {tokens / base:.0f} answer tokens/s, "
              f"limit by FLOP/s {flops / (2 * parameters):.0f} tokens/s", "1.3×")


def training_step(work, delta, examples, keep):
    """Median seconds of a step of 16 examples in the second epoch of delta training beside SmolLM2."""
    request = work / "train.json"
    request.write_text(json.dumps({
        "command": "train", "trained": str(delta), "frozen": [{"folder": str(SMOLLM2), "keep": keep}], "examples": examples,
        "settings": {"batch": 4, "accumulation": 4, "epochs": 2}}), encoding="utf-8")
    done = subprocess.run([BIN / "probe_train", request], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout.splitlines()[-1])["reports"]
    return statistics.median(step["seconds"] for step in reports[len(reports) // 2:])


def training(table, work, delta):
    tokenizer = AutoTokenizer.from_pretrained(SMOLLM2)
    pairs = json.loads((DATA / "alpaca_gpt4" / "alpaca_en_demo.json").read_text(encoding="utf-8"))[:48]
    examples = []
    for pair in pairs:
        question = pair["instruction"] + ("\n" + pair["input"] if pair.get("input") else "")
        prompt = tokenizer(f"<|user|>\n{question}\n<|assistant|>\n").input_ids
        answer = tokenizer(pair["output"]).input_ids + [tokenizer.eos_token_id]
        examples.append({"tokens": prompt + answer, "labels": [-100] * len(prompt) + answer})
    kept, run = training_step(work, delta, examples, True), training_step(work, delta, examples, False)
    table.row("training step (16 Alpaca examples) with the template's states kept, s", f"{kept:.2f}",
              f"running the template {run:.2f} ({run / kept:.1f}×)", "3×")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--new", type=int, default=48)
    parser.add_argument("--prompts", type=int, default=32)
    options = parser.parse_args()
    for folder in (SMOLLM2, GEMMA):
        assert (folder / "config.json").exists(), f"{folder} is missing: jobs/setup.sh --models"
    items = json.loads((DATA / "alpaca_eval" / "alpaca_eval.json").read_text(encoding="utf-8"))[:options.prompts]
    prompts = [item["instruction"] for item in items]
    bandwidth, flops = limits()
    print(f"{torch.get_num_threads()} threads, reads {bandwidth / 1e9:.1f} GB/s, multiplies {flops / 1e9:.0f} GFLOP/s\n")
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        delta = make_delta(work / "delta")
        decoding(table, work, delta, prompts, options.new, bandwidth)
        scoring(table, work, delta, flops)
        training(table, work, delta)


if __name__ == "__main__":
    main()
