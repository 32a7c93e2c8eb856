#!/usr/bin/env python3
"""cmc beside the published algorithm over transformers, transformers' own generate() and CTranslate2, its training beside plain loops of
PyTorch and peft: equal work, in turns.

    tests/benchmark/benchmark.py [--batch 1,16] [--new 64] [--prompts 16] [--repeat 5] [--threads N] [--models A,B]
                                 [--what ...] [--peers ...] [--json FILE]

Needs a build (build/release/bin, or CMC_BIN), models (folders, or names under CMC_MODELS) and the packages of the tests. All systems
continue the same prompts by the same number of tokens, end tokens or not, in float32 on the same number of threads. One warm-up, then
--repeat rounds in which each system has its turn, every second round in reverse order. Prefill is the time until every prompt has its
first new token (a run of one token); decoding is what a run of --new tokens takes beyond it. Loading is not in it. Fused decoding is beside cmc's own without the delta.
Prints a Markdown table of medians and, in brackets, least and most: figures of this machine and this moment, to be compared within a run
only, the last column by rounds. A system that cannot do a row is a dash, its reason below the table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import systems
import training_loops
from systems import ROOT, Missing, find_programs, need, timed

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "differential")]
PARTS = ("decoding", "fused", "scoring", "training")
PEERS = ("published", "transformers", "ctranslate2", "pytorch", "peft")


def parse():
    numbers = lambda text: [int(number) for number in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=numbers, default=[1, 16], help="sequences at once, several by commas")
    parser.add_argument("--new", type=int, default=64, help="new tokens of each prompt, 2 at least")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--models", type=lambda text: text.split(","), default=["smollm2-135m-instruct", "gemma-3-270m"],
                        help="the first is the delta's template: its vocabulary is the delta's")
    parser.add_argument("--what", type=lambda text: text.split(","), default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--json", help="a file for every run")
    given = parser.parse_args()
    if given.new < 2 or min([*given.batch, given.prompts, given.repeat, given.threads]) < 1 or not (
            set(given.what) <= set(PARTS) and set(given.peers) <= set(PEERS)):
        parser.error(f"--new is 2 at least, other numbers 1, --what of {', '.join(PARTS)}, --peers of {', '.join(PEERS)}")
    return given


def model_folder(name):
    for folder in (Path(name), Path(os.environ.get("CMC_MODELS") or ROOT / "models") / name):
        if (folder / "config.json").exists():
            return folder.resolve()
    raise Missing(str(folder), "jobs/setup.sh --models, or name the folder of models by CMC_MODELS")


class Load:
    """What other programs do meanwhile, in cores."""

    def __init__(self):
        self.start, self.at_start = self.now(), os.getloadavg()[0]

    @staticmethod
    def now():
        """(wall seconds, seconds of all cores in use, of this process and its children)."""
        busy = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        idle = busy[3] + busy[4]
        return time.monotonic(), (sum(busy[:8]) - idle) / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])

    def others(self):
        wall, busy, own = (after - before for before, after in zip(self.start, self.now()))
        return max(0.0, (busy - own) / wall)

    def told(self, cores, what):
        return f"**WARNING: {what} {cores:.1f} cores: these figures are not to be quoted.**" if cores > 0.3 else ""


class Bench:
    """Settings, the models of one folder at a time, and the rows."""

    def __init__(self, given, work):
        self.given, self.work, self.rows = given, work, []
        self.folders = [model_folder(name) for name in given.models]
        self.cmc, = find_programs("cmc")
        import made_data
        import published
        self.published, self.made = published, made_data
        self.prompts = [item["instruction"] for item in made_data.evaluation_prompts(given.prompts)]
        self.delta = self.make_delta(work / "delta")

    def make_delta(self, folder):
        """As small_llms trains it: 4 layers of 64 on the template's vocabulary."""
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM
        torch.manual_seed(0)
        template = self.folders[0]
        config = LlamaConfig(vocab_size=self.published.load_tokenizer(template).get_vocab_size(), hidden_size=64, num_hidden_layers=4,
                             num_attention_heads=4, num_key_value_heads=4, intermediate_size=172, tie_word_embeddings=True,
                             max_position_embeddings=2048)
        LlamaForCausalLM(config).save_pretrained(folder)
        for file in template.glob("tokenizer*.json"):
            (folder / file.name).write_bytes(file.read_bytes())
        return folder

    def load(self, folder):
        self.folder, self.model, self.tokenizer = folder, self.published.load_model(folder), self.published.load_tokenizer(folder)
        template = self.published.load_tokenizer(self.folders[0])
        self.other_vocabulary = template.get_vocab() != self.tokenizer.get_vocab()

    def published_delta(self):
        delta = self.published.Delta([self.published.Part(self.published.load_model(self.delta))])
        if self.other_vocabulary:
            file = self.work / "map.json"
            subprocess.run([self.cmc, "map", "--from", self.folder, "--to", self.delta, "--json", file], check=True, capture_output=True)
            found = json.loads(file.read_text())
            kinds = {"exact": self.published.EXACT, "inexact": self.published.INEXACT, "unmapped": self.published.UNMAPPED}
            delta.tokenizer, delta.token_map = self.published.load_tokenizer(self.delta), (found["ids"], [kinds[match] for match in found["match"]])
        return delta

    def rounds(self, what, unit, contenders, batch=None, **facts):
        """contenders: {name: a function that gives a run's record}, or a text that says why there is none."""
        rows = {name: {"model": self.folder.name, "what": what, "unit": unit, "batch": batch, "system": name, **facts, "runs": []}
                for name in contenders}
        working = {}
        for name, run in contenders.items():
            why = run if isinstance(run, str) else attempt(lambda: run(True))
            if isinstance(why, str):
                rows[name]["why"] = why
            else:
                working[name] = run
        for turn in range(self.given.repeat):
            for name, run in list(working.items())[::-1 if turn % 2 else 1]:  # nobody is always first
                rows[name]["runs"].append(run(False))
                if rows[name]["runs"][-1]["value"] is None:
                    rows[name]["why"] = "decoding took no longer than prefill: raise --new"
                print(f"{self.folder.name}, {what}{f', batch {batch}' if batch else ''}: {name}, round {turn + 1}", file=sys.stderr)
        self.rows += rows.values()


