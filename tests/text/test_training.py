"""Vocabularies trained here, against Python's sentencepiece (its trainer and its processor) and transformers, live."""
import io
import json
import re
import subprocess

import pytest
import sentencepiece
from corpora import BIN, failure, probe, random_texts, show

SIZES = {"a": 800, "b": 1100}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    subprocess.run([BIN / "probe_world", folder, "seed=11", "documents=1500"], check=True, stdout=subprocess.DEVNULL)
    return folder


def train(lines, folder, pieces, **options):
    words = [word for name, value in options.items() for word in ("--" + name, value)]
    probe("train", "--lines", lines, "--folder", folder, "--pieces", pieces, *words)
    return folder


@pytest.fixture(scope="module")
def folders(world):
    return {name: train(world / f"tokenizer_{name}.txt", world / name, pieces) for name, pieces in SIZES.items()}


def reference(folder):
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


def pieces_of(processor):
    return [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]


def world_texts(world):
    texts = [json.loads(line)["text"] for line in (world / "pretrain.jsonl").read_text().splitlines()]
    for row in json.loads((world / "alpaca_eval.json").read_text()):
        texts += [f"<|user|>\n{row['instruction']}\n<|assistant|>\n", row["output"]]
    return texts


def ids(folder, texts):
    return [answer["ids"] for answer in probe("encode", "--tokenizer", folder, lines=[{"text": text} for text in texts])]


@pytest.mark.parametrize("name", SIZES)
def test_pieces_are_those_of_pythons_trainer(world, folders, name):
    lines, model = (world / f"tokenizer_{name}.txt").read_text().splitlines(), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=SIZES[name], byte_fallback=True,
        character_coverage=1.0, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        num_threads=1, minloglevel=2)
    theirs = pieces_of(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))
    assert pieces_of(reference(folders[name])) == theirs and len(theirs) == SIZES[name]


@pytest.mark.parametrize("name", SIZES)
def test_ids_are_those_of_pythons_processor(world, folders, name):
    processor = reference(folders[name])
    texts = world_texts(world) + random_texts(3000, seed=5) + ["", " ", "a  b", "  a", "a\nb\n\nc", "\n", "12 + 7 = 19", "é▁"]
    file = folders[name] / "tokenizer.model"  # by itself it is SentencePiece's own; the folder is transformers'
    for text, ours, theirs in zip(texts, ids(file, texts), processor.encode(texts)):
        assert ours == theirs, show(text, ours, theirs)
    back = probe("decode", "--tokenizer", file, lines=[{"ids": processor.encode(text)} for text in texts])
    for text, answer in zip(texts[:1500], back):
        assert answer["text"] == text, "nothing is lost: no space, no line break"


@pytest.mark.parametrize("name", SIZES)
def test_transformers_reads_the_folder(world, folders, name):
    """Texts that begin with a space or name special tokens are its own matter."""
    from transformers import AutoTokenizer

    tokenizer, processor = AutoTokenizer.from_pretrained(folders[name]), reference(folders[name])
    odd = [text for text in random_texts(2000, seed=6) if not re.match("[ ▁]", text) and not re.search("<(s|/s|unk)>|▁", text)]
    texts = world_texts(world) + odd
    assert len(odd) > 1000
    for text in texts:
        assert tokenizer.encode(text, add_special_tokens=False) == processor.encode(text), text
    texts += random_texts(1000, seed=7)
    for text, ours in zip(texts, ids(folders[name], texts)):
        assert ours == tokenizer.encode(text, add_special_tokens=False), text
    (ours,) = probe("encode", "--tokenizer", folders[name], lines=[{"text": texts[0], "added": "as_model"}])
    assert ours["ids"] == tokenizer(texts[0])["input_ids"] == [1] + processor.encode(texts[0])
    (ours,) = probe("vocabulary", "--tokenizer", folders[name])
    assert ours["special"] == [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, -1] == [1, 2, 0, -1]


def test_what_the_settings_promise(world, folders):
    processor = reference(folders["a"])
    pieces = [piece for piece, _ in pieces_of(processor)]
    assert pieces[:3] == ["<unk>", "<s>", "</s>"] and pieces[3:259] == [f"<0x{byte:02X}>" for byte in range(256)]
    assert not [p for p in pieces[259:] if re.search(r"[0-9].|.[0-9]", p)], "digits stand alone"
    assert not [p for p in pieces if "▁" in p[1:]], "no piece crosses a space"
    assert processor.encode("a\nb", out_type=str) == ["▁a", "<0x0A>", "b"]
    assert processor.encode("a  b", out_type=str) == ["▁a", "▁", "▁b"]
    assert processor.encode("ﬁ Å", out_type=str)[1:4] == ["<0xEF>", "<0xAC>", "<0x81>"], "no normal form"


