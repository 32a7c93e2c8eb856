"""The straightforward PyTorch/transformers training that pipeline/train is compared with: right padding, all logits at
once, autograd, torch.optim.AdamW, transformers' schedules. Also runs the probe and makes tiny models."""
import json
import os
import pathlib
import subprocess

import torch
import transformers

torch.set_num_threads(1)
BIN = pathlib.Path(os.environ["CMC_BIN"])
VOCABULARY = 97


def run_probe(folder, request, ranks=None, expect=0, threads=1):
    file = pathlib.Path(folder) / f"request-{len(list(pathlib.Path(folder).glob('request-*')))}.json"
    file.write_text(json.dumps(request))
    command = [str(BIN / "probe_train"), str(file)]
    if ranks:
        command = ["mpirun", "--oversubscribe", "--allow-run-as-root", "--bind-to", "none", "-n", str(ranks)] + command
    done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    assert done.returncode == expect, f"exit {done.returncode}, expected {expect}: {done.stderr[-2000:]}"
    return json.loads(done.stdout) if expect == 0 else done.stderr


def make_model(folder, seed, hidden, layers, heads, kv_heads, vocabulary=VOCABULARY, tied=True, std=0.3):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=128,
        tie_word_embeddings=tied, initializer_range=std, bos_token_id=1, eos_token_id=2)
    model = transformers.LlamaForCausalLM(config).float()
    model.save_pretrained(folder)
    (pathlib.Path(folder) / "tokenizer.json").write_text("{}")  # copied with the model, not read by these tests
    return str(folder)


def make_examples(seed, count, vocabulary=VOCABULARY):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda low, high, size: torch.randint(low, high, (size,), generator=generator).tolist()
    examples = []
    for _ in range(count):
        prompt, answer = draw(2, 8, 1)[0], draw(1, 9, 1)[0]
        tokens = draw(3, vocabulary, prompt + answer)
        examples.append({"tokens": tokens, "labels": [-100] * prompt + tokens[prompt:]})
    return examples


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def padded(examples):
    length = max(len(e["tokens"]) for e in examples)
    fill = lambda row, value: row + [value] * (length - len(row))
    return (torch.tensor([fill(e["tokens"], 0) for e in examples]),
            torch.tensor([fill([1] * len(e["tokens"]), 0) for e in examples]),
            torch.tensor([fill(e["labels"], -100) for e in examples]))


class Reference:
    """mode: base_normalized (log_softmax of the first frozen model), both_normalized or raw_sum."""

    def __init__(self, trained, frozen=(), alpha=1.0, mode="base_normalized"):
        self.trained = load(trained)
        self.frozen = [(load(each["folder"]), each.get("coefficient", 1.0)) for each in frozen]
        self.alpha, self.mode = alpha, mode

    def logits(self, ids, mask):
        delta = self.trained(ids, attention_mask=mask).logits
        if self.mode == "both_normalized":
            delta = delta.log_softmax(-1)
        total = self.alpha * delta
        for i, (model, coefficient) in enumerate(self.frozen):
            with torch.no_grad():
                own = model(ids, attention_mask=mask).logits
            total = total + coefficient * (own.log_softmax(-1) if i == 0 and self.mode != "raw_sum" else own)
        return total

    def cross_entropy(self, examples, reduction="mean"):
        ids, mask, labels = padded(examples)
        logits = self.logits(ids, mask)[:, :-1].reshape(-1, self.trained.config.vocab_size)
        return torch.nn.functional.cross_entropy(logits, labels[:, 1:].reshape(-1), reduction=reduction)

    def loss(self, step, data, retain, objective, mean):
        """One optimiser step's loss; `step` lists its micro-batches by index."""
        total = 0.0
        count = lambda which, source: sum(sum(label != -100 for label in source[i]["labels"][1:])
                                          for batch in step for i in batch[which])
        for batch in step:
            for which, source, sign in (("examples", data, 1 if objective == "cross_entropy" else -1),
                                        ("retain", retain, 1)):
                if not batch[which]:
                    continue
                chosen = [source[i] for i in batch[which]]
                if mean == "tokens":
                    part = self.cross_entropy(chosen, "sum") / count(which, source)
                else:
                    part = self.cross_entropy(chosen) / len(step)
                total = total + sign * part
        return total

    def optimiser(self, settings, steps):
        decay = [p for p in self.trained.parameters() if p.dim() >= 2]
        plain = [p for p in self.trained.parameters() if p.dim() < 2]
        optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": settings.get("weight_decay", 0.0)},
                                       {"params": plain, "weight_decay": 0.0}], lr=settings["learning_rate"],
                                      betas=(settings.get("beta1", 0.9), settings.get("beta2", 0.999)))
        floor = settings.get("schedule_floor", 0.0)
        schedule = transformers.get_scheduler(
            settings["schedule"] + ("_with_min_lr" if floor else ""), optimiser, settings["warmup_steps"], steps,
            scheduler_specific_kwargs={"min_lr_rate": floor} if floor else None)
        return optimiser, schedule

    def train(self, steps, data, retain, settings):
        optimiser, schedule = self.optimiser(settings, len(steps))
        reports = []
        for step in steps:
            optimiser.zero_grad()
            loss = self.loss(step, data, retain, settings["objective"], settings.get("mean", "micro_batches"))
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.trained.parameters(), settings.get("max_gradient_norm", 1.0))
            reports.append({"loss": loss.item(), "gradient_norm": norm.item(),
                            "learning_rate": schedule.get_last_lr()[0]})
            optimiser.step()
            schedule.step()
        return reports