def continuing(system, prompts, new):
    """A turn: one run of one token and one of all; held to be equal work. What lives in this process was left cold by the turns of others."""
    def run(warm_up):
        record = {}
        if system.in_this_process:
            system.run(1)
        for key, asked in (("first", 1), ("all", 2 if warm_up else new)):
            seconds, ids = system.run(asked)
            if [len(row) for row in ids] != [asked] * prompts:
                raise SystemExit(f"{system.name}: other than {asked} new tokens of each of {prompts} prompts: {[len(row) for row in ids]}")
            record[key] = {"seconds": seconds, "tokens": sum(map(len, ids))}
        decoding = record["all"]["seconds"] - record["first"]["seconds"]
        return {**record, "value": (record["all"]["tokens"] - record["first"]["tokens"]) / decoding if decoding > 0 else None}
    return run


def attempt(make):
    """A peer that cannot load or run a model says why, in a line. What cmc cannot do, and unequal work, ends the benchmark."""
    try:
        return make()
    except Exception as error:  # whatever a peer raises
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def decoders(bench, batch, delta, slow):
    """{name: system, or why there is none} of one batch size."""
    given, prompts = bench.given, bench.prompts
    found = {"cmc": systems.Cmc(bench.cmc, bench.folder, prompts, batch, given.threads, bench.work / "prompts.jsonl", delta)}
    if delta:
        found["cmc, no delta"] = systems.Cmc(bench.cmc, bench.folder, prompts, batch, given.threads, bench.work / "prompts.jsonl")
    if "published" in given.peers:
        found[slow.name] = slow if batch == given.batch[0] else f"one prompt at a time: see batch {given.batch[0]}"
    if "transformers" in given.peers and not delta:
        found[systems.Transformers.name] = attempt(lambda: systems.Transformers(bench.model, bench.tokenizer, prompts, batch))
    if "ctranslate2" in given.peers and not delta:
        found[systems.CTranslate2.name] = attempt(
            lambda: systems.CTranslate2(bench.folder, bench.tokenizer, prompts, batch, given.threads, bench.work))
    return found


