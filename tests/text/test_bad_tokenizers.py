"""Damaged files: each gives exit code 65 or 66 and a message that names the file and the field; none crashes."""
import json
import random

import outside
import pytest
from corpora import failure, probe

BAD_DATA, MISSING_INPUT = 65, 66


def good():
    """A byte-level BPE small enough to damage by hand."""
    return {
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "<s>", "special": True, "normalized": False, "single_word": False,
                          "lstrip": False, "rstrip": False}],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                                                    {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {"<s>": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "abc": 5}, "merges": [["a", "b"], ["ab", "c"]]},
    }


def changed(path, value):
    content = good()
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return content


def added(**fields):
    return [{**good()["added_tokens"][0], **fields}]


def nested(depth):
    component = {"type": "Sequence", "normalizers": []}
    for _ in range(depth):
        component = {"type": "Sequence", "normalizers": [component]}
    return component


BAD = {
    # what is wrong: (where it is, what stands there, what the message must name)
    "no model": (["model"], KeyError, "model"),
    "model is a list": (["model"], [], "model"),
    "unknown model": (["model", "type"], "WordPiece", "model.type"),
    "unigram of pieces alone": (["model"], {"type": "Unigram", "unk_id": 0, "vocab": ["a"]}, "model.vocab[0]"),
    "unigram without a score": (["model"], {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0], ["b"]]}, "model.vocab[1]"),
    "unigram of an object": (["model"], {"type": "Unigram", "unk_id": 0, "vocab": {"a": 0}}, "model.vocab"),
    "unigram, unknown outside": (["model"], {"type": "Unigram", "unk_id": 5, "vocab": [["a", 0.0]]}, "model.unk_id"),
    "unigram, piece twice": (["model"], {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0], ["a", 0.0]]}, "model.vocab"),
    "vocab is a list": (["model", "vocab"], ["a", "b"], "model.vocab"),
    "vocab is empty": (["model", "vocab"], {}, "model.vocab"),
    "vocab is missing": (["model", "vocab"], KeyError, "model.vocab"),
    "negative id": (["model", "vocab", "a"], -1, "model.vocab"),
    "fractional id": (["model", "vocab", "a"], 1.5, "model.vocab"),
    "id as string": (["model", "vocab", "a"], "1", "model.vocab"),
    "id as object": (["model", "vocab", "a"], {"id": 1}, "model.vocab"),
    "id as list": (["model", "vocab", "a"], [1], "model.vocab"),
    "id beyond 64 bits": (["model", "vocab", "a"], 2**70, "model.vocab"),
    "id beyond 32 bits": (["model", "vocab", "a"], 2**33, "model.vocab"),
    "id absurdly large": (["model", "vocab", "a"], 2**24 - 1, "model.vocab"),
    "two pieces with one id": (["model", "vocab", "a"], 2, "model.vocab"),
    "merges are an object": (["model", "merges"], {"a": "b"}, "model.merges"),
    "merge of three": (["model", "merges"], [["a", "b", "c"]], "model.merges[0]"),
    "merge of one": (["model", "merges"], [["a", "b"], ["ab"]], "model.merges[1]"),
    "merge of numbers": (["model", "merges"], [[1, 2]], "model.merges[0]"),
    "merge string without space": (["model", "merges"], ["ab"], "model.merges[0]"),
    "merge string with two spaces": (["model", "merges"], ["a b c"], "model.merges[0]"),
    "merge is an object": (["model", "merges"], [{"left": "a"}], "model.merges[0]"),
    "unknown left part": (["model", "merges"], [["x", "b"]], "model.merges[0]"),
    "unknown right part": (["model", "merges"], [["a", "x"]], "model.merges[0]"),
    "unknown result": (["model", "merges"], [["b", "a"]], "model.merges[0]"),
    "cyclic merge": (["model"], {**good()["model"], "vocab": {**good()["model"]["vocab"], "": 6},
                                 "merges": [["a", ""]]}, "model.merges[0]"),
    "cyclic merge by prefix": (["model"], {**good()["model"], "vocab": {**good()["model"]["vocab"], "##": 6},
                                           "continuing_subword_prefix": "##", "merges": [["a", "##"]]}, "model.merges[0]"),
    "unknown unknown": (["model", "unk_token"], "<unk>", "model.unk_token"),
    "dropout": (["model", "dropout"], 0.1, "model.dropout"),
    "flag of another type": (["model", "fuse_unk"], "yes", "fuse_unk"),
    "added tokens are an object": (["added_tokens"], {"<s>": 0}, "added_tokens"),
    "added token without content": (["added_tokens"], [{"id": 0}], "added_tokens[0]"),
    "added token without id": (["added_tokens"], [{"content": "<s>"}], "added_tokens[0]"),
    "added token, negative id": (["added_tokens"], added(id=-3), "added_tokens[0]"),
    "added token, flag": (["added_tokens"], added(special="true"), "special"),
    "unknown normalizer": (["normalizer"], {"type": "BertNormalizer"}, "normalizer.type"),
    "character map": (["normalizer"], {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "precompiled_charsmap"),
    "normalizer inside": (["normalizer"], {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "StripAccents"}]},
                          "normalizer.normalizers[1].type"),
    "normalizer is a list": (["normalizer"], [], "normalizer"),
    "normalizer nested without end": (["normalizer"], nested(300), "too deeply"),
    "replace without pattern": (["normalizer"], {"type": "Replace", "content": "x"}, "pattern"),
    "replace of nothing": (["normalizer"], {"type": "Replace", "pattern": {"String": ""}, "content": "x"}, "String"),
    "unknown pre-tokenizer": (["pre_tokenizer", "type"], "UnicodeScripts", "pre_tokenizer.type"),
    "pattern of neither kind": (["pre_tokenizer"], {"type": "Split", "pattern": "x", "behavior": "Isolated"}, "pattern"),
    "pattern that does not compile": (["pre_tokenizer"], {"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"},
                                      "pattern.Regex"),
    "unknown behavior": (["pre_tokenizer"], {"type": "Split", "pattern": {"String": "x"}, "behavior": "Sideways"}, "behavior"),
    "metaspace of two": (["pre_tokenizer"], {"type": "Metaspace", "replacement": "__"}, "replacement"),
    "metaspace scheme": (["pre_tokenizer"], {"type": "Metaspace", "replacement": "_", "prepend_scheme": "often"},
                         "prepend_scheme"),
    "unknown decoder": (["decoder", "type"], "CTC", "decoder.type"),
    "strip count": (["decoder"], {"type": "Strip", "content": " ", "start": -1, "stop": 0}, "start"),
    "unknown post-processor": (["post_processor", "type"], "Unheard", "post_processor.type"),
    "post-processor id": (["post_processor", "special_tokens", "<s>", "ids"], [99], "post_processor"),
    "post-processor without text": (["post_processor", "single"], [{"SpecialToken": {"id": "<s>", "type_id": 0}}], "single"),
    "post-processor with unknown token": (["post_processor", "special_tokens"], {}, "special_tokens"),
}


