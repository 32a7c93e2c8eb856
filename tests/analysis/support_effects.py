"""A synthetic experiment with every method, the similarity of shifts, and costs: the paper's effects in it, or not."""

import numpy
from support_results import ENVIRONMENT, double, integer, text

EXPERIMENT = """[deltas]
instruct = tiny
unlearn = tiny
[experiment]
seed = {seeds}
title = Effects
[instruct]
strengths = 0.5, 1
[methods]
instruct = vanilla, lora, full, proxy_tuning, cmc
unlearn = vanilla, lora, delta_unlearning, cmc
[models]
targets = small, large, other
template = small
[unlearn]
strengths = 1
"""
TARGETS = ("small", "large", "other")
INSTRUCT = {"vanilla": [0.0], "lora": [0.0], "full": [0.0], "proxy_tuning": [1.0], "cmc": [0.5, 1.0]}
# chance of the right form, of the right fact, and of an end
QUALITY = {"vanilla": (0.05, 0.3, 0.8), "lora": (0.9, 0.8, 0.95), "full": (0.95, 0.85, 1.0), "proxy_tuning": (0.8, 0.3, 0.95), "cmc": (0.9, 0.75, 1.0)}
PAIRS = (("large", "small"), ("other", "large"))


def task_of(seed, target, method, strengths):
    task = {"target": target, "method": method, "strengths": strengths}
    if method in ("cmc", "proxy_tuning", "delta_unlearning"):
        task.update(delta="tiny", mode="base_normalized", map="m" if target == "other" else "")
    if seed is not None:
        task["seed"] = seed
    return task


def instruct_unit(random, seed, target, method, prompts, effect, first=0):
    strengths = INSTRUCT[method]
    rows = len(strengths) * prompts
    form, fact, stop = QUALITY[method if effect or method != "cmc" else "vanilla"]
    draw = lambda chance: (random.random(rows) < chance).astype(int)
    items = numpy.tile(numpy.arange(first, first + prompts), len(strengths))
    return {
        "stage": "instruct",
        "task": {"name": f"instruct {target} {method}", "prompts": "plain", "first": first, **task_of(seed, target, method, strengths)},
        "cost": {"wall_seconds": 2.0},
        "datasets": [
            double("alpha", numpy.repeat(strengths, prompts)),
            integer("item", items),
            text("prompt", [f"Question {i}" for i in items]),
            text("response", ["Sure!"] * rows),
            text("stop_reason", ["end_token"] * rows),
            integer("stopped", draw(stop), width="int32"),
            double("repetition", random.random(rows) * 0.1),
            double("reference_logprob", -10 * (3.0 - 2.5 * form * random.random(rows))),
            integer("reference_tokens", numpy.full(rows, 10)),
            integer("followed", draw(form), width="int32"),
            integer("fact", draw(fact), width="int32"),
        ],
        "ragged": [{"name": "response_tokens", "dimension": "row", "rows": [[1] * 7] * rows}],
    }


def unlearn_unit(random, seed, target, method, name, count, level):
    """`level`: (ROUGE-L recall, probability), exactly these on average."""
    strengths, wrong = [1.0] if method in ("cmc", "delta_unlearning") else [0.0], 5
    rouge, probability = (mean + random.permutation(numpy.linspace(-0.04, 0.04, count)) for mean in level)
    tokens = random.integers(4, 20, count)
    other = [double("paraphrase_logprob", -tokens * (0.5 + random.random(count))), integer("paraphrase_tokens", tokens)]
    other += [double("wrong_logprob", -5 * (1 + random.random((count, wrong))), ("row", "wrong")), integer("wrong_tokens", numpy.full((count, wrong), 5), ("row", "wrong"))]
    return {
        "stage": "unlearn",
        "task": {"name": f"TOFU {name} {target} {method}", "set": name, "first": 0, **task_of(seed, target, method, strengths)},
        "cost": {},
        "datasets": [
            double("alpha", numpy.repeat(strengths, count)),
            integer("item", numpy.arange(count)),
            text("question", ["Who?"] * count),
            text("answer", ["He."] * count),
            text("generated", ["She."] * count),
            double("rouge1_recall", rouge),
            double("rouge_l_recall", rouge),
            double("answer_logprob", tokens * numpy.log(probability)),
            integer("answer_tokens", tokens),
            *other,
        ],
        "ragged": [{"name": "generated_tokens", "dimension": "row", "rows": [[1, 2]] * count}],
    }