def measure_decoding(bench, fused):
    given, prompts = bench.given, bench.prompts
    slow = systems.Published(bench.published, bench.model, bench.tokenizer, prompts, bench.published_delta() if fused else None)
    what = "vanilla" if not fused else "fused, other vocabulary" if bench.other_vocabulary else "fused, same vocabulary"
    read = sum(len(bench.tokenizer.encode(prompt).ids) for prompt in prompts)
    for batch in given.batch:
        contenders = {name: system if isinstance(system, str) else continuing(system, len(prompts), given.new)
                      for name, system in decoders(bench, batch, bench.delta if fused else None, slow).items()}
        bench.rounds(what, "tokens/s", contenders, batch, prompts=len(prompts), prompt_tokens=read, new=given.new)


def measure_scoring(bench):
    """Answer tokens a second, alone and steered, each system on the same pairs."""
    pairs = [{"prompt": f"[INST] {row['question']} [/INST]", "answer": " " + row["answer"]} for row in bench.made.tofu_rows(1)[:bench.given.prompts]]
    file = systems.jsonl(bench.work / "pairs.jsonl", pairs)
    delta = bench.published_delta()

    def ours(*arguments):
        def run(_):
            seconds, lines = systems.run_cmc(bench.cmc, "score", bench.given.threads, "--model", bench.folder, "--dtype", "float32",
                                             "--warm-up", 1, "--pairs", file, *arguments)
            return seconds, sum(line["tokens"] for line in lines)
        return run

    def slow(*steering):
        def run(_):
            seconds, scores = timed(lambda: [bench.published.score(bench.model, bench.tokenizer, p["prompt"], p["answer"], *steering) for p in pairs])
            return seconds, sum(score["tokens"] for score in scores)
        return run

    def recorded(run):
        def record(warm_up):
            seconds, tokens = run(warm_up)
            return {"all": {"seconds": seconds, "tokens": tokens}, "value": tokens / seconds}
        return record

    for what, contenders in (("scoring, vanilla", {"cmc": ours(), "published": slow()}),
                             ("scoring, fused", {"cmc": ours("--delta", bench.delta), "published": slow(delta, 1.0)})):
        kept = {systems.Published.name if name == "published" else name: recorded(run) for name, run in contenders.items()
                if name in ("cmc", *bench.given.peers)}
        bench.rounds(what, "answer tokens/s", kept, pairs=len(pairs))