@pytest.mark.parametrize("path, value, names", BAD.values(), ids=BAD.keys())
def test_bad_tokenizer_json(path, value, names, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(changed(path, value)))
    code, message = failure("encode", "--tokenizer", file)
    assert code == BAD_DATA, (code, message)
    assert str(file) in message and names in message, message


def test_the_undamaged_file_loads(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(good()))
    (answer,) = probe("encode", "--tokenizer", tmp_path, lines=[{"text": "abcab<s>", "added": "as_model"}])
    assert answer["ids"] == [0, 5, 4, 0]


@pytest.mark.parametrize("raw, names", [
    (json.dumps(good())[:200], "JSON"), ("", "JSON"), ("[]", "model"), ("null", "model"), ("{}", "model"), ("\xff{}", "JSON"),
    (json.dumps(good()).replace('"a": 1', '"a": 1, "a": 7'), "model.vocab"),
    (json.dumps(good()).replace('"<s>": 0', '"\\ud800": 0'), "JSON"),
    (json.dumps(good()).replace('"version": "1.0"', '"version": "1.0", "version": "2.0"'), "twice"),
    ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS")], ids=range(10))
def test_not_even_json(raw, names, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_bytes(raw.encode("latin-1"))
    code, message = failure("encode", "--tokenizer", file)
    assert code == BAD_DATA and str(file) in message and names in message, message


@pytest.mark.parametrize("config, names", [
    ("[]", "tokenizer_config.json"), ("{", "tokenizer_config.json"), ('{"bos_token": 5}', "bos_token"),
    ('{"eos_token": {"special": true}}', "eos_token"), ('{"added_tokens_decoder": {"x": {"content": "a"}}}', "added_tokens_decoder"), ('{"add_bos_token": "yes"}', "add_bos_token")], ids=range(6))
def test_bad_configuration(config, names, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(good()))
    (tmp_path / "tokenizer_config.json").write_text(config)
    code, message = failure("encode", "--tokenizer", tmp_path)
    assert code == BAD_DATA and "tokenizer_config.json" in message and names in message, message


@pytest.mark.parametrize("file, text, names", [
    ("qwen.tiktoken", "IQ== 0\n", "tiktoken"), ("tiktoken.model", "IQ== 0\n", "tiktoken"), ("tokenizer.model", "IQ== 0\nIg== 1\n", "tiktoken"),
    ("tekken.json", "{}", "mistral-common")])
def test_other_libraries_vocabularies_are_refused_by_name(file, text, names, tmp_path):
    (tmp_path / file).write_text(text)
    code, message = failure("encode", "--tokenizer", tmp_path)
    assert code == 77 and file in message and names in message and "tokenizer.json" in message, message


def test_classes_built_in_another_way_are_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(good()))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "XLNetTokenizer"}')
    code, message = failure("encode", "--tokenizer", tmp_path)
    assert code == 77 and "tokenizer_class" in message and "XLNetTokenizer" in message, message


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer.model", "tokenizer_config.json"])
def test_a_pointer_is_named(file, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(good()))
    if file == "tokenizer.model":
        (tmp_path / "tokenizer.json").unlink()
    (tmp_path / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    code, message = failure("encode", "--tokenizer", tmp_path)
    assert code == 65 and file in message and "Git LFS pointer" in message, message


def test_missing(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "tokenizer.json"):
        code, message = failure("encode", "--tokenizer", path)
        assert code == MISSING_INPUT and str(path) in message


def test_damaged_tokenizer_model(tmp_path):
    original = outside.data("tokenizers", "llama2", "tokenizer.model").read_bytes()
    file = tmp_path / "tokenizer.model"
    for damaged in (b"", b"garbage", original[:1000], original[:-7], original[5:], b"{}", bytes(1000)):
        file.write_bytes(damaged)
        code, message = failure("encode", "--tokenizer", file)
        assert code == BAD_DATA and str(file) in message, (len(damaged), code, message)


def test_random_damage_never_crashes(tmp_path):
    """A byte changed, dropped or doubled anywhere: loads or is refused."""
    rng = random.Random(17)
    whole = json.dumps(good()).encode()
    file = tmp_path / "tokenizer.json"
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(damaged))
            kind = rng.randrange(3)
            if kind == 0:
                damaged[at] = rng.choice(b'0123456789"{}[],:-ax \xff')
            elif kind == 1:
                del damaged[at]
            else:
                damaged.insert(at, rng.choice(b'09"{}[],:'))
        file.write_bytes(damaged)
        code, message = failure("encode", "--tokenizer", file)
        assert code in (0, BAD_DATA) and (code == 0 or message), (code, bytes(damaged))
