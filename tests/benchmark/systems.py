"""The systems that benchmark.py measures: each continues the same prompts by as many tokens as asked, whatever tokens these are (an end
token ends nothing), greedily, in float32, with the same number of threads. `run(new)` gives (seconds without loading, [new ids of each
prompt])."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import standalone  # noqa: E402
from standalone import Missing  # noqa: E402, F401


def need(package, requirements):
    standalone.need_packages(package, requirements=requirements)
    try:
        return __import__(package)
    except ImportError as error:
        raise Missing(f"the Python package {package}", f"{error}: {sys.executable} -m pip install -r {requirements}") from None


def find_programs(*names):
    folder = standalone.need_programs(*names)
    return [folder / name for name in names]


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def batches(items, size):
    return [items[first:first + size] for first in range(0, len(items), size)]


def jsonl(path, rows):
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run_cmc(program, verb, threads, *arguments):
    """(seconds without loading, a line of each prompt or pair)."""
    done = subprocess.run([program, verb, *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""})
    if done.returncode != 0:
        raise SystemExit(f"cmc {verb}: exit {done.returncode}\n{done.stderr}")
    *results, last = map(json.loads, done.stdout.splitlines())
    return last["seconds"], results


class Cmc:
    """A process a run, which runs everything once before the time is taken."""

    name, in_this_process = "cmc", False

    def __init__(self, program, folder, prompts, batch, threads, file, delta=None):
        self.arguments = [program, "generate", threads, "--model", folder, "--batch", batch, "--dtype", "float32", "--ignore-end",
                          "--warm-up", 1, "--prompts", jsonl(file, [{"prompt": prompt} for prompt in prompts])]
        if delta:
            self.arguments += ["--delta", delta, "--alpha", 0.1]

    def run(self, new):
        seconds, lines = run_cmc(*self.arguments, "--new", new)
        return seconds, [line["ids"] for line in lines]


class Published:
    """The published loop over transformers, one prompt at a time."""

    name, in_this_process = "published loop", True

    def __init__(self, published, model, tokenizer, prompts, delta=None):
        self.call = lambda new: [published.generate(model, tokenizer, prompt, new, **({"delta": delta, "alpha": 0.1} if delta else {}))["ids"]
                                 for prompt in prompts]

    def run(self, new):
        return timed(lambda: self.call(new))


class Transformers:
    """generate() of transformers, padded on the left."""

    name, in_this_process = "transformers", True

    def __init__(self, model, tokenizer, prompts, batch):
        import torch
        model.generation_config.eos_token_id = None  # else generate() takes it from there
        self.model, self.torch = model, torch
        self.inputs = [self.padded([tokenizer.encode(prompt).ids for prompt in group]) for group in batches(prompts, batch)]

    def padded(self, rows):
        width = max(map(len, rows))
        ids, mask = ([[filler] * (width - len(row)) + values for row, values in zip(rows, kept)]
                     for filler, kept in ((0, rows), (0, [[1] * len(row) for row in rows])))
        return {"input_ids": self.torch.tensor(ids), "attention_mask": self.torch.tensor(mask)}

    def run(self, new):
        def generate():
            rows = []
            for inputs in self.inputs:
                out = self.model.generate(**inputs, max_new_tokens=new, do_sample=False, pad_token_id=0)
                rows += out[:, inputs["input_ids"].shape[1]:].tolist()
            return rows

        with self.torch.no_grad():
            return timed(generate)


class CTranslate2:
    """Its generator over the folder as its converter writes it."""

    name, in_this_process = "CTranslate2", True

    def __init__(self, folder, tokenizer, prompts, batch, threads, work):
        import ctranslate2
        converted = work / f"ctranslate2-{folder.name}"
        if not converted.exists():
            ctranslate2.converters.TransformersConverter(str(folder)).convert(str(converted))
        self.generator = ctranslate2.Generator(str(converted), device="cpu", compute_type="float32", inter_threads=1, intra_threads=threads)
        rows = [[tokenizer.id_to_token(token) for token in tokenizer.encode(prompt).ids] for prompt in prompts]
        self.groups = batches(rows, batch)

    def run(self, new):
        """min_length keeps the end token from being chosen, which costs what any other token does."""
        def generate():
            return [result.sequences_ids[0] for group in self.groups
                    for result in self.generator.generate_batch(group, min_length=new, max_length=new, sampling_topk=1,
                                                                include_prompt_in_result=False)]

        return timed(generate)
