"""The steps that cmc's training takes, as plain PyTorch over transformers and peft: the same micro-batches in the same order, float32,
AdamW, gradients clipped. Each `run()` gives {"seconds" of the second epoch's steps, "loss" of the first step}; loading is not in it."""

import statistics
import time

LORA = {"rank": 8, "alpha": 32}
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Loop:
    """`batches`: [step][micro-batch] → examples ({"tokens", "labels"}, -100: no label) of two epochs."""

    def __init__(self, load, batches):
        import torch
        self.torch, self.load, self.batches = torch, load, batches

    def padded(self, examples):
        """Ids, mask, and labels moved to where they are predicted, padded on the right."""
        width = max(len(example["tokens"]) for example in examples)
        rows = lambda key, filler: self.torch.tensor([example[key] + [filler] * (width - len(example[key])) for example in examples])
        ids, labels = rows("tokens", 0), rows("labels", -100)
        mask = self.torch.tensor([[1] * len(example["tokens"]) + [0] * (width - len(example["tokens"])) for example in examples])
        return ids, mask, labels[:, 1:]

    def run(self):
        torch = self.torch
        model = self.start()
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0, fused=True)
        seconds, losses = [], []
        for step in self.batches:
            began, total = time.perf_counter(), 0.0
            for examples in step:
                loss = self.loss(model, examples) / len(step)
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.perf_counter() - began)
            losses.append(total)
        return {"steps": seconds[len(seconds) // 2:], "loss": losses[0], "value": statistics.median(seconds[len(seconds) // 2:])}

    def cross_entropy(self, logits, labels):
        return self.torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


class Delta(Loop):
    """A delta beside its template, whose logits it is added to: the template runs in each step."""

    def __init__(self, load, batches, template, delta):
        super().__init__(load, batches)
        self.template, self.delta = load(template).eval(), delta

    def start(self):
        return self.load(self.delta).train()

    def loss(self, model, examples):
        ids, mask, labels = self.padded(examples)
        with self.torch.no_grad():
            frozen = self.template(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        return self.cross_entropy(frozen + logits, labels)


class KeptDelta(Delta):
    """The template's states at the predicting positions are kept from the first epoch; logits are made where labels are alone."""

    def start(self):
        self.kept = {}
        return super().start()

    def states(self, model, examples):
        ids, mask, labels = self.padded(examples)
        return model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1][labels != -100], labels[labels != -100]

    def loss(self, model, examples):
        with self.torch.no_grad():
            for example in examples:
                if id(example) not in self.kept:
                    self.kept[id(example)] = self.states(self.template, [example])[0]
            frozen = self.template.lm_head(self.torch.cat([self.kept[id(example)] for example in examples]))
        states, labels = self.states(model, examples)
        return self.cross_entropy(frozen + model.lm_head(states), labels)


class Lora(Loop):
    """Low-rank adapters of all linear layers by peft."""

    def __init__(self, load, batches, base):
        super().__init__(load, batches)
        self.base = base

    def start(self):
        import peft
        settings = peft.LoraConfig(r=LORA["rank"], lora_alpha=LORA["alpha"], target_modules=MODULES, lora_dropout=0.0, task_type="CAUSAL_LM")
        return peft.get_peft_model(self.load(self.base), settings).train()

    def loss(self, model, examples):
        ids, mask, labels = self.padded(examples)
        return self.cross_entropy(model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1], labels)
