"""cmc bench: what it sets its times against is what transformers' own models hold and compute, and its shares are those of its times."""

import json

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from support_pipeline import cmc

LLAMA = dict(max_position_embeddings=8192, rms_norm_eps=1e-5, hidden_act="silu")
SHAPES = {
    "tiny": (2, transformers.LlamaConfig(vocab_size=4096, hidden_size=256, intermediate_size=512, num_hidden_layers=2,
                                         num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False, **LLAMA)),
    "smollm2_135m": (2, transformers.LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=2,
                                                 num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True, **LLAMA)),
    "gemma3_270m": (1, transformers.Gemma3TextConfig(
        vocab_size=262144, hidden_size=640, intermediate_size=2048, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=1, head_dim=256, sliding_window=512, layer_types=["sliding_attention"])),
}
CONTEXT, STEPS, BATCHES = 24, 2, [1, 3]


@pytest.fixture(scope="module", params=SHAPES)
def bench(request):
    layers, config = SHAPES[request.param]
    deltas = "same,other" if request.param == "tiny" else "none"
    done = cmc("bench", "--shape", request.param, "--layers", layers, "--device", "cpu", "--batch", ",".join(map(str, BATCHES)),
               "--context", CONTEXT, "--steps", STEPS, "--delta", deltas, "--json", timeout=900)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    return request.param, json.loads(done.stdout), config, model


def measures(bench):
    return {measure["name"]: measure for measure in bench[1]["measures"]}


def test_weights_are_those_of_the_real_model(bench):
    name, json_, config, model = bench
    assert json_["weight_bytes"] == 4 * sum(p.numel() for p in model.parameters())
    assert json_["layers"] == config.num_hidden_layers


def test_operations_are_those_that_pytorch_counts(bench):
    name, json_, config, model = bench
    counter = FlopCounterMode(display=False)
    with counter:
        model(torch.zeros((1, CONTEXT), dtype=torch.long, device="meta"), logits_to_keep=1)
    by_kind = {str(kind): flops for kind, flops in counter.get_flop_counts()["Global"].items()}
    attention = by_kind["aten.bmm"]
    assert attention == 4 * CONTEXT ** 2 * config.num_hidden_layers * config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    # Half of eager attention's products lie behind the causal mask.
    assert json_["operations_of_a_prompt"] == pytest.approx(sum(by_kind.values()) - attention / 2, rel=1e-9)


def test_shares_are_those_of_the_times(bench):
    name, json_, config, model = bench
    machine, found = json_["machine"], measures(bench)
    held = {n: p.numel() for n, p in model.named_parameters()}
    read = sum(held.values()) - (0 if config.tie_word_embeddings else held["model.embed_tokens.weight"])
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    for batch in BATCHES:
        speed = found[f"decode, batch {batch}"]
        cache = batch * speed["context"] * 2 * config.num_hidden_layers * config.num_key_value_heads * head
        seconds = batch / speed["value"]
        assert speed["fraction"] == pytest.approx(4 * (read + cache) / machine["copy_bytes_per_second"] / seconds, rel=1e-6)
        assert CONTEXT < speed["context"] < CONTEXT + 3 * STEPS + 8
        assert 0 < speed["least"] <= speed["value"] <= speed["most"]
        prefill = found[f"prefill, batch {batch}"]
        assert prefill["fraction"] == pytest.approx(1e12 * prefill["value"] / machine["matmul_operations_per_second"], rel=1e-6)
        assert found[f"peak memory, batch {batch}"]["value"] * 1e9 > json_["weight_bytes"]
    assert machine["device"] == "cpu" and machine["name"]
    assert not any("goal" in key for measure in json_["measures"] for key in measure), "the goals are a GPU's"


def test_deltas_cost_what_their_steps_take_longer(bench):
    if bench[0] != "tiny":
        assert not any("delta" in name for name in measures(bench))
        return
    found = measures(bench)
    for batch in BATCHES:
        alone = batch / found[f"decode, batch {batch}"]["value"]
        for kind in ("", ", other vocabulary"):
            steered = batch / found[f"decode + delta{kind}, batch {batch}"]["value"]
            cost = found[f"cost of a delta{kind}, batch {batch}"]
            assert cost["fraction"] == pytest.approx(steered / alone - 1, abs=1e-6)
            assert cost["value"] == pytest.approx(1e3 * (steered - alone), abs=1e-6)
    assert found["delta training, states kept"]["value"] > 0


def test_the_table_and_what_is_refused():
    table = cmc("bench", "--shape", "tiny", "--device", "cpu", "--batch", "2", "--context", 8, "--steps", 2).stdout
    for name in ["decode, batch 2", "of bandwidth", "cost of a delta, other vocabulary", "scoring", "of matmul rate", "peak memory"]:
        assert name in table
    assert "smollm2_135m" in cmc("bench", "--shape", "smollm", expect=2).stderr
    assert "--layers" in cmc("bench", "--shape", "tiny", "--layers", 9, expect=2).stderr
    assert "--batch" in cmc("bench", "--shape", "tiny", "--batch", "1,x", expect=2).stderr
    assert "--delta" in cmc("bench", "--shape", "tiny", "--delta", "both", expect=2).stderr
