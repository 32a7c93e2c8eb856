"""Random models of every architecture and part, made by transformers in the test, give transformers' logits."""

import pytest
import torch
from safetensors.torch import load_file

from support_model import TINY, load_reference, make_tiny, random_tokens, reference_logits, relative, worst

LIMIT = 5e-5  # of the largest logit, in float32


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = (folder, make_tiny(name, folder))
        return made[name]

    return get


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("gradients", [False, True], ids=["kernels", "autograd"])
def test_full_pass(name, gradients, tiny, probe, tmp_path):
    folder, model = tiny(name)
    tokens = random_tokens(90, 1)  # beyond max_position_embeddings, so that dynamic scaling acts
    ours, = probe.logits(folder, [{"spans": [[0, tokens]]}], tmp_path, gradients=gradients)
    theirs = reference_logits(model, tokens)
    assert theirs.abs().max() > 0.5  # the comparison has something to compare
    assert relative(ours, theirs) < LIMIT


@pytest.mark.parametrize("name", TINY)
def test_cache_token_by_token(name, tiny, probe, tmp_path):
    """A prompt, then single tokens, then a cut back to a prefix and another end; the cache's second slot."""
    folder, model = tiny(name)
    first, second = random_tokens(40, 2), random_tokens(13, 3)
    prompt = 21
    calls = [{"spans": [[1, first[:prompt]]]}] + [{"spans": [[1, [token]]]} for token in first[prompt:]]
    ours = torch.cat(probe.logits(folder, calls, tmp_path, slots=3, capacity=64))
    assert relative(ours, reference_logits(model, first)) < LIMIT
    calls.append({"truncate": [[1, 17]], "spans": [[1, second]]})
    ours = probe.logits(folder, calls, tmp_path, slots=3, capacity=64)[-1]
    assert relative(ours, reference_logits(model, first[:17] + second)[17:]) < LIMIT


@pytest.mark.parametrize("name", TINY)
def test_ragged_batches(name, tiny, probe, tmp_path):
    """Sequences of many lengths together, in any slots and order, in pieces of any length, equal each one alone."""
    folder, model = tiny(name)
    texts = {4: random_tokens(33, 4), 0: random_tokens(5, 5), 2: random_tokens(50, 6), 3: random_tokens(48, 7)}
    cuts = [{4: 3, 0: 1, 2: 40, 3: 39}, {0: 2, 4: 20}, {2: 41, 4: 21, 3: 40}, {3: 48, 0: 5, 4: 33, 2: 50}]
    calls, pieces, at = [], {slot: [] for slot in texts}, dict.fromkeys(texts, 0)
    for cut in cuts:
        calls.append({"spans": [[slot, texts[slot][at[slot]:end]] for slot, end in cut.items()]})
        for slot, end in cut.items():
            pieces[slot].append((len(calls) - 1, end - at[slot]))
            at[slot] = end
    assert at == {slot: len(text) for slot, text in texts.items()}
    results = probe.logits(folder, calls, tmp_path, slots=6, capacity=50)
    offsets = [0] * len(calls)
    parts = {slot: [] for slot in texts}
    for number, cut in enumerate(cuts):
        for slot in cut:
            count = next(size for call, size in pieces[slot] if call == number)
            parts[slot].append(results[number][offsets[number]:offsets[number] + count])
            offsets[number] += count
    for slot, text in texts.items():
        assert relative(torch.cat(parts[slot]), reference_logits(model, text)) < LIMIT


@pytest.mark.parametrize("name", TINY)
def test_greedy_text(name, tiny, probe):
    """24 tokens after prompts of several lengths, as transformers generates them."""
    folder, model = tiny(name)
    prompts = [random_tokens(count, 30 + count) for count in (3, 17, 9)]
    ours = probe.value("greedy", model=str(folder), prompts=prompts, new=24, batch=3)["ids"]
    for prompt, ids in zip(prompts, ours):
        theirs = model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False, eos_token_id=None,
                                pad_token_id=0, attention_mask=torch.ones(1, len(prompt), dtype=torch.long))
        assert ids == theirs[0, len(prompt):].tolist()


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3", "rope_llama3", "phi", "gpt2", "falcon_alibi", "gpt_oss",
                                  "deepseek_v3"])
