"""The special tokens that chat templates name, against transformers, live: by files, by class, by what a configuration says beside."""
import json
import sys

import pytest
from chat_folders import QUESTIONS, chat, make_folder, theirs, write_files
from corpora import SOURCE, probe

sys.path.append(str(SOURCE / "tests" / "decode"))
import tiny_checkpoints  # noqa: E402

TOKENS = ("{% for name in ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask', 'image', 'boi'] %}{% endfor %}{{ bos_token }}|{{ eos_token }}|"
          "{{ unk_token }}|{{ sep_token }}|{{ pad_token }}|{{ cls_token }}|{{ mask_token }}|{{ image_token }}|{{ boi_token }}|"
          "{{ additional_special_tokens }}|{{ messages[0].content }}")
ADDED = {"content": "<s>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}


@pytest.mark.parametrize("config, files", [
    ({}, {}),
    ({"bos_token": None}, {}),
    ({"bos_token": {"__type": "AddedToken", **ADDED}}, {}),
    ({"pad_token": "</s>", "unk_token": "<new>", "sep_token": "a"}, {}),
    ({"image_token": "<img>", "add_bos_token": True}, {}),
    ({"extra_special_tokens": {"image_token": "<img>", "boi_token": "<boi>"}}, {}),
    ({"additional_special_tokens": ["<x>", "<y>"]}, {}),
    ({"bos_token": "</s>"}, {"special_tokens_map_json": {"bos_token": ADDED, "pad_token": "a"}}),
    ({"bos_token": "</s>", "added_tokens_decoder": {"1": {**ADDED, "special": True}}}, {"special_tokens_map_json": {"bos_token": ADDED, "pad_token": "a"}}),
])
def test_special_tokens_in_templates(config, files, tmp_path):
    make_folder(tmp_path, **{**config, "chat_template": TOKENS})
    write_files(tmp_path, **files)
    assert chat(tmp_path, [[("user", "q")]]) == [{"text": theirs(tmp_path)([("user", "q")])}]


@pytest.mark.parametrize("named", [None, "LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizerFast", "GPT2Tokenizer", "Qwen2Tokenizer",
                                   "PreTrainedTokenizerFast", "TokenizersBackend"])
@pytest.mark.parametrize("model_type", ["llama", "mistral", "gemma2", "qwen2", "qwen3", "phi3", "gpt2", "gpt_neox", "cohere", "olmo2"])
def test_special_tokens_that_a_class_has_by_itself(named, model_type, tmp_path):
    """Where no file says them: by the tokenizer's class, which the checkpoint or its model type names."""
    tokenizer, _ = tiny_checkpoints.sentencepiece_bpe(500, dummy_prefix=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": TOKENS, **({"tokenizer_class": named} if named else {})}))
    assert chat(tmp_path, [[("user", "q")]]) == [{"text": theirs(tmp_path)([("user", "q")])}]


ROLES = "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}|{{ prefix_token }}|{{ image_token }}|{{ messages[0].content }}"


@pytest.mark.parametrize("pieces", [{}, {"bos_piece": "<|startoftext|>", "eos_piece": "<|im_end|>"}, {"bos_id": -1}, {"pad_id": 3}])
@pytest.mark.parametrize("named", [None, "LlamaTokenizer", "PreTrainedTokenizerFast", "CodeLlamaTokenizer"])
def test_roles_of_a_lone_sentencepiece_model(pieces, named, tmp_path):
    """Templates know the roles of the tokenizer that is put together, whichever file says them."""
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(QUESTIONS * 20 + ["the quick brown fox"] * 50), model_writer=model, vocab_size=400,
                                             model_type="bpe", byte_fallback=True, hard_vocab_limit=False, minloglevel=2, **pieces)
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    (tmp_path / "chat_template.jinja").write_text(ROLES)
    if named:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": named}))
    assert chat(tmp_path, [[("user", "q")]]) == [{"text": theirs(tmp_path)([("user", "q")])}]


@pytest.mark.parametrize("settings", [{"auto_map": {"AutoProcessor": "a.B"}}, {"auto_map": {"AutoTokenizer": None}},
                                      {"tokenizer_class": "LlamaTokenizer", "auto_map": {"AutoModel": "a.B"}},
                                      {"model_specific_special_tokens": {"image_token": "<image>"}}])
@pytest.mark.parametrize("model_type", ["qwen2", "phi3", "llama"])
def test_what_a_configuration_says_beside(settings, model_type, tmp_path):
    tokenizer, _ = tiny_checkpoints.sentencepiece_bpe(500, dummy_prefix=False)
    tokenizer.enable_padding(pad_token="</s>", pad_id=2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": ROLES, **settings}))
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(tmp_path)
    assert chat(tmp_path, [[("user", "q")]]) == [{"text": theirs(tmp_path)([("user", "q")])}]
    texts = ["Using 12 of them", "a <image> b", "x  y"]
    ours = probe("encode", "--tokenizer", tmp_path, lines=[{"text": text, "added": "as_model"} for text in texts])
    assert [one["ids"] for one in ours] == [reference(text)["input_ids"] for text in texts]
