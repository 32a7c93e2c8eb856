"""tokenizer.json in the forms of the model families, trained tiny here, against the `tokenizers` library, live."""
import functools
import json

import outside
import pytest
from corpora import instruction_texts, probe, random_texts, show
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


@functools.cache
def corpus():
    return instruction_texts()[:400] + random_texts(300, seed=11)


@functools.cache
def inputs():
    return instruction_texts()[400:900] + random_texts(1500, seed=12) + ["", " ", "  ", "\n", "▁", " a", "a ", "<s>"]


@functools.cache
def byte_level_base():
    """A byte-level BPE trained without splitting at digits or punctuation, so that every pre-tokenizer leaves merges to do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=1500, show_progress=False, special_tokens=["<|endoftext|>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer.to_str()


@functools.cache
def piece_base(byte_fallback):
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=1800, show_progress=False, limit_alphabet=120, special_tokens=["<unk>", "<s>", "</s>"] + bytes_))
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    return json.dumps(content)


def byte_level(**components):
    tokenizer = Tokenizer.from_str(byte_level_base())
    for name, component in components.items():
        setattr(tokenizer, name, component)
    return tokenizer


def pieces(byte_fallback=True, fuse_unk=True, **components):
    content = json.loads(piece_base(byte_fallback))
    content["model"]["fuse_unk"] = fuse_unk
    tokenizer = Tokenizer.from_str(json.dumps(content))
    for name, component in components.items():
        setattr(tokenizer, name, component)
    return tokenizer


def llama_decoder():
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def begin_template(tokenizer):
    return processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B",
                                         special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])


def split_then_bytes(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])


def gpt2():
    return byte_level(post_processor=processors.ByteLevel(trim_offsets=False))


def gpt2_prefix_space():
    return byte_level(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True))


def llama3():
    tokenizer = byte_level(pre_tokenizer=split_then_bytes(LLAMA3))
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), begin_template(tokenizer)])
    content = json.loads(tokenizer.to_str())
    content["model"]["ignore_merges"] = True
    return Tokenizer.from_str(json.dumps(content))


def qwen2():
    return byte_level(normalizer=normalizers.NFC(), pre_tokenizer=split_then_bytes(QWEN2),
                      post_processor=processors.ByteLevel(trim_offsets=False))


def mistral_tekken():
    return byte_level(pre_tokenizer=split_then_bytes(TEKKEN))


def smollm():
    return byte_level(pre_tokenizer=pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]))


def many_splits():
    return byte_level(pre_tokenizer=pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"[\r\n]"), "isolated"), pre_tokenizers.Split(Regex(r"\s?\p{L}+"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s?\p{P}+"), "merged_with_next"), pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Split(" ", "contiguous"),
        pre_tokenizers.Split(Regex(r"\p{N}{2}+|\S{3,}|[[:alpha:]\]]"), "isolated", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))


def drops_white_space():
    return byte_level(pre_tokenizer=pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Whitespace(),
        pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]))


def normalizes():
    return byte_level(normalizer=normalizers.Sequence([
        normalizers.NFKD(), normalizers.Lowercase(), normalizers.NFKC(),
        normalizers.Replace(Regex(r"\s{2,}"), " "), normalizers.Replace("the", "THE"), normalizers.Strip()]))


def byte_level_normalizer():
    return byte_level(normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.ByteLevel()]),
                      pre_tokenizer=pre_tokenizers.Split(Regex("Ġ"), "merged_with_next"))


def llama2_legacy():
    tokenizer = pieces(normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
                       decoder=llama_decoder())
    tokenizer.pre_tokenizer = None
    tokenizer.post_processor = begin_template(tokenizer)
    return tokenizer


def llama2():
    return pieces(pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first", split=False), decoder=llama_decoder())


def metaspace_always():
    return pieces(pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="always"), decoder=decoders.Metaspace())


def metaspace_never():
    return pieces(pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="never"),
                  decoder=decoders.Metaspace(prepend_scheme="never"))


def gemma():
    return pieces(normalizer=normalizers.Replace(" ", "▁"), pre_tokenizer=pre_tokenizers.Split(" ", "merged_with_previous"),
                  decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]))


def unknown_fused():
    return pieces(byte_fallback=False)


def unknown_apart():
    return pieces(byte_fallback=False, fuse_unk=False)


def no_decoder():
    tokenizer = pieces()
    content = json.loads(tokenizer.to_str())
    content["decoder"] = None
    return Tokenizer.from_str(json.dumps(content))


def odd_decoder():
    return pieces(decoder=decoders.Sequence([
        decoders.Strip("e", 1, 0), decoders.ByteFallback(), decoders.Replace(Regex("[aeiou]{2}"), "_"), decoders.Fuse(),
        decoders.Replace("▁t", "+"), decoders.Strip("▁", 2, 0)]))


def byte_level_odd_decoder():
    return byte_level(decoder=decoders.Sequence([decoders.ByteLevel(), decoders.Replace(" t", "+"), decoders.Strip(" ", 2, 0)]))


def word_marks():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=1500, show_progress=False, special_tokens=["<unk>"], continuing_subword_prefix="##",
        end_of_word_suffix="</w>"))
    return tokenizer


def added_tokens():
    tokenizer = byte_level(normalizer=normalizers.Lowercase())
    tokenizer.add_special_tokens([
        AddedToken("<mask>", lstrip=True), AddedToken("<sep>", rstrip=True), AddedToken("<cls>", single_word=True),
        AddedToken("<both>", lstrip=True, rstrip=True), AddedToken("<se", normalized=False)])
    tokenizer.add_tokens(["Hello", "<Normal>", AddedToken("the", single_word=True), AddedToken(" of ", normalized=False), "\n\n", "é"])
    return tokenizer


def added_tokens_with_prefix():
    tokenizer = llama2_legacy()
    tokenizer.add_tokens(["New", AddedToken("Token", normalized=False), AddedToken("of", single_word=True)])
    return tokenizer


FORMS = [gpt2, gpt2_prefix_space, llama3, qwen2, mistral_tekken, smollm, many_splits, drops_white_space, normalizes,
         byte_level_normalizer, llama2_legacy, llama2, metaspace_always, metaspace_never, gemma, unknown_fused, unknown_apart,
         no_decoder, odd_decoder, byte_level_odd_decoder, word_marks, added_tokens, added_tokens_with_prefix]
MARKED = ["a <mask> b", "x<mask>  <sep>  y", " <cls> ", "a<cls>b", "<cls>", "a <both>\n<both> b", "<sep><se<sep", "<normal>",
          "<Normal> HELLO hello Hellothere the them The THE", "one of the of  of x", "\n\n\n", "É é", "New Token of oft", "NewToken"]


def check(file, reference, texts):
    expected = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
    ours = [a["ids"] for a in probe("encode", "--tokenizer", file, lines=[{"text": text} for text in texts])]
    same(texts, ours, expected)
    as_model = [{"text": text, "added": "as_model"} for text in texts[:100]]
    same(texts, [a["ids"] for a in probe("encode", "--tokenizer", file, lines=as_model)],
         [e.ids for e in reference.encode_batch(texts[:100], add_special_tokens=True)])
    for special in ("skip", "keep"):
        answers = probe("decode", "--tokenizer", file, lines=[{"ids": ids, "special": special} for ids in expected])
        decoded = reference.decode_batch(expected, skip_special_tokens=special == "skip")
        same(expected, [a["text"] for a in answers], decoded)
        if special == "skip":
            same(expected, ["".join(a["pushes"]) for a in answers], decoded)


def same(texts, ours, expected):
    for text, a, b in zip(texts, ours, expected):
        assert a == b, show(text, a, b)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_form(form, tmp_path):
    file = tmp_path / "tokenizer.json"
    form().save(str(file))
    check(file, Tokenizer.from_file(str(file)), inputs() + MARKED)


def test_merges_as_strings_and_no_model_type(tmp_path):
    """The older way to write the same file."""
    content = json.loads(gpt2().to_str())
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    del content["model"]["type"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    check(tmp_path, gpt2(), inputs()[:300])


@pytest.mark.parametrize("name", ["llama2", "mistral"])
def test_converted_from_tokenizer_model(name, tmp_path):
    """transformers' conversion of the real vocabularies; their merges are derived from the SentencePiece model."""
    from transformers import LlamaTokenizerFast

    LlamaTokenizerFast.from_pretrained(outside.data("tokenizers", name)).save_pretrained(tmp_path)
    check(tmp_path, Tokenizer.from_file(str(tmp_path / "tokenizer.json")), inputs() + MARKED)
    (converted,) = probe("vocabulary", "--tokenizer", tmp_path)
    (original,) = probe("vocabulary", "--tokenizer", outside.data("tokenizers", name))
    assert converted["digest"] == original["digest"] and converted["entries"] == original["entries"]
    assert converted["special"][:3] == original["special"][:3]


