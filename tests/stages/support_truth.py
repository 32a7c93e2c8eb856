"""A run's targets and deltas as transformers reads them, and what they answer by the published algorithm."""

import json
import subprocess
import sys

import peft
import torch
from support_pipeline import HERE, mpi

sys.path.insert(0, str(HERE.parent / "differential"))
import published  # noqa: E402

torch.set_num_threads(1)


def load(root, output, reference):
    """(model, folder of its tokenizer) of a task's reference: a folder, one that a task made, or adapters on another."""
    if "base" in reference:
        base, folder = load(root, output, reference["base"])
        return peft.PeftModel.from_pretrained(base, output / "checkpoints" / reference["task"]).merge_and_unload(), folder
    folder = output / "checkpoints" / reference["task"] if "task" in reference else root / reference["name"]
    return published.load_model(folder), folder


class Target:
    """A target and its delta as the reference reads them, from the run's own folders."""

    def __init__(self, root, output, parameters):
        reference = parameters["model"]
        self.model, folder = load(root, output, reference)
        self.tokenizer = published.load_tokenizer(folder)
        self.delta = None  # a list where there are two
        gate = (parameters["gate"], parameters.get("gate_threshold", 0)) if "gate" in parameters else ()
        if parameters["method"] == "contrast":
            self.delta = published.Delta([published.Part(self.model)], contrast=True, gate=gate)
        elif "delta" in parameters:
            added = [parameters, *([parameters["other"]] if "other" in parameters else [])]
            deltas = [self.added(root, output, one, parameters) for one in added]
            for delta in deltas:
                delta.gate = ("plausible", 0.01) if parameters["method"] == "uld" else gate
            self.delta = deltas if len(deltas) > 1 else deltas[0]
        self.ends = [2] if reference["name"] == "other" else [0]  # of tiny_checkpoints.py

    @staticmethod
    def added(root, output, added, parameters):
        delta = published.Delta([published.Part(published.load_model(output / "checkpoints" / part["model"]["task"]), part["weight"])
                                 for part in added["parts"]])
        if "map" in added:
            folder = root / added["delta_tokenizer"]["name"]
            delta.tokenizer = published.load_tokenizer(folder)
            name = parameters["map_method"]
            delta.union, delta.summed = name == "top_union", name == "prefix_sum"
            delta.token_map, delta.candidates = token_map(root, root / parameters["model"]["name"], folder, "pm_mined" if delta.union else name)
            delta.top, delta.unmapped = parameters.get("top", 0), parameters["unmapped"]
        return delta

    def reads_own_prompt(self):
        return any(delta.reads_own_prompt() for delta in (self.delta if isinstance(self.delta, list) else [self.delta]) if delta)


def token_map(root, base, delta, method):
    """((ids, match), candidates): the latter None but for one_to_many and prefix_sum."""
    file = root / "map.json"
    subprocess.run([mpi.program("cmc"), "map", "--from", base, "--to", delta, "--method", method, "--json", file],
                   check=True, capture_output=True)
    made = json.loads(file.read_text())
    kinds = {"exact": published.EXACT, "inexact": published.INEXACT, "unmapped": published.UNMAPPED}
    return (made["ids"], [kinds[match] for match in made["match"]]), made.get("candidates")


def chosen(units, stage, target, prompts=None):
    found = [(task["parameters"], values) for task, values in units
             if task["stage"] == stage and task["parameters"]["target"] == target and task["parameters"].get("prompts") == prompts]
    assert found
    return found


def text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else value


def in_hdf5(value):
    """HDF5 text ends at a NUL; one inside is written as U+FFFD."""
    return value.replace("\0", "\ufffd")


def answer_score(target, question, answer, alpha, delta_reads=None, led_on=""):
    """As TOFU's dataset does: prompt and answer are one text, cut where the prompt's tokens end; the end token is scored.
    led_on: what the prompt ends with."""
    prompt = f"[INST] {question} [/INST]" + led_on
    ids, whole = target.tokenizer.encode(prompt).ids, lambda each: target.tokenizer.encode(prompt + each).ids + target.ends[:1]
    reads = None if delta_reads is None else whole(delta_reads)
    return published.score_ids(target.model, target.tokenizer, whole(answer), len(ids), target.delta, alpha, delta_reads=reads)


def tokens_of(values, row, column):
    offsets = values[f"answer_token_{column}_offsets"]
    return values[f"answer_token_{column}_values"][offsets[row]:offsets[row + 1]].tolist()
