"""Tiny random models with tokenizers trained on the spot, as Hugging Face folders: real formats, no weights needed."""
import json
import os
import sys

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import made_data  # noqa: E402

SOURCE = os.environ.get("CMC_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))


def byte_level_bpe(size):
    """As GPT-2 and SmolLM2 write theirs: no begin token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<|endoftext|>", "<|start|>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(made_data.texts(400), trainer)
    return tokenizer, {"bos_token": "<|start|>", "eos_token": "<|endoftext|>"}


def sentencepiece_bpe(size, dummy_prefix):
    """As Llama-2 (dummy prefix) and Gemma (none) write theirs: ▁ for a space, byte fallback, a begin token."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first" if dummy_prefix else "never")
    trainer = trainers.BpeTrainer(vocab_size=size - 259)
    trained.train_from_iterator(made_data.texts(400), trainer)
    model = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += sorted(model["vocab"], key=model["vocab"].get)
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, unk_token="<unk>",
                                     fuse_unk=True, byte_fallback=True))
    space = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), space]) if dummy_prefix else space
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if dummy_prefix else []))
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in pieces[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer, {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


def llama(vocabulary, seed, hidden=32):
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024, initializer_range=0.25,
        tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, pad_token_id=None))


def gemma(vocabulary, seed):
    """Sliding and full attention, a window shorter than the texts of the tests."""
    torch.manual_seed(seed)
    return Gemma3ForCausalLM(Gemma3TextConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=1, head_dim=16, sliding_window=8, query_pre_attn_scalar=16, initializer_range=0.25,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], max_position_embeddings=1024,
        tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0))


def write(folder, model, tokenizer, special):
    model.to(torch.float32).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    return str(folder)
