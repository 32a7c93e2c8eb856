"""Folders with tokens in every place where they can stand, against AutoTokenizer, live.

Random: a tokenizer of one of the makes, a class, a model type, and tokens with random flags at random places. CMC_FOLDERS=N
tries N of them, CMC_FOLDERS_FROM=SEED begins elsewhere.
"""
import functools
import io
import json
import os
import random
import shutil

import outside
import pytest
from corpora import SOURCE, instruction_texts, probe, random_texts, show
from test_trained_tokenizers import byte_level_base, gemma, gpt2, llama2, llama2_legacy, llama3, qwen2, smollm

from transformers import AutoTokenizer, logging

logging.set_verbosity_error()
CASES = SOURCE / "tests" / "text" / "cases"
FOLDERS = int(os.environ.get("CMC_FOLDERS") or 100)
FIRST_SEED = int(os.environ.get("CMC_FOLDERS_FROM") or 0)


@functools.cache
def piece_model(kind):
    """A small tokenizer.model with control and user-defined pieces."""
    import sentencepiece

    lines = [line for text in instruction_texts()[:300] for line in text.split("\n") if line]
    unigram, model = kind.startswith("unigram"), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="unigram" if unigram else "bpe", vocab_size=900, hard_vocab_limit=False,
        byte_fallback="bytes" in kind, character_coverage=0.998, split_digits=True, minloglevel=2, num_threads=1,
        normalization_rule_name="nmt_nfkc" if "nfkc" in kind else "identity", remove_extra_whitespaces=False,
        user_defined_symbols=["<user>", "the end"], control_symbols=["<control>"])
    return model.getvalue()