def test_words_of_forms_are_whole(world, folders):
    """A delta that reads A can only ask a model that reads B for a word that is one piece in both."""
    requests = " ".join(row["instruction"] for row in json.loads((world / "alpaca.json").read_text()))
    words = set(re.findall(r"with the word (\w+)\.", requests))
    assert len(words) == 12
    for folder in folders.values():
        processor = reference(folder)
        assert [word for word in words | {"Sure"} if processor.encode(word, out_type=str) != ["▁" + word]] == []


def test_the_same_bytes_again_and_silently(world, folders, tmp_path):
    command = [BIN / "probe_text", "train", "--lines", world / "tokenizer_a.txt", "--folder", tmp_path, "--pieces", "800"]
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for file in ("tokenizer.model", "tokenizer_config.json"):
        assert (tmp_path / file).read_bytes() == (folders["a"] / file).read_bytes()
    assert str(world).encode() not in (tmp_path / "tokenizer.model").read_bytes(), "a model does not tell where it was made"


def test_long_lines_and_rare_characters(tmp_path):
    """A line above the trainer's usual limit of 4192 bytes counts; coverage leaves rare characters to the bytes."""
    lines = tmp_path / "lines.txt"
    lines.write_bytes((" ".join(["walking", "talking"] * 3000) + "\nß\n").encode())
    all_of_them = reference(train(lines, tmp_path / "all", 282))
    assert all_of_them.encode("walking ß", out_type=str) == ["▁walking", "▁ß"]
    most = reference(train(lines, tmp_path / "most", 280, coverage=0.999))
    assert most.encode("ß", out_type=str) == ["▁", "<0xC3>", "<0x9F>"]


def test_most_of_b_is_found_in_a(folders):
    """The delta reads A; what it says has to reach a model that reads B (PM-MinED)."""
    (answer,) = probe("--from", folders["b"], "--to", folders["a"], program="probe_token_map")
    exact, inexact, unmapped = answer["coverage"]
    print(f"B to A: {exact} exact, {inexact} by prefix, {unmapped} unmapped of {SIZES['b']}")
    assert exact + inexact + unmapped == SIZES["b"]
    assert exact >= 0.65 * SIZES["b"] and unmapped <= 0.03 * SIZES["b"]


@pytest.mark.parametrize("content, pieces, named", [
    (b"", 400, ["lines.txt", "no text"]),
    (b"\n\n", 400, ["lines.txt", "no text"]),
    (b"fine\nna\xefve\n", 400, ["lines.txt:2", "UTF-8"]),
    (b"fine\n\na\0b\n", 400, ["lines.txt:3", "NUL"]),
    ("a▅b".encode(), 400, ["lines.txt:1", "U+2585"]),
    (b"few words\n", 400, ["lines.txt", "pieces", "400", "too high"]),
    (b"few words\n", 262, ["lines.txt", "pieces", "262"]),
    (b"few words\n", 259, ["lines.txt", "pieces", "259"]),
    (b"few words\n", -1, ["lines.txt", "pieces", "-1"]),
], ids=str)
def test_refusals(tmp_path, content, pieces, named):
    (tmp_path / "lines.txt").write_bytes(content)
    code, message = failure("train", "--lines", tmp_path / "lines.txt", "--folder", tmp_path / "made", "--pieces", pieces)
    assert code == 65 and all(name in message for name in named), message
    assert "trainer_interface" not in message and not (tmp_path / "made").exists()


def test_refusals_of_paths_and_coverage(tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("some words\n")
    arguments = ["train", "--folder", tmp_path / "made", "--pieces", 275, "--lines"]
    assert failure(*arguments, tmp_path / "none.txt")[0] == 66
    assert failure(*arguments, tmp_path)[0] == 65
    for coverage in ("0", "1.5", "nan"):
        code, message = failure(*arguments, lines, "--coverage", coverage)
        assert code == 65 and "character_coverage" in message
    (tmp_path / "made").write_text("a file, no folder")
    assert failure(*arguments, lines)[0] == 73