def similarity_unit(random, seed, reference, other, prompts, effect, top=120, first=0):
    steps = random.integers(3, 9, prompts)
    step_item = numpy.repeat(numpy.arange(first, first + prompts), steps)
    order = random.permutation(len(step_item))  # steps may stand in any order
    number = numpy.concatenate([numpy.arange(count) for count in steps])[order]
    step_item = step_item[order]
    shift = random.standard_normal((len(step_item), top)) * 3
    near, far = shift + random.standard_normal(shift.shape), random.standard_normal(shift.shape) * 3
    same = 3 + random.random(prompts)
    different = same + 0.3 * random.standard_normal(prompts) if effect else numpy.roll(same, 1)  # rolled: the same mean
    datasets = [
        integer("item", numpy.arange(first, first + prompts), ("prompt",)),
        integer("steps", steps, ("prompt",)),
        integer("step_item", step_item, ("step",)),
        integer("step_number", number, ("step",)),
        double("shift_reference", shift, ("step", "top")),
        double("shift_same", near if effect else far, ("step", "top")),
        double("shift_different", far, ("step", "top")),
    ]
    for name, apart in (("sinkhorn", 3), ("sinkhorn_per_step", 2), ("pearson", -0.4), ("mean_square", 10)):
        datasets.append(double(f"{name}_same", same, ("prompt",)))
        datasets.append(double(f"{name}_different", different + apart * effect, ("prompt",)))
    task = {"name": f"shifts {reference} {other} {first}", "target": other, "method": "full", "reference": {"name": reference}, "other": {"name": other}}
    return {"stage": "similarity", "task": task | ({} if seed is None else {"seed": seed}), "cost": {}, "datasets": datasets}


def training_unit(random, seed, stage, cost, **task):
    loss = 2 + random.random(10)
    task = {"name": " ".join([stage, *map(str, task.values())]), **task}
    return {
        "stage": stage,
        "task": task | ({} if seed is None else {"seed": seed}),
        "cost": cost,
        "datasets": [
            double("loss", loss, ("step",)),
            double("step_seconds", 0.1 + random.random(10), ("step",)),
            *(double(name, numpy.ones(10), ("step",)) for name in ("examples_loss", "retain_loss", "learning_rate", "gradient_norm", "step_tokens")),
        ],
    }


def training_units(random, seed):
    """Each target tuned by LoRA and in full, one delta, one expert; the full trainings did not count FLOP."""
    cost = lambda scale: {"wall_seconds": scale * (1 + random.random()), "tokens": 1000.0 * scale, "flops": 1e12 * scale, "peak_bytes": scale * 2.0**28}
    for size, target in enumerate(TARGETS, 1):
        yield training_unit(random, seed, "pretrain", cost(50 * size), target=target)
        yield training_unit(random, seed, "prepare", cost(5 * size), target=target, part="all")
        yield training_unit(random, seed, "adapt", cost(10 * size), target=target, method="lora", purpose="instruct")
        full = cost(20 * size)
        del full["flops"]
        yield training_unit(random, seed, "adapt", full, target=target, method="full", purpose="instruct")
        yield training_unit(random, seed, "adapt", cost(4 * size), target=target, method="lora", purpose="unlearn")
    yield training_unit(random, seed, "train", cost(8), kind="instruct", role="delta", delta={"name": "tiny"})
    yield training_unit(random, seed, "train", cost(7), kind="instruct", role="expert", delta={"name": "tiny"})
    yield training_unit(random, seed, "train", cost(3), kind="unlearn", role="delta", delta={"name": "tiny"})
    yield training_unit(random, seed, "train", cost(2), kind="unlearn", role="offset", delta={"name": "tiny"})
    map_task = {"name": "map", "base": {"name": "other"}, "delta": {"name": "small"}, "method": "pm_mined", "compat": "corrected"}
    counts = [integer(name, [random.integers(10, 99)], ("map",)) for name in ("exact", "inexact", "unmapped")]
    yield {"stage": "token_map", "task": map_task | ({} if seed is None else {"seed": seed}), "cost": {"wall_seconds": 0.25}, "datasets": counts}


def effects(seeds=(None,), prompts=30, effect=True):
    """`effect`: CMC follows instructions, forgets what it should and shifts are alike; without it nothing of that."""
    units = []
    for seed in seeds:
        random = numpy.random.default_rng(seed or 0)
        for target in TARGETS:
            for method in INSTRUCT:
                half = prompts // 2
                for first, count in [(0, half), (half, prompts - half)] if target == "large" else [(0, prompts)]:
                    units.append(instruct_unit(random, seed, target, method, count, effect, first))
            for method in ("vanilla", "lora", "delta_unlearning", "cmc"):
                works = method != "vanilla" and (effect or method != "cmc")
                levels = {"forget": (0.3, 0.05) if works else (0.9, 0.9), "retain": (0.85, 0.85) if works else (0.9, 0.9)}
                for name, count in (("forget", 16), ("retain", 24)):
                    units.append(unlearn_unit(random, seed, target, method, name, count, levels[name]))
        for reference, other in PAIRS:
            units += [similarity_unit(random, seed, reference, other, 6, effect, first=first) for first in (6, 0)]
        units += training_units(random, seed)
    named = ", ".join(str(seed) for seed in seeds if seed is not None) or "1"
    return {"title": "Effects", "experiment": EXPERIMENT.format(seeds=named), "environment": ENVIRONMENT, "units": units}