def write_unigram(folder, rng):
    """A tokenizer.json of the Unigram kind, as conversions of SentencePiece models have it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    model = unigram_pieces()
    tokenizer = Tokenizer(models.Unigram(model, unk_id=0, byte_fallback=rng.random() < 0.5))
    tokenizer.normalizer = rng.choice([
        normalizers.Sequence([normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]),
        normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(" ", "▁")])
    scheme = rng.choice(["always", "first", "never"])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=rng.random() < 0.7)
    tokenizer.decoder = rng.choice([decoders.Metaspace(prepend_scheme=scheme), decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])])
    tokenizer.save(str(folder / "tokenizer.json"))


@functools.cache
def unigram_pieces():
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(piece_model("unigram bytes"))
    return [(piece.piece, piece.score) for piece in proto.pieces]


def write_json(make):
    return lambda folder, rng: make().save(str(folder / "tokenizer.json"))


def write_model(kind):
    return lambda folder, rng: (folder / "tokenizer.model").write_bytes(piece_model(kind))


def write_two_files(folder, rng):
    model = json.loads(byte_level_base())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in model["merges"]))


# make, classes that can read it, model types
MAKES = {
    "bytes": (write_json(gpt2), ["GPT2Tokenizer", "GPTNeoXTokenizerFast", "Qwen2Tokenizer", "CohereTokenizerFast",
                                 "CodeGenTokenizer", "PreTrainedTokenizerFast", "LlamaTokenizerFast", "OwnTokenizer"]),
    "llama3": (write_json(llama3), ["PreTrainedTokenizerFast", "TokenizersBackend", "LlamaTokenizer"]),
    "qwen2": (write_json(qwen2), ["Qwen2Tokenizer", "Qwen2TokenizerFast", "Qwen3_5Tokenizer"]),
    "smollm": (write_json(smollm), ["GPT2Tokenizer", "PreTrainedTokenizerFast"]),
    "llama2": (write_json(llama2), ["LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "PreTrainedTokenizerFast"]),
    "llama2 legacy": (write_json(llama2_legacy), ["LlamaTokenizer", "Phi3Tokenizer", "PreTrainedTokenizerFast"]),
    "gemma": (write_json(gemma), ["GemmaTokenizer", "GemmaTokenizerFast", "PreTrainedTokenizerFast"]),
    "unigram": (write_unigram, ["PreTrainedTokenizerFast", "OwnTokenizer"]),
    "pieces": (write_model("bpe bytes"), ["LlamaTokenizer", "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer",
                                          "PreTrainedTokenizerFast"]),
    "unigram pieces": (write_model("unigram bytes"), ["LlamaTokenizer", "PreTrainedTokenizerFast"]),
    "nfkc pieces": (write_model("unigram nfkc"), ["PreTrainedTokenizerFast"]),
    "two files": (write_two_files, ["GPT2Tokenizer", "GPTNeoXTokenizer", "Qwen2Tokenizer", "CodeGenTokenizer"]),
}
MODEL_TYPES = ["llama", "mistral", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma2", "phi", "phi3", "olmo2", "cohere", "opt",
               "exaone4", "nemotron", "starcoder2", "gemma3_text", "mixtral", "granite", "smollm3", "olmo"]
ROLES = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"]
CONTENTS = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<X>", "<Y>", "<z z>", "<|im_start|>", "<|im_end|>", "the", " of ",
            "<pad>", "[PAD]", "é", "<user>", "\n\n", "<bos>", "<eos>", "ab", "▁the", "<control>", "<image>"]


def flags(rng, **more):
    return {**{key: rng.random() < 0.3 for key in ("lstrip", "rstrip", "single_word", "normalized", "special")}, **more}


def configured(rng, classes):
    """tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json, each there or not."""
    files = {}
    config = {}
    if rng.random() < 0.9:
        config["tokenizer_class"] = rng.choice(classes)
    for key in ("add_bos_token", "add_eos_token", "add_prefix_space", "legacy", "split_special_tokens",
                "clean_up_tokenization_spaces"):
        if rng.random() < (0.4 if key in ("add_bos_token", "legacy") else 0.15):
            config[key] = rng.random() < 0.6
    for role in ROLES:
        if rng.random() < 0.35:
            content = rng.choice(CONTENTS)
            config[role] = rng.choice([content, content, {"__type": "AddedToken", "content": content, **flags(rng)}])
        elif rng.random() < 0.1 and role != "unk_token":
            config[role] = None
    if rng.random() < 0.2:
        config["image_token"] = rng.choice(CONTENTS)
    key = rng.choice(["extra_special_tokens", "additional_special_tokens", None])
    if key:
        some = rng.sample(CONTENTS, rng.randint(0, 4))
        config[key] = [rng.choice([c, {"__type": "AddedToken", "content": c, **flags(rng)}]) for c in some]
        if key == "extra_special_tokens" and rng.random() < 0.3:
            config[key] = {f"{'abc'[i]}_token": c for i, c in enumerate(some[:3])}
    if rng.random() < 0.35:
        start = rng.choice([0, 1500, 1800, 900])
        config["added_tokens_decoder"] = {str(start + i * rng.randint(1, 2)): {"content": c, **flags(rng)}
                                          for i, c in enumerate(rng.sample(CONTENTS, rng.randint(0, 5)))}
    if rng.random() < 0.9:
        files["tokenizer_config.json"] = config
    if rng.random() < 0.35:
        files["special_tokens_map.json"] = special_map(rng)
    if rng.random() < 0.35:
        files["added_tokens.json"] = {c: 1000 + i for i, c in enumerate(rng.sample(CONTENTS, rng.randint(0, 4)))}
    if rng.random() < 0.5 or "tokenizer_config.json" not in files:
        files["config.json"] = {"model_type": rng.choice(MODEL_TYPES)}
    return files


def special_map(rng):
    made = {}
    for role in rng.sample(ROLES, rng.randint(0, 4)):
        content = rng.choice(CONTENTS)
        plain = flags(rng)
        del plain["special"]
        made[role] = rng.choice([content, {"content": content, **plain}])
    if rng.random() < 0.4:
        made[rng.choice(["additional_special_tokens", "extra_special_tokens"])] = rng.sample(CONTENTS, 2)
    return made


def add_to_file(folder, rng):
    """Tokens in tokenizer.json's own list: new, known, twice, with ids of their own."""
    file = folder / "tokenizer.json"
    if not file.exists() or rng.random() < 0.4:
        return
    content = json.loads(file.read_text())
    for c in rng.choices(CONTENTS, k=rng.randint(0, 4)):
        content["added_tokens"].append({"id": rng.randint(0, 3000), "content": c, **flags(rng)})
    file.write_text(json.dumps(content))


