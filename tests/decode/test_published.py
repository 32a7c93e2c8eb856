"""generate and score against the published algorithm, written plainly over transformers (tests/differential/published.py)."""
import dataclasses
import json
import os
import subprocess
import sys

import outside
import pytest
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "differential")]
import published  # noqa: E402
import tiny_checkpoints as tiny  # noqa: E402

torch.set_num_threads(1)
NEW = 16
MODES = ["base_normalized", "both_normalized", "raw_sum"]
PROMPTS = ["Where was the author born?", "Hello", "the café costs 12€ — naïve 日本語 🎉 ok",
           "What is the name of her second book, and who wrote it?", "  two spaces\nand a line"]


def probe(verb, specification, folder):
    path = os.path.join(folder, "specification.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(specification, file)
    program = os.path.join(os.environ["CMC_BIN"], "probe_decode")
    assert os.path.exists(program), f"{program} is missing: build the target probe_decode"
    done = subprocess.run([program, verb, path], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Checkpoints:
    """Folders by name, and their models and tokenizers as the reference reads them."""

    def __init__(self, root):
        tokenizers = {"byte": tiny.byte_level_bpe(600), "llama": tiny.sentencepiece_bpe(1200, dummy_prefix=True),
                      "gemma": tiny.sentencepiece_bpe(1500, dummy_prefix=False)}
        self.folders = {}
        for name, kind, make, seed in [
            ("byte_base", "byte", tiny.llama, 1), ("byte_delta", "byte", tiny.llama, 2), ("byte_expert", "byte", tiny.llama, 3),
            ("byte_anti", "byte", tiny.llama, 4), ("llama_base", "llama", tiny.llama, 5), ("llama_delta", "llama", tiny.llama, 6),
            ("gemma_base", "gemma", tiny.gemma, 7), ("gemma_delta", "gemma", tiny.gemma, 8),
        ]:
            tokenizer, special = tokenizers[kind]
            size = tokenizer.get_vocab_size()
            self.folders[name] = tiny.write(os.path.join(root, name), make(size, seed), tokenizer, special)
        self.models = {name: published.load_model(folder) for name, folder in self.folders.items()}
        self.tokenizers = {name: published.load_tokenizer(folder) for name, folder in self.folders.items()}

    def delta(self, base, parts):
        """(specification of the probe, delta of the reference); parts: (name, weight)."""
        other = base.split("_")[0] != parts[0][0].split("_")[0]
        specification = {"own_vocabulary": other, "parts": [{"model": self.folders[name], "weight": weight} for name, weight in parts]}
        delta = published.Delta([published.Part(self.models[name], weight) for name, weight in parts])
        if other:
            delta.tokenizer = self.tokenizers[parts[0][0]]
            delta.token_map = published.pm_mined(self.tokenizers[base], delta.tokenizer, roles(base, parts[0][0]))
        return specification, delta


def roles(base, delta):
    """Special tokens with equal roles: end with end, begin with begin, unknown with unknown."""
    ids = {"byte": {"end": 0, "begin": 1}, "llama": {"unknown": 0, "begin": 1, "end": 2}, "gemma": {"unknown": 0, "begin": 1, "end": 2}}
    of_base, of_delta = ids[base.split("_")[0]], ids[delta.split("_")[0]]
    return [(of_base[role], of_delta[role]) for role in of_base if role in of_delta]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return Checkpoints(tmp_path_factory.mktemp("checkpoints"))


PAIRS = {
    "same": ("byte_base", [[("byte_delta", 1.0)], [("byte_expert", 1.0), ("byte_anti", -1.0)]]),
    "same_gemma": ("gemma_base", [[("gemma_delta", 1.0)]]),
    "byte_in_gemma": ("gemma_base", [[("byte_delta", 1.0)], [("byte_expert", 1.0), ("byte_anti", -1.0)]]),
    "byte_in_llama": ("llama_base", [[("byte_delta", 1.0)]]),
    "llama_in_byte": ("byte_base", [[("llama_delta", 1.0)], [("byte_delta", 1.0)]]),
    "gemma_in_llama": ("llama_base", [[("gemma_delta", 1.0)]]),
}


def steered(deltas):
    """Every prompt with several strengths and deltas, all in one batch."""
    items = []
    for number, prompt in enumerate(PROMPTS):
        for delta, alpha in [(0, 0.0 if number % 2 else 0.3), (number % len(deltas), 1.0), ((number + 1) % len(deltas), 2.0)]:
            items.append({"prompt": prompt, "delta": delta, "alpha": alpha})
    return items


@pytest.mark.parametrize("pair", [name for name in PAIRS if "_in_" in name])
def test_token_map(checkpoints, pair, tmp_path):
    base, parts = PAIRS[pair]
    specification, delta = checkpoints.delta(base, parts[0])
    made = probe("maps", {"base": checkpoints.folders[base], "deltas": [specification]}, tmp_path)[0]
    names = [checkpoints.tokenizers[base].id_to_token(i) for i in range(len(made["ids"]))]
    different = [(names[i], made["ids"][i], delta.token_map[0][i], made["match"][i], delta.token_map[1][i]) for i in range(len(names))
                 if made["ids"][i] != delta.token_map[0][i] or made["match"][i] != delta.token_map[1][i]]
    assert not different
    assert all(kind in made["match"] for kind in (published.EXACT, published.INEXACT))


@pytest.mark.parametrize("pair", PAIRS)
def test_generate(checkpoints, pair, tmp_path):
    base, parts = PAIRS[pair]
    made = [checkpoints.delta(base, of_delta) for of_delta in parts]
    model, tokenizer = checkpoints.models[base], checkpoints.tokenizers[base]
    items = steered(made)
    mode = MODES[sorted(PAIRS).index(pair) % 3]
    free = [published.generate(model, tokenizer, item["prompt"], NEW, made[item["delta"]][1], item["alpha"]) for item in items[:6]]
    # Ends that do occur: a token that answer 1 reaches, and strings from the middle of others, across tokens, that it does not hold.
    end_tokens = [free[1]["ids"][9]]
    stops = [part for text in free[2:] for part in [text["text"][9:12]]
             if len(part) == 3 and "\ufffd" not in part and part not in free[1]["text"]][:2]
    expected = [published.generate(model, tokenizer, item["prompt"], NEW, made[item["delta"]][1], item["alpha"], mode, None, end_tokens, stops)
                for item in items]
    for slots, chunk, lag in [(1, 0, 0), (16, 0, 0), (16, 3, 0), (16, 5, 1)]:
        got = probe("generate", {"base": checkpoints.folders[base], "deltas": [spec for spec, _ in made], "mode": mode, "slots": slots,
                                 "prefill_chunk": chunk, "lag": lag, "initial_capacity": 8, "new": NEW, "end_tokens": end_tokens, "stop_strings": stops, "requests": items}, tmp_path)
        for item, wanted, result in zip(items, expected, got["results"]):
            assert result == wanted, (slots, chunk, lag, item)
    # Vocabularies are trained anew for each run, so which ends occur is up to them; generate_test.cpp exercises them all.
    assert any(result["reason"] != "length" for result in expected)
    assert len({tuple(result["ids"]) for result in free}) == len(free), "strengths and deltas do change the texts"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pair", PAIRS)
def test_score(checkpoints, pair, mode, tmp_path):
    base, parts = PAIRS[pair]
    made = [checkpoints.delta(base, of_delta) for of_delta in parts]
    answers = [" She was born in Kuwait City.", "café 🎉 naïve", "", " the name of the book is \"The Beauty\", published in 1983; " * 3]
    items = [dict(item, answer=answers[(number // 3 + number) % 4]) for number, item in enumerate(steered(made))]
    expected = [published.score(checkpoints.models[base], checkpoints.tokenizers[base], item["prompt"], item["answer"],
                                made[item["delta"]][1], item["alpha"], mode) for item in items]
    for forced_tokens, forced_logits in [(1, 1), (1024, 1 << 24)]:
        got = probe("score", {"base": checkpoints.folders[base], "deltas": [spec for spec, _ in made], "mode": mode, "pairs": items,
                              "forced_tokens": forced_tokens, "forced_logits": forced_logits}, tmp_path)
        for item, wanted, result in zip(items, expected, got["results"]):
            assert result["tokens"] == wanted["tokens"]
            assert result["logprob"] == pytest.approx(wanted["logprob"], rel=1e-3, abs=1e-4), item
            assert result["each"] == pytest.approx(wanted["each"], rel=1e-3, abs=1e-3), item


VARIANTS = [{"map": "one_to_many"}, {"map": "one_to_many", "top": 20}, {"map": "one_to_many", "top": 20, "unmapped": "minimum"},
            {"unmapped": "minimum"}, {"unmapped": "mean"}, {"map": "one_to_many", "unmapped": "mean"},
            {"map": "exact_only", "unmapped": "minimum"}, {"map": "prefix_sum"}, {"map": "prefix_sum", "unmapped": "mean"},
            {"top": 5, "top_of": "either"}, {"top": 1, "top_of": "either", "unmapped": "minimum"}]


def varied(checkpoints, base, parts, variant):
    """delta() in a variant of the map."""
    specification, delta = checkpoints.delta(base, parts)
    if variant.get("map") == "one_to_many":
        delta.candidates = published.one_to_many(checkpoints.tokenizers[base], delta.tokenizer, delta.token_map)
    if variant.get("map") == "prefix_sum":
        delta.candidates = published.prefix_sum(checkpoints.tokenizers[base], delta.tokenizer, delta.token_map)
    delta.summed, delta.union = variant.get("map") == "prefix_sum", "top_of" in variant
    if variant.get("map") == "exact_only":
        exact = [how == published.EXACT for how in delta.token_map[1]]
        delta.token_map = ([i if kept else -1 for i, kept in zip(delta.token_map[0], exact)],
                           [published.EXACT if kept else published.UNMAPPED for kept in exact])
    delta.top, delta.unmapped = variant.get("top", 0), variant.get("unmapped", "zero")
    return specification, delta


@pytest.mark.parametrize("method", ["one_to_many", "prefix_sum"])
@pytest.mark.parametrize("pair", [name for name in PAIRS if "_in_" in name])
def test_candidates_of_maps(checkpoints, pair, method, tmp_path):
    base, parts = PAIRS[pair]
    specification, delta = varied(checkpoints, base, parts[0], {"map": method})
    made = probe("maps", {"base": checkpoints.folders[base], "deltas": [specification], "map": method}, tmp_path)[0]
    assert made["candidates"] == delta.candidates and (made["ids"], made["match"]) == delta.token_map
    assert max(map(len, delta.candidates)) > 1


def assert_as_published(base, call, checkpoints, deltas, others, mode, alphas, folder):
    """Texts and scores, in batches. How many scores differ from those with `others` in the deltas' places."""
    model, tokenizer = checkpoints.models[base], checkpoints.tokenizers[base]
    items = [{"prompt": prompt, "delta": number % len(deltas), "alpha": alpha, "answer": " She was born, café, in Kuwait."}
             for number, prompt in enumerate(PROMPTS) for alpha in alphas]
    expected = [published.generate(model, tokenizer, item["prompt"], 10, deltas[item["delta"]], item["alpha"], mode) for item in items]
    for slots in (1, 16):
        assert probe("generate", {**call, "mode": mode, "slots": slots, "new": 10, "requests": items}, folder)["results"] == expected
    differs = 0
    for item, result in zip(items, probe("score", {**call, "mode": mode, "pairs": items}, folder)["results"]):
        arguments = model, tokenizer, item["prompt"], item["answer"]
        wanted = published.score(*arguments, deltas[item["delta"]], item["alpha"], mode)
        assert result["each"] == pytest.approx(wanted["each"], rel=1e-3, abs=1e-3), item
        differs += abs(published.score(*arguments, others[item["delta"]], item["alpha"], mode)["logprob"] - wanted["logprob"]) > 0.01
    return differs


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
@pytest.mark.parametrize("pair", ["byte_in_gemma", "gemma_in_llama"])
def test_variants_of_the_map(checkpoints, pair, variant, tmp_path):
    """Of deltas of one model and of two (whose maximum is that of their sum)."""
    base, parts = PAIRS[pair]
    made = [varied(checkpoints, base, of_delta, variant) for of_delta in parts]
    usual = [checkpoints.delta(base, of_delta)[1] for of_delta in parts]
    call = {"base": checkpoints.folders[base], "deltas": [spec for spec, _ in made], **variant}
    differs = assert_as_published(base, call, checkpoints, [delta for _, delta in made], usual, MODES[VARIANTS.index(variant) % 3],
                                  (0.6, -0.5), tmp_path)
    # Two SentencePiece vocabularies of the same texts have few tokens that a variant of the map changes.
    assert differs or pair == "gemma_in_llama", "the variant is none"


@pytest.mark.parametrize("gate", [("plausible", 0.02), ("plausible", 0.6), ("unsure", 0.1), ("unsure", 0.02), ("disagreement", 0)], ids=str)
@pytest.mark.parametrize("pair", ["same", "byte_in_gemma"])
def test_gated_deltas(checkpoints, pair, gate, tmp_path):
    """Deltas that count at plausible tokens or unsure positions alone, or the more they move the base, also with a variant of the map."""
    base, parts = PAIRS[pair]
    variant = {} if pair == "same" else {"map": "one_to_many", "unmapped": "minimum"}
    made = [checkpoints.delta(base, of_delta) if pair == "same" else varied(checkpoints, base, of_delta, variant) for of_delta in parts]
    opened = [delta for _, delta in made]
    gated = [dataclasses.replace(delta, gate=gate) for delta in opened]
    call = {"base": checkpoints.folders[base], "deltas": [spec for spec, _ in made], "gate": gate[0], "gate_threshold": gate[1], **variant}
    assert assert_as_published(base, call, checkpoints, gated, opened, MODES[len(str(gate)) % 3], (0.6, -0.8), tmp_path), "the gate is always open"


@pytest.mark.parametrize("pair", ["byte_in_llama", "gemma_in_llama"])
def test_score_with_a_text_of_the_delta(checkpoints, pair, tmp_path):
    """The delta reads a prompt of its own (AlpacaEval), or the first wrong answer for all (TOFU as published)."""
    base, parts = PAIRS[pair]
    specification, delta = checkpoints.delta(base, parts[0])
    items = [{"prompt": prompt, "answer": answer, "alpha": alpha, **texts}
             for prompt in PROMPTS[:2] for answer, alpha in [(" She was born in Kuwait City.", 1.0), (" café", 0.5)]
             for texts in ({}, {"delta_prompt": f"<|user|>\n{prompt}\n<|assistant|>\n"}, {"delta_answer": " in Paris"},
                           {"delta_prompt": "Say: ", "delta_answer": " She was born far away, they say, in Rome."})]
    got = probe("score", {"base": checkpoints.folders[base], "deltas": [specification], "pairs": items}, tmp_path)["results"]
    for item, result in zip(items, got):
        texts = {key: item.get(key) for key in ("delta_prompt", "delta_answer")}
        wanted = published.score(checkpoints.models[base], checkpoints.tokenizers[base], item["prompt"], item["answer"], delta,
                                 item["alpha"], **texts)
        assert result["each"] == pytest.approx(wanted["each"], rel=1e-3, abs=1e-3), item
    assert len({result["logprob"] for result in got}) == len(got), "what the delta reads matters"


SEVERAL = {
    "one base, two vocabularies": ("llama_base", [[("byte_delta", 1.0)], [("gemma_delta", 1.0)]]),
    "the base's and another": ("byte_base", [[("byte_expert", 1.0), ("byte_anti", -1.0)], [("llama_delta", 1.0)], [("gemma_delta", 1.0)]]),
    "the base's alone": ("byte_base", [[("byte_delta", 1.0)], [("byte_expert", 1.0)]]),
}


@pytest.mark.parametrize("gate", [(), ("plausible", 0.3), ("unsure", 0.05), ("disagreement", 0)], ids=str)
@pytest.mark.parametrize("system", SEVERAL)
def test_several_deltas(checkpoints, system, gate, tmp_path):
    """Rows steered by all deltas, by some and by none, in one batch; each delta reads the text in its own tokens."""
    base, parts = SEVERAL[system]
    model, tokenizer = checkpoints.models[base], checkpoints.tokenizers[base]
    made = [checkpoints.delta(base, of_delta) for of_delta in parts]
    deltas = [dataclasses.replace(delta, gate=gate) for _, delta in made]
    mode = MODES[len(system) % 3]
    call = {"base": checkpoints.folders[base], "deltas": [spec for spec, _ in made], "mode": mode}
    if gate:
        call |= {"gate": gate[0], "gate_threshold": gate[1]}
    strengths = [[0.8, -0.6, 0.5], [1.0, 0.4, 0.7], [0.0, 0.9, 0.0], [0.7, 0.0, 1.2], [0.0, 0.0, 0.0]]
    items = [{"prompt": prompt, "answer": " She was born, café, in Kuwait.", "terms": list(terms)}
             for prompt in PROMPTS[:4] for alphas in strengths
             for terms in [[{"delta": d, "alpha": alpha} for d, alpha in enumerate(alphas[:len(deltas)])]]]

    def steering(item):
        return deltas, [term["alpha"] for term in item["terms"]]

    expected = [published.generate(model, tokenizer, item["prompt"], 10, *steering(item), mode) for item in items]
    for slots, chunk in ((1, 0), (7, 3)):
        turned = [{**item, "terms": item["terms"][::-1]} for item in items]
        got = probe("generate", {**call, "slots": slots, "prefill_chunk": chunk, "new": 10, "requests": turned}, tmp_path)["results"]
        assert got == expected
    for item, result in zip(items, probe("score", {**call, "pairs": items}, tmp_path)["results"]):
        wanted = published.score(model, tokenizer, item["prompt"], item["answer"], *steering(item), mode)
        assert result["each"] == pytest.approx(wanted["each"], rel=1e-3, abs=1e-3), item
    assert len({tuple(one["ids"]) for one in expected[:len(strengths)]}) > 2, "what steers a row matters"


@pytest.mark.parametrize("gate", [(), ("plausible", 0.3), ("disagreement", 0)], ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("others", [[], [[("llama_delta", 1.0)]]], ids=["alone", "beside a delta"])
def test_contrast_by_prompt(checkpoints, others, mode, gate, tmp_path):
    """The base with its prompt against itself with another: alone, and where a delta of another vocabulary steers as well."""
    base, other_prompt = "byte_base", "<|user|>\nSay nothing, please.\n<|assistant|>\n"
    model, tokenizer = checkpoints.models[base], checkpoints.tokenizers[base]
    made = [checkpoints.delta(base, of_delta) for of_delta in others]
    contrast = published.Delta([published.Part(model)], contrast=True)
    deltas = [dataclasses.replace(delta, gate=gate) for delta in [contrast, *(delta for _, delta in made)]]
    specification = {"contrast": True, "parts": [{"model": checkpoints.folders[base]}]}
    call = {"base": checkpoints.folders[base], "deltas": [specification, *(spec for spec, _ in made)], "mode": mode}
    if gate:
        call |= {"gate": gate[0], "gate_threshold": gate[1]}
    items = [{"prompt": prompt, "delta_prompt": other_prompt, "answer": " She was born, café, in Kuwait.",
              "terms": [{"delta": d, "alpha": alpha} for d, alpha in enumerate(alphas[:len(deltas)])]}
             for prompt in PROMPTS[:3] for alphas in ([2.0, 0.5], [0.5, -0.4], [0.0, 1.0], [-0.5, 0.0])]

    def system(item):
        return deltas, [term["alpha"] for term in item["terms"]], mode

    expected = [published.generate(model, tokenizer, item["prompt"], 10, *system(item), delta_prompt=other_prompt) for item in items]
    for slots, chunk in ((1, 0), (5, 3)):
        got = probe("generate", {**call, "slots": slots, "prefill_chunk": chunk, "new": 10, "requests": items}, tmp_path)["results"]
        assert got == expected
    for item, result in zip(items, probe("score", {**call, "pairs": items}, tmp_path)["results"]):
        wanted = published.score(model, tokenizer, item["prompt"], item["answer"], *system(item), delta_prompt=other_prompt)
        assert result["each"] == pytest.approx(wanted["each"], rel=1e-3, abs=1e-3), item
    assert expected[0]["ids"] != published.generate(model, tokenizer, PROMPTS[0], 10)["ids"], "the other prompt matters"


@pytest.mark.parametrize("pair", ["same", "byte_in_llama"])
def test_samples_follow_the_fused_distribution(checkpoints, pair, tmp_path):
    from scipy import stats

    base, parts = PAIRS[pair]
    specification, delta = checkpoints.delta(base, parts[0])
    temperature, top_p, alpha, draws = 1.2, 0.8, 0.7, 4000
    probabilities = published.next_token_probabilities(
        checkpoints.models[base], checkpoints.tokenizers[base], PROMPTS[0], delta, alpha).double()
    heated = torch.softmax(torch.log(probabilities) / temperature, 0)
    ranked, order = torch.sort(heated, descending=True, stable=True)
    kept = order[torch.cumsum(ranked, 0) - ranked < top_p]
    expected = torch.zeros_like(heated)
    expected[kept] = heated[kept] / heated[kept].sum()

    requests = [{"prompt": PROMPTS[0], "delta": 0, "alpha": alpha, "seed": 1000 + i} for i in range(draws)]
    call = {"base": checkpoints.folders[base], "deltas": [specification], "new": 1, "temperature": temperature, "top_p": top_p}
    ids = [result["ids"][0] for result in probe("generate", {**call, "slots": 64, "requests": requests}, tmp_path)["results"]]
    counts = torch.bincount(torch.tensor(ids), minlength=expected.numel()).double()
    assert counts[expected == 0].sum() == 0, "a token outside the nucleus was drawn"
    common = expected * draws >= 5
    observed = torch.cat([counts[common], counts[~common].sum().view(1)]).numpy()
    wanted = torch.cat([expected[common], expected[~common].sum().view(1)]).numpy() * draws
    if wanted[-1] == 0:
        observed, wanted = observed[:-1], wanted[:-1]
    assert stats.chisquare(observed, wanted).pvalue > 1e-3

    longer = {**call, "new": 8}
    few = requests[:12]
    alone = probe("generate", {**longer, "slots": 1, "requests": few}, tmp_path)["results"]
    backwards = probe("generate", {**longer, "slots": 5, "requests": few[::-1]}, tmp_path)["results"][::-1]
    assert alone == backwards


def test_real_pair(tmp_path):
    """SmolLM2's vocabulary on SmolLM2 and on Gemma, real tokenizers and targets, a random delta."""
    smol, gemma = str(outside.model("smollm2-135m-instruct")), str(outside.model("gemma-3-270m"))
    tokenizer = published.load_tokenizer(smol)
    model = tiny.llama(49152, 9, hidden=16)
    folder = os.path.join(tmp_path, "delta")
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        os.symlink(os.path.join(smol, name), os.path.join(folder, name))
    prompts = ["What is the capital of France?", "<|user|>\nWrite a haiku about café and naïve 猫.\n<|assistant|>\n"]
    answers = [" Paris, of course.", " Quietly the cat sleeps"]
    for target in (smol, gemma):
        other = target != smol
        base, base_tokenizer = published.load_model(target), published.load_tokenizer(target)
        specification = {"own_vocabulary": other, "parts": [{"model": folder}]}
        call = {"base": target, "deltas": [specification]}
        delta = published.Delta([published.Part(model.eval())])
        if other:
            delta.tokenizer = tokenizer
            made = probe("maps", call, tmp_path)[0]
            delta.token_map = (made["ids"], made["match"])
        items = [{"prompt": prompt, "alpha": alpha} for prompt in prompts for alpha in (0.0, 1.0)]
        got = probe("generate", {**call, "slots": 4, "new": 12, "requests": items}, tmp_path)["results"]
        for item, result in zip(items, got):
            wanted = published.generate(base, base_tokenizer, item["prompt"], 12, delta, item["alpha"])
            assert result["ids"] == wanted["ids"], item
        pairs = [dict(item, answer=answers[number // 2]) for number, item in enumerate(items)]
        got = probe("score", {**call, "pairs": pairs}, tmp_path)["results"]
        for item, result in zip(pairs, got):
            wanted = published.score(base, base_tokenizer, item["prompt"], item["answer"], delta, item["alpha"])
            assert result["logprob"] == pytest.approx(wanted["logprob"], rel=1e-3), item
