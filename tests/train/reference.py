"""The straightforward PyTorch/transformers training that pipeline/train is compared with: right padding, all logits at
once, autograd, torch.optim.AdamW, transformers' schedules. Also runs the probe and makes tiny models."""
import copy
import json
import os
import pathlib
import subprocess

import peft
import torch
import transformers

torch.set_num_threads(1)
BIN = pathlib.Path(os.environ["CMC_BIN"])
VOCABULARY = 97
OPEN_UNLEARNING = ("simnpo", "wga", "satimp", "ceu", "undial", "undial_grad_diff")


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


def make_refusals(seed, examples, draws, vocabulary=VOCABULARY):
    """`draws` answers of their own to the question of each example."""
    generator = torch.Generator().manual_seed(seed)
    refusals = []
    for _ in range(draws):
        for example in examples:
            prompt = [t for t, label in zip(example["tokens"], example["labels"]) if label == -100]
            length = torch.randint(1, 6, (1,), generator=generator).item()
            answer = torch.randint(3, vocabulary, (length,), generator=generator).tolist()
            refusals.append({"tokens": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return refusals


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def padded(examples):
    length = max(len(e["tokens"]) for e in examples)
    fill = lambda row, value: row + [value] * (length - len(row))
    return (torch.tensor([fill(e["tokens"], 0) for e in examples]),
            torch.tensor([fill([1] * len(e["tokens"]), 0) for e in examples]),
            torch.tensor([fill(e["labels"], -100) for e in examples]))


class Reference:
    """mode: base_normalized (log_softmax of the first frozen model), both_normalized or raw_sum.
    adapters: a peft folder; these alone are trained."""

    def __init__(self, trained, frozen=(), alpha=1.0, mode="base_normalized", adapters=None):
        self.trained = load(trained)
        if adapters:
            self.trained = peft.PeftModel.from_pretrained(self.trained, adapters, is_trainable=True).eval()
        self.frozen = [(load(each["folder"]), each.get("coefficient", 1.0)) for each in frozen]
        self.alpha, self.mode = alpha, mode
        self.before = copy.deepcopy(self.trained)

    def logits(self, ids, mask, trained=None):
        delta = (trained or self.trained)(ids, attention_mask=mask).logits
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

    def divergence(self, examples):
        """Sum over label positions of KL(before ‖ now), with TOFU's published call."""
        ids, mask, labels = padded(examples)
        with torch.no_grad():
            before = self.logits(ids, mask, self.before).log_softmax(-1)
        now = self.logits(ids, mask).log_softmax(-1)
        each = torch.nn.functional.kl_div(now, before, reduction="none", log_target=True).sum(-1)
        return each[:, :-1][labels[:, 1:] != -100].sum()

    def from_uniform(self, examples):
        """Sum over label positions of KL(uniform ‖ now), with the call that ULD's authors published."""
        ids, mask, labels = padded(examples)
        soft = self.logits(ids, mask)[:, :-1][labels[:, 1:] != -100].softmax(-1)
        uniform = torch.full_like(soft, 1.0 / soft.shape[-1])
        return torch.nn.functional.kl_div(soft.log(), uniform, reduction="batchmean") * len(soft)

    def token_losses(self, examples, target=None):
        """Cross-entropy of every label (nat), flat, with the place of each in its answer; or to target(logits, labels)."""
        ids, mask, labels = padded(examples)
        logits, labels = self.logits(ids, mask)[:, :-1], labels[:, 1:]
        counts = labels != -100
        places = counts.cumsum(1)[counts] - 1
        logits, labels = logits[counts], labels[counts]
        aim = labels if target is None else target(logits.detach(), labels)
        return torch.nn.functional.cross_entropy(logits, aim, reduction="none"), places

    def open_unlearning_loss(self, examples, objective, forget):
        """As the trainers of open-unlearning compute it; a mean over labels, of simnpo over sequences."""
        if objective == "simnpo":
            counts = torch.tensor([sum(label != -100 for label in e["labels"][1:]) for e in examples])
            means = -self.log_probabilities(examples) / counts - forget.get("margin", 0.0)
            beta = forget.get("beta", 4.5)
            return -torch.nn.functional.logsigmoid(beta * means).mean() * 2 / beta
        if objective in ("wga", "satimp"):
            losses, _ = self.token_losses(examples)
            p = (-losses).exp().detach()
            beta, beta2 = forget.get("beta", 1.0 if objective == "wga" else 5.0), forget.get("beta2", 1.0)
            return -(p ** beta * ((1 - p) ** beta2 if objective == "satimp" else 1) * losses).mean()
        if objective == "ceu":
            without = lambda logits, labels: logits.scatter(1, labels.unsqueeze(1), float("-inf")).softmax(-1)
            losses, places = self.token_losses(examples, without)
            return losses[places >= forget.get("skipped", 1)].mean()
        ids, mask, labels = padded(examples)
        with torch.no_grad():
            before = self.logits(ids, mask, self.before)[:, :-1][labels[:, 1:] != -100]
        lowered = lambda _, wanted: (before - forget.get("beta", 10.0) *
                                     torch.nn.functional.one_hot(wanted, before.shape[1])).softmax(-1)
        return self.token_losses(examples, lowered)[0].mean()

    def log_probabilities(self, examples, trained=None):
        """Of each example's labels, summed: minus the published get_batch_loss."""
        ids, mask, labels = padded(examples)
        logits = self.logits(ids, mask, trained)[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], reduction="none")
        return -loss.sum(-1)

    def log_ratios(self, examples):
        with torch.no_grad():
            before = self.log_probabilities(examples, self.before)
        return self.log_probabilities(examples) - before

    def forget_loss(self, chosen, objective, settings, share):
        """`share(which)`: what a micro-batch's mean over that many labels or sequences counts in the step."""
        forget = settings.get("forget", {})
        beta = forget.get("beta", 0.1)
        if objective in OPEN_UNLEARNING:
            weight = forget.get("weight", {"simnpo": 0.125, "satimp": 0.1}.get(objective, 1.0))
            which = {"simnpo": "sequences", "ceu": "later labels"}.get(objective, "examples")
            loss = self.open_unlearning_loss(chosen["examples"], objective, forget)
            return weight * loss * share(which) if share(which) else 0.0
        if objective == "dpo":
            ratios = self.log_ratios(chosen["refusals"]) - self.log_ratios(chosen["examples"])
            return -torch.nn.functional.logsigmoid(beta * ratios).mean() * share("sequences")
        if objective.startswith("npo"):
            ratios = self.log_ratios(chosen["examples"])
            return -torch.nn.functional.logsigmoid(-beta * ratios).mean() * 2 / beta * share("sequences")
        if objective == "idk":
            return self.cross_entropy(chosen["refusals"]) * share("refusals")
        loss = self.cross_entropy(chosen["examples"])
        if objective == "grad_diff_bounded":
            loss = torch.clamp(loss, max=forget.get("bound", 6.0))
        weight = forget.get("weight", 0.2) if objective == "remember_uniform" else 1
        return weight * loss * share("examples") * (1 if objective in ("cross_entropy", "remember_uniform") else -1)

    def loss(self, step, data, settings):
        """One optimiser step's loss; `step` lists its micro-batches by index into the lists of `data`."""
        objective, total = settings["objective"], 0.0
        labels = lambda examples: sum(sum(label != -100 for label in e["labels"][1:]) for e in examples)
        pick = lambda batch: {which: [data[which][i] for i in batch[which]] for which in batch}
        skipped = settings.get("forget", {}).get("skipped", 1)

        def count(chosen, which):
            if which == "sequences":
                return len(chosen["examples"])
            if which == "later labels":
                return sum(max(0, labels([example]) - skipped) for example in chosen["examples"])
            return labels(chosen[which])

        for batch in step:
            chosen = pick(batch)
            share = lambda which: (count(chosen, which) > 0) / len(step)
            if settings.get("mean", "micro_batches") == "tokens":
                share = lambda which: count(chosen, which) / sum(count(pick(each), which) for each in step)
            total = total + self.forget_loss(chosen, objective, settings, share)
            if objective == "kl":
                total = total + self.divergence(chosen["retain"]) / labels(chosen["retain"]) * share("retain")
            elif objective == "remember_uniform":
                total = total + self.from_uniform(chosen["retain"]) / labels(chosen["retain"]) * share("retain")
            elif chosen["retain"]:
                total = total + self.cross_entropy(chosen["retain"]) * share("retain")
        return total

    def optimiser(self, settings, steps):
        decay = [p for p in self.trained.parameters() if p.dim() >= 2 and p.requires_grad]
        plain = [p for p in self.trained.parameters() if p.dim() < 2 and p.requires_grad]
        optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": settings.get("weight_decay", 0.0)},
                                       {"params": plain, "weight_decay": 0.0}], lr=settings["learning_rate"],
                                      betas=(settings.get("beta1", 0.9), settings.get("beta2", 0.999)))
        floor = settings.get("schedule_floor", 0.0)
        schedule = transformers.get_scheduler(
            settings["schedule"] + ("_with_min_lr" if floor else ""), optimiser, settings["warmup_steps"], steps,
            scheduler_specific_kwargs={"min_lr_rate": floor} if floor else None)
        return optimiser, schedule

    def train(self, steps, data, settings):
        optimiser, schedule = self.optimiser(settings, len(steps))
        reports = []
        for step in steps:
            optimiser.zero_grad()
            loss = self.loss(step, data, settings)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.trained.parameters(), settings.get("max_gradient_norm", 1.0))
            reports.append({"loss": loss.item(), "gradient_norm": norm.item(),
                            "learning_rate": schedule.get_last_lr()[0]})
            optimiser.step()
            schedule.step()
        return reports