@pytest.mark.parametrize("config", [{"add_bos_token": True}, {"add_bos_token": False}, {"add_eos_token": True}, {},
                                    {"add_bos_token": True, "add_eos_token": True}], ids=str)
def test_begin_and_end_flags(config, tmp_path):
    """Beside a tokenizer.json they count for nothing, as in transformers; the roles do count."""
    from transformers import AutoTokenizer

    llama3().save(str(tmp_path / "tokenizer.json"))
    roles = {"bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>", "special": True}, "pad_token": "<|endoftext|>"}
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **roles, **config}))
    reference = AutoTokenizer.from_pretrained(tmp_path)
    texts = ["Hello there", "a"]
    ours = probe("encode", "--tokenizer", tmp_path, lines=[{"text": text, "added": "as_model"} for text in texts])
    assert [a["ids"] for a in ours] == reference(texts)["input_ids"]
    (ours,) = probe("vocabulary", "--tokenizer", tmp_path)
    assert ours["special"] == [reference.bos_token_id, reference.eos_token_id, -1, reference.pad_token_id]


@pytest.mark.parametrize("config", [{}, {"add_bos_token": True}, {"add_bos_token": True, "add_eos_token": True}, {"add_eos_token": True}],
                         ids=str)
def test_begin_and_end_flags_of_tokenizer_model(config, tmp_path):
    """Where there is no tokenizer.json they count; a lone tokenizer.model begins with the begin token."""
    import sentencepiece
    from transformers import AutoTokenizer

    file = outside.data("tokenizers", "llama2", "tokenizer.model")
    (tmp_path / "tokenizer.model").write_bytes(file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", **config}))
    (ours,) = probe("encode", "--tokenizer", tmp_path, lines=[{"text": "Hello there", "added": "as_model"}])
    assert ours["ids"] == AutoTokenizer.from_pretrained(tmp_path)("Hello there")["input_ids"]
    (ours,) = probe("encode", "--tokenizer", file, lines=[{"text": "Hello there", "added": "as_model"}])
    assert ours["ids"] == sentencepiece.SentencePieceProcessor(model_file=str(file)).encode("Hello there", add_bos=True)