class Training:
    """Steps of 16 examples, of which the second epoch's count, by cmc and by plain loops over the same micro-batches."""

    settings = {"batch": 4, "accumulation": 4, "epochs": 2}

    def __init__(self, bench):
        self.bench, self.examples = bench, []
        self.probe, = find_programs("probe_train")
        for row in bench.made.instructions(48):
            prompt = bench.tokenizer.encode(f"<|user|>\n{row['instruction']}\n<|assistant|>\n").ids
            answer = bench.tokenizer.encode(row["output"], add_special_tokens=False).ids
            self.examples.append({"tokens": prompt + answer, "labels": [-100] * len(prompt) + answer})
        chosen = self.ask({"command": "batches"})["steps"]
        self.batches = [[[self.examples[i] for i in batch["examples"]] for batch in step] for step in chosen]

    def ask(self, what):
        request = self.bench.work / "train.json"
        request.write_text(json.dumps({"examples": self.examples, "settings": self.settings, **what}), encoding="utf-8")
        done = subprocess.run([self.probe, request], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": str(self.bench.given.threads)})
        if done.returncode != 0:
            raise SystemExit(f"probe_train: exit {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def ours(self, **what):
        def run(_):
            reports = self.ask({"command": "train", **what})["reports"]
            second = [report["seconds"] for report in reports[len(reports) // 2:]]
            return {"steps": second, "loss": reports[0]["loss"], "value": statistics.median(second)}
        return run

    def rounds(self, what, ours, peers):
        """peers: {name: makes a loop}. Before anything was learned all have the same loss, or their work is not the same."""
        contenders = {**ours, **{name: loop if isinstance(loop, str) else lambda _, loop=loop: loop.run()
                                 for name, loop in ((name, attempt(make)) for name, make in peers.items())}}
        self.bench.rounds(what, "s", contenders)
        losses = {row["system"]: run["loss"] for row in self.bench.rows if row["what"] == what for run in row["runs"]}
        if max(losses.values()) - min(losses.values()) > 1e-3 * max(losses.values()):
            raise SystemExit(f"{what}: the first step's losses differ: {losses}")


def measure_training(bench):
    """A delta beside the template, its states kept or the template run in each step; low-rank adapters of all linear layers of the template."""
    training, load = Training(bench), bench.published.load_model
    asked = lambda peer, loops: loops if peer in bench.given.peers else {}
    delta = (load, training.batches, bench.folder, bench.delta)
    beside = lambda keep: training.ours(trained=str(bench.delta), frozen=[{"folder": str(bench.folder), "keep": keep}])
    training.rounds("training step, 16 examples",
                    {"cmc, states kept": beside(True), "cmc, template run each step": beside(False)},
                    asked("pytorch", {"PyTorch loop, states kept": lambda: training_loops.KeptDelta(*delta),
                                      "PyTorch loop, template run each step": lambda: training_loops.Delta(*delta)}))
    adapters = {**training_loops.LORA, "targets": training_loops.MODULES}
    training.rounds("LoRA step, 16 examples", {"cmc": training.ours(trained=str(bench.folder), adapters=adapters)},
                    asked("peft", {"peft": lambda: training_loops.Lora(load, training.batches, bench.folder)}))


def spread(values, digits=3):
    shown = lambda value: f"{value:.{digits}g}" if value < 1000 else f"{value:.0f}"
    return f"{shown(statistics.median(values))} ({shown(min(values))}–{shown(max(values))})"


def speeds_of_cmc(row, rows):
    """So many times as fast cmc was in each round, of the rows with a system of that name."""
    same = lambda other: all(other[key] == row[key] for key in ("model", "what", "batch"))
    ours = next((other["runs"] for other in rows if other["system"] == "cmc" and same(other)), None)
    values = [(run["value"], own["value"]) for run, own in zip(row["runs"], ours or [])]
    if not values or row["system"] == "cmc" or any(None in pair for pair in values):
        return None
    return [theirs / own if row["unit"] == "s" else own / theirs for theirs, own in values]


def table(rows):
    lines = ["| model | what | batch | system | new tokens | prefill, s | figure | unit | cmc is × as fast |", "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        speeds = speeds_of_cmc(row, rows)
        runs = row["runs"]
        tokens = sorted({run["all"]["tokens"] for run in runs if "all" in run})
        first = [run["first"]["seconds"] for run in runs if "first" in run]
        values = [run["value"] for run in runs]
        cells = [row["model"], row["what"], row["batch"] or "", row["system"], ", ".join(map(str, tokens)) or "–",
                 spread(first) if first else "–", spread(values) if runs and None not in values else "–", row["unit"],
                 spread(speeds) if speeds else "–"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    reasons = dict.fromkeys(f"{row['model']}, {row['what']}, {row['system']}, batch {row['batch']}: {row['why']}" for row in rows if "why" in row)
    return "\n".join([*lines, "", *(f"- {reason}" for reason in reasons)])


def machine(given, load):
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    versions = {name: version(name) for name in ("torch", "transformers", *(["ctranslate2"] if "ctranslate2" in given.peers else []))}
    return {"processor": processor, "cores": len(os.sched_getaffinity(0)), "threads": given.threads, "numbers": "float32",
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "not set"), "load": load.at_start,
            **versions}


def measure(bench):
    for folder in bench.folders:
        bench.load(folder)
        for part in bench.given.what:
            if part in ("decoding", "fused"):
                measure_decoding(bench, part == "fused")
            elif part == "scoring":
                measure_scoring(bench)
            elif folder == bench.folders[0]:
                measure_training(bench)


def main():
    given = parse()
    os.environ.update(OMP_NUM_THREADS=str(given.threads), HF_HUB_OFFLINE="1")
    for package in ("torch", "transformers", "tokenizers"):
        need(package, "jobs/requirements-test.txt")
    if "ctranslate2" in given.peers:
        need("ctranslate2", "jobs/requirements-benchmark.txt")
    import torch
    import transformers
    torch.set_num_threads(given.threads)
    transformers.utils.logging.disable_progress_bar()
    load = Load()
    with tempfile.TemporaryDirectory(prefix="cmc-benchmark-") as work:
        bench = Bench(given, Path(work))
        about = machine(given, load)
        print(", ".join(f"{name} {value}" for name, value in about.items()), load.told(load.at_start, "before this the load was"), sep="\n")
        measure(bench)
    about["others"] = load.others()
    print(table(bench.rows), "", f"Other programs used {about['others']:.2f} cores meanwhile.", load.told(about["others"], "other programs used"), sep="\n")
    if given.json:
        Path(given.json).write_text(json.dumps({"machine": about, "settings": vars(given), "rows": bench.rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