@functools.cache
def texts():
    rng = random.Random(8)
    made = instruction_texts()[900:915] + random_texts(25, seed=31) + ["", " ", "<s>", " a", "<s>[INST] Hi [/INST]", "a </s> b"]
    for _ in range(40):
        parts = rng.choices(CONTENTS + ["a", " the", "word ", "  ", "don't", "\n", "é", ".", " !", "THE"], k=rng.randint(1, 8))
        made.append("".join(parts))
    return made


def compare(folder, reference, inputs, what=""):
    none = [reference(text, add_special_tokens=False)["input_ids"] for text in inputs]
    model = [reference(text)["input_ids"] for text in inputs]
    for expected, more in ((none, {}), (model, {"added": "as_model"})):
        ours = probe("encode", "--tokenizer", folder, lines=[{"text": text, **more} for text in inputs])
        for text, answer, theirs in zip(inputs, ours, expected):
            assert answer["ids"] == theirs, (what, more, show(text, answer["ids"], theirs))
    rng = random.Random(3)
    rows = len(reference) + 3
    drawn = [[rng.randrange(rows) for _ in range(rng.randint(0, 12))] for _ in range(30)]
    for special in ("skip", "keep"):
        ours = probe("decode", "--tokenizer", folder, lines=[{"ids": ids, "special": special} for ids in model + drawn])
        for ids, answer in zip(model + drawn, ours):
            expected = reference.decode(ids, skip_special_tokens=special == "skip")
            assert answer["text"] == expected, (what, special, ids, answer["text"], expected)
            if special == "skip":
                assert "".join(answer["pushes"]) == expected, (what, ids)
    (ours,) = probe("vocabulary", "--tokenizer", folder)
    assert len(ours["entries"]) >= len(reference), what
    if (folder / "tokenizer_config.json").exists():
        assert ours["special"][:2] + ours["special"][3:] == [
            -1 if i is None else i for i in (reference.bos_token_id, reference.eos_token_id, reference.pad_token_id)], what


def random_folder(seed, folder):
    rng = random.Random(seed)
    name = rng.choice(list(MAKES))
    write, classes = MAKES[name]
    write(folder, rng)
    files = configured(rng, classes)
    if name == "two files":  # a class must know the rest
        files.setdefault("tokenizer_config.json", {})["tokenizer_class"] = rng.choice(classes)
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content))
    add_to_file(folder, rng)
    return name, files


def reference_of(folder):
    """None where transformers cannot read that folder, or its library panics over it: nothing to compare with."""
    try:
        reference = AutoTokenizer.from_pretrained(folder)
        for text in texts():
            reference(text)
    except BaseException as error:  # a panic is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return None
    return reference


@pytest.mark.parametrize("name", sorted(case.name for case in CASES.iterdir() if not case.name.startswith("chat_")))
def test_case(name, tmp_path):
    """Small folders that were once read another way."""
    for file in (CASES / name).iterdir():
        shutil.copy(file, tmp_path)
    if name.startswith("spm"):
        shutil.copy(outside.data("tokenizers", "llama2", "tokenizer.model"), tmp_path)
    extra = ["the <X> fox", "a </s> b", "<|im_start|>user\nHi<|im_end|>\n", "中、文", "a\U0001FA75\U0001FA76b", "\U0001FAF7word"]
    compare(tmp_path, AutoTokenizer.from_pretrained(tmp_path), texts() + extra, name)


def test_random_folders(tmp_path):
    read = 0
    for seed in range(FIRST_SEED, FIRST_SEED + FOLDERS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        name, files = random_folder(seed, folder)
        if reference := reference_of(folder):
            compare(folder, reference, texts(), f"seed {seed}: {name} {files}")
            read += 1
        shutil.rmtree(folder)
    assert read > FOLDERS * 0.6