@pytest.mark.parametrize("gradients", [False, True], ids=["kernels", "autograd"])
def test_independent_sequences_without_cache(name, gradients, tiny, probe, tmp_path):
    folder, model = tiny(name)
    texts = [random_tokens(count, count) for count in (7, 30, 1, 29, 31, 30, 8)]
    ours, = probe.logits(folder, [{"spans": [[0, text] for text in texts]}], tmp_path, gradients=gradients)
    theirs = torch.cat([reference_logits(model, text) for text in texts])
    assert relative(ours, theirs) < LIMIT


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3", "gpt2", "bloom", "gpt_oss"])
@pytest.mark.parametrize("cached", [True, False])
def test_tree_equals_its_branches(name, cached, tiny, probe, tmp_path):
    """A trunk with branches in one span: every node sees what its own sequence would see."""
    folder, model = tiny(name)
    past = random_tokens(12, 11) if cached else []
    parents, tokens = [-1, 0, 1, 1, 3, 0, 5, 2, 7, 8, 9, -1], random_tokens(12, 12)

    def path(node):
        return path(parents[node]) + [node] if node >= 0 else []

    mask = [[1] * len(past) + [int(other in path(node)) for other in range(len(tokens))] for node in range(len(tokens))]
    call = {"spans": [[1, tokens]], "tree_mask": mask,
            "positions": [len(past) + len(path(node)) - 1 for node in range(len(tokens))]}
    if cached:
        ours = probe.logits(folder, [{"spans": [[1, past]]}, call], tmp_path, slots=2, capacity=40)[1]
    else:
        ours, = probe.logits(folder, [call], tmp_path)
    for node in range(len(tokens)):
        theirs = reference_logits(model, past + [tokens[step] for step in path(node)])[-1]
        assert relative(ours[node], theirs) < LIMIT


@pytest.mark.parametrize("name", TINY)
def test_gradient(name, tiny, probe, tmp_path):
    """Every parameter's gradient of the mean next-token loss over sequences of several lengths."""
    folder, model = tiny(name)
    texts = [random_tokens(count, 100 + count) for count in (12, 30, 29, 5)]
    answer = probe.value("gradient", model=str(folder), sequences=texts, out=str(tmp_path / "gradient"))
    ours = load_file(tmp_path / "gradient")
    model.zero_grad()
    rows = torch.cat([model(torch.tensor([text])).logits[0, :-1] for text in texts])
    targets = torch.cat([torch.tensor(text[1:]) for text in texts])
    loss = torch.nn.functional.cross_entropy(rows.float(), targets)
    loss.backward()
    assert abs(answer["loss"] - loss.item()) < 1e-5 * loss.item()
    theirs = stored_gradients(model, tmp_path / "stored")
    assert set(ours) == set(theirs)
    largest = max(tensor.norm() for tensor in theirs.values())
    for key in theirs:
        # Some are zero but for rounding: a bias on all keys, which no softmax sees.
        error = (ours[key] - theirs[key]).norm() / max(theirs[key].norm(), 1e-4 * largest)
        assert error < 1e-3, key


def stored_gradients(model, folder):
    """By the names of a checkpoint: transformers saves the model with its gradients in the parameters' place."""
    values = {key: tensor.detach().clone() for key, tensor in model.named_parameters()}
    buffers = {key for key, _ in model.named_buffers()}
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)
        model.save_pretrained(folder)
        for key, tensor in model.named_parameters():
            tensor.copy_(values[key])
    return {key: tensor for key, tensor in load_file(folder / "model.safetensors").items() if key not in buffers}


@pytest.mark.parametrize("name", TINY)
def test_saved_model_loads_in_transformers(name, tiny, probe, tmp_path):
    folder, model = tiny(name)
    probe.value("save", model=str(folder), folder=str(tmp_path))
    tokens = random_tokens(25, 20)
    assert worst(reference_logits(load_reference(tmp_path), tokens), reference_logits(model, tokens)) == 0


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_random_model(name, tiny, probe, tmp_path):
    """Drawn by seed: the same bits again, others for another seed; normal with the configuration's deviation."""
    folder, _ = tiny(name)
    for place, seed in (("a", 5), ("b", 5), ("c", 6)):
        (tmp_path / place).mkdir()
        probe.value("random", config=str(folder), seed=seed, folder=str(tmp_path / place))
    a, b, c = (load_file(tmp_path / place / "model.safetensors") for place in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a) and not all(torch.equal(a[key], c[key]) for key in a)
    values = torch.cat([tensor.flatten() for key, tensor in a.items() if tensor.dim() == 2])
    assert abs(values.mean()) < 0.01 * 0.3 and abs(values.std() - 0.3) < 0.01 * 0.3
    assert abs(((values / 0.3) ** 4).mean() - 3) < 0.2
    norms = torch.cat([tensor for key, tensor in a.items() if tensor.dim() == 1])
    assert torch.all(norms == (0 if name == "gemma3" else 1))
    tokens = random_tokens(25, 21)
    ours, = probe.logits(tmp_path / "a", [{"spans": [[0, tokens]]}], tmp_path)
    assert relative(ours, reference_logits(load_reference(tmp_path / "a"), tokens)) < LIMIT


def test_bfloat16(tiny, probe, tmp_path):
    folder, model = tiny("llama")
    tokens = random_tokens(30, 22)
    ours, = probe.logits(folder, [{"spans": [[0, tokens]]}], tmp_path, dtype="bfloat16")
    theirs = reference_logits(model, tokens)
    assert (ours - theirs).norm() / theirs.norm() < 0.05


@pytest.mark.parametrize("token", [-1, 160])
def test_token_outside_the_vocabulary(token, tiny, probe, tmp_path):
    folder, _ = tiny("llama")
    answer = probe.ask("run", model=str(folder), calls=[{"spans": [[0, [1, token]]]}], out=str(tmp_path / "x"))
    assert answer["code"] == 65 and "vocabulary" in answer["error"]
