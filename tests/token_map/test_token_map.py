"""PM-MinED against a naive pairwise search with the real Levenshtein distance, and against the published counts."""
import json
import os
import random
import subprocess
from pathlib import Path

import outside
import pytest

EXACT, INEXACT, UNMAPPED = 2, 1, 0


def probe(program, *arguments):
    done = subprocess.run([Path(os.environ["CMC_BIN"]) / program, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def token_map(base, delta, **options):
    arguments = [text for name, value in options.items() for text in ("--" + name, value)]
    code, out, err = probe("probe_token_map", "--from", base, "--to", delta, *arguments)
    assert code == 0, err
    return json.loads(out)


def pieces_model(name):
    return outside.data("tokenizers", name, "tokenizer.model")


def model(name):
    return outside.model(name)


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def nearest(text, candidates):
    """The pairwise search over (id, text); "▁" written as a space."""
    best = None
    for token, other in candidates:
        if other == text:
            return token, EXACT
        if not (text.startswith(other) or other.startswith(text)) or (other == " " and text.strip(" ")):
            continue
        distance = levenshtein(text, other)
        if best is None or distance < best[0]:
            best = (distance, token)
    return (best[1], INEXACT) if best else (-1, UNMAPPED)


def related(text, candidates):
    """What one_to_many keeps of (id, text) for a text: its equal alone, else all that is prefix-related."""
    equal = [token for token, other in candidates if other == text]
    return equal[:1] or [token for token, other in candidates if other and (text.startswith(other) or other.startswith(text))
                         and not (other == " " and text.strip(" "))]


def beginning_with(text, candidates, found):
    """What prefix_sum keeps: all that begin with the text, else what PM-MinED finds."""
    longer = [token for token, other in candidates if text and other.startswith(text)]
    return longer or ([found[0]] if found[0] >= 0 else [])


def nearest_by_edits(text, candidates):
    """MinED: the pairwise search without the condition of a prefix, for what shares anything."""
    equal = [token for token, other in candidates if other == text]
    if equal:
        return equal[0], EXACT
    distances = [(levenshtein(text, other), token) for token, other in candidates if other]
    shared = [(distance, token) for (distance, token), (_, other) in zip(distances, [c for c in candidates if c[1]])
              if distance < max(len(text), len(other))]
    return (min(shared)[1], INEXACT) if shared else (-1, UNMAPPED)


def lists_of(made):
    return [made["candidates"][begin:end] for begin, end in zip(made["offsets"], made["offsets"][1:])]


def published(piece, token, delta_pieces):
    """One step of the published map between two SentencePiece vocabularies."""
    if piece.startswith("<") and piece.endswith(">") and len(piece) > 2:
        return token, EXACT
    return nearest(piece.replace("\u2581", " "), [(i, p.replace("\u2581", " ")) for i, p in enumerate(delta_pieces)])


def pieces_of(file):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def test_mistral_to_llama_has_the_published_counts():
    made = token_map(pieces_model("mistral"), pieces_model("llama2"), compat="authors")
    assert made["coverage"] == [24185, 6474, 1341]
    assert [made["match"].count(kind) for kind in (EXACT, INEXACT, UNMAPPED)] == [24185, 6474, 1341]
    assert made["ids"][25955] == 25955 and made["match"][25955] == EXACT  # "<?>", taken for a special token
    assert all((i == -1) == (m == UNMAPPED) for i, m in zip(made["ids"], made["match"]))


def test_the_correction_changes_one_token():
    base, delta = pieces_of(pieces_model("mistral")), pieces_of(pieces_model("llama2"))
    authors = token_map(pieces_model("mistral"), pieces_model("llama2"), compat="authors")
    corrected = token_map(pieces_model("mistral"), pieces_model("llama2"))
    changed = [i for i in range(32000) if authors["ids"][i] != corrected["ids"][i]]
    assert [base[i] for i in changed] == ["<?>"]
    assert (corrected["ids"][changed[0]], corrected["match"][changed[0]]) == nearest("<?>", list(enumerate(delta)))
    assert corrected["coverage"] == [24184, 6475, 1341]


@pytest.mark.parametrize("source, target", [("mistral", "llama2"), ("llama2", "mistral")])
def test_real_vocabularies_against_the_pairwise_search(source, target):
    base, delta = pieces_of(pieces_model(source)), pieces_of(pieces_model(target))
    made = token_map(pieces_model(source), pieces_model(target), compat="authors")
    rng = random.Random(1)
    known = set(delta)
    unmatched = [i for i, piece in enumerate(base) if piece not in known]
    spaces = [i for i, piece in enumerate(base) if not piece.strip("\u2581")]
    for i in rng.sample(unmatched, 250) + rng.sample(range(32000), 50) + spaces + [0, 1, 2, 3, 13, 258]:
        assert (made["ids"][i], made["match"][i]) == published(base[i], i, delta), base[i]


@pytest.mark.parametrize("source, target", [("mistral", "llama2"), ("llama2", "mistral")])
def test_one_to_many_on_real_vocabularies_against_the_pairwise_search(source, target):
    base, delta = pieces_of(pieces_model(source)), pieces_of(pieces_model(target))
    made, single = (token_map(pieces_model(source), pieces_model(target), compat="authors", method=method)
                    for method in ("one_to_many", "pm_mined"))
    lists, texts = lists_of(made), [(i, piece.replace("\u2581", " ")) for i, piece in enumerate(delta)]
    assert len(lists) == 32000 and not single["candidates"] and not single["offsets"]
    assert (made["ids"], made["match"]) == (single["ids"], single["match"]), "the nearest stays as it is"
    for token, (candidates, match) in enumerate(zip(lists, made["match"])):
        assert candidates == [made["ids"][token]] if match == EXACT else bool(candidates) == (match == INEXACT)
        assert match != INEXACT or made["ids"][token] in candidates
    rng = random.Random(3)
    inexact = [i for i, match in enumerate(made["match"]) if match == INEXACT]
    many = sorted(inexact, key=lambda i: -len(lists[i]))[:20]
    unmapped = [i for i, match in enumerate(made["match"]) if match == UNMAPPED]
    for i in rng.sample(inexact, 250) + many + rng.sample(unmapped, 50):
        assert lists[i] == related(base[i].replace("\u2581", " "), texts), base[i]
    assert max(map(len, lists)) > 10


@pytest.mark.parametrize("source, target", [("mistral", "llama2"), ("llama2", "mistral")])
def test_min_ed_on_real_vocabularies_against_the_pairwise_search(source, target):
    base, delta = pieces_of(pieces_model(source)), pieces_of(pieces_model(target))
    made = token_map(pieces_model(source), pieces_model(target), method="min_ed")
    prefixed = token_map(pieces_model(source), pieces_model(target))
    texts = [(i, piece.replace("\u2581", " ")) for i, piece in enumerate(delta) if i >= 259]  # what is no mark or byte
    rng = random.Random(5)
    unmatched = [i for i, match in enumerate(made["match"]) if match != EXACT and i >= 259]
    for i in rng.sample(unmatched, 40):
        assert (made["ids"][i], made["match"][i]) == nearest_by_edits(base[i].replace("\u2581", " "), texts), base[i]
    assert made["match"].count(EXACT) == prefixed["match"].count(EXACT)
    assert made["match"].count(UNMAPPED) < prefixed["match"].count(UNMAPPED)


def write_tokenizer(folder, pieces, special=(), byte_level=False, roles=None, byte_fallback=False):
    folder.mkdir()
    decoder = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    (folder / "tokenizer.json").write_text(json.dumps({
        "added_tokens": [{"id": pieces.index(piece), "content": piece, "special": True, "normalized": False}
                         for piece in special],
        "decoder": decoder if byte_level else None,
        "model": {"type": "BPE", "byte_fallback": byte_fallback, "vocab": {piece: i for i, piece in enumerate(pieces)},
                  "merges": []}}))
    (folder / "tokenizer_config.json").write_text(json.dumps(roles or {}))
    return folder


def random_pieces(rng, count, alphabet):
    pieces = set()
    while len(pieces) < count:
        pieces.add("".join(rng.choice(alphabet) for _ in range(rng.choice([1, 1, 2, 2, 3, 4, 6]))))
    return rng.sample(sorted(pieces), count)


@pytest.mark.parametrize("seed", range(25))
def test_random_vocabularies_against_the_pairwise_search(seed, tmp_path):
    rng = random.Random(seed)
    alphabet = ["\u2581", "a", "b", "é", "日"][:rng.randint(2, 5)]
    counts = {2: 30, 3: 60, 4: 120, 5: 150}
    base, delta = (random_pieces(rng, rng.randint(5, counts[len(alphabet)]), alphabet) for _ in range(2))
    made = token_map(write_tokenizer(tmp_path / "base", base), write_tokenizer(tmp_path / "delta", delta))
    texts = [(i, piece.replace("\u2581", " ")) for i, piece in enumerate(delta)]
    expected = [nearest(piece.replace("\u2581", " "), texts) for piece in base]
    assert list(zip(made["ids"], made["match"])) == expected
    many = token_map(tmp_path / "base", tmp_path / "delta", method="one_to_many")
    assert list(zip(many["ids"], many["match"])) == expected
    assert lists_of(many) == [related(piece.replace("\u2581", " "), texts) for piece in base]
    summed = token_map(tmp_path / "base", tmp_path / "delta", method="prefix_sum")
    assert list(zip(summed["ids"], summed["match"])) == expected
    assert lists_of(summed) == [beginning_with(piece.replace("\u2581", " "), texts, found) for piece, found in zip(base, expected)]
    free = token_map(tmp_path / "base", tmp_path / "delta", method="min_ed")
    assert list(zip(free["ids"], free["match"])) == [nearest_by_edits(piece.replace("\u2581", " "), texts) for piece in base]
    only = token_map(tmp_path / "base", tmp_path / "delta", method="exact_only")
    assert list(zip(only["ids"], only["match"])) == [e if e[1] == EXACT else (-1, UNMAPPED) for e in expected]


def test_kinds_of_tokens(tmp_path):
    """What each kind becomes between a SentencePiece-style and a byte-level vocabulary, by hand."""
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    pieces = ["<s>", "</s>", "<unk>", "<pad>", "<extra>", "<0x0A>", "<0x41>", "<0xE2>", "\u2581the", "the", "x", "\u2581",
              "\u2581\u2581", "日本", "<mark>"]
    marks = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    bytes_ = ["<|begin|>", "<|end|>", "<mark>", "Ċ", "A", "â", "âĸ", "Ġthe", "Ġthem", "Ġ", "ĊĊ", "æĹ¥", "Ġxy", "zz", "x!"]
    base = write_tokenizer(tmp_path / "pieces", pieces, special=[*pieces[:5], "<mark>"], roles=roles, byte_fallback=True)
    delta = write_tokenizer(tmp_path / "bytes", bytes_, special=bytes_[:3], roles=marks, byte_level=True)

    def readable(made, source, target):
        names = {EXACT: "=", INEXACT: "~", UNMAPPED: ""}
        return {piece: names[match] + (target[i] if i >= 0 else "")
                for piece, i, match in zip(source, made["ids"], made["match"])}

    assert readable(token_map(base, delta), pieces, bytes_) == {
        "<s>": "=<|begin|>", "</s>": "=<|end|>", "<unk>": "", "<pad>": "=<|end|>", "<extra>": "", "<mark>": "=<mark>",
        "<0x0A>": "=Ċ", "<0x41>": "=A", "<0xE2>": "=â", "\u2581the": "=Ġthe", "the": "", "x": "~x!", "\u2581": "=Ġ",
        "\u2581\u2581": "~Ġ", "日本": "~æĹ¥"}
    assert readable(token_map(delta, base), bytes_, pieces) == {
        "<|begin|>": "=<s>", "<|end|>": "=</s>", "<mark>": "=<mark>", "Ċ": "=<0x0A>", "A": "=<0x41>", "â": "=<0xE2>",
        "âĸ": "", "Ġthe": "=\u2581the", "Ġthem": "~\u2581the", "Ġ": "=\u2581", "ĊĊ": "", "æĹ¥": "~日本", "Ġxy": "",
        "zz": "", "x!": "~x"}


@pytest.mark.parametrize("source, target", [("smollm2-135m-instruct", "gemma-3-270m"), ("gemma-3-270m", "smollm2-135m-instruct")])
def test_real_pair_of_different_kinds(source, target):
    entries, roles = {}, {}
    for name in (source, target):
        code, out, err = probe("probe_text", "vocabulary", "--tokenizer", model(name))
        assert code == 0, err
        vocabulary = json.loads(out)
        entries[name], roles[name] = vocabulary["entries"], vocabulary["special"]
    made = token_map(model(source), model(target))
    rng = random.Random(2)

    def text(entry):
        return bytes(entry[2]).decode().replace("\u2581", " ")

    texts = [(i, text(e)) for i, e in enumerate(entries[target]) if e[1] == "text"]
    by_kind = {kind: [i for i, e in enumerate(entries[source]) if e[1] == kind] for kind in ("text", "partial", "byte", "special")}
    longer = [i for i in by_kind["text"] if len(entries[source][i][2]) > 1]
    for i in rng.sample(longer, 25):
        assert (made["ids"][i], made["match"][i]) == nearest(text(entries[source][i]), texts), entries[source][i]
    single = {e[2][0]: i for i, e in reversed(list(enumerate(entries[target]))) if len(e[2]) == 1}
    for i in by_kind["byte"] + [i for i in by_kind["partial"] if len(entries[source][i][2]) == 1]:
        if entries[source][i][2][0] in single:
            assert entries[target][made["ids"][i]][2] == entries[source][i][2] and made["match"][i] == EXACT
        else:
            assert made["ids"][i] == -1
    for ours, theirs in list(zip(roles[source], roles[target]))[:2]:  # begin and end
        assert made["ids"][ours] == theirs and made["match"][ours] == EXACT
    assert sum(made["coverage"]) == len(made["ids"]) == len(entries[source])


def test_same_vocabulary(tmp_path):
    made = token_map(pieces_model("llama2"), pieces_model("llama2"))
    assert made["same"] and made["differences"] == "" and made["ids"] == list(range(32000))
    other = token_map(pieces_model("llama2"), pieces_model("mistral"))
    assert not other["same"] and other["differences"].startswith("260 ")
    first = write_tokenizer(tmp_path / "a", ["a", "b", "c"])
    longer = write_tokenizer(tmp_path / "b", ["a", "b", "c", "d"])
    special = write_tokenizer(tmp_path / "c", ["a", "b", "c"], special=["c"])
    assert not token_map(first, longer)["same"] and token_map(first, longer)["differences"] == '3 none / "d"'
    assert not token_map(first, special)["same"]


@pytest.mark.parametrize("option, known", [("method", "one_to_many"), ("compat", "authors")])
def test_unknown_names(option, known):
    code, _, message = probe("probe_token_map", "--from", pieces_model("llama2"), "--to", pieces_model("llama2"),
                             "--" + option, "sideways")
    assert code == 2 and "sideways" in message and known in message
