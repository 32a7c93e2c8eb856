#!/usr/bin/env python3
"""Gives every reader of files from outside mutated inputs; a crash, a hang or an error that is none of the input's is a finding.

  CMC_BIN=build/sanitize/bin tests/fuzz/run.py --inputs 1000000 [--target tokenizer_json]

Prints a line for each target. Findings are kept in --findings; `fuzz_TARGET FILE` repeats one."""

import argparse
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import standalone  # noqa: E402

BIN, SOURCE = standalone.need_programs(), standalone.SOURCE


def packed(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_header():
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    yield packed({}, b"")
    yield packed({"__metadata__": {"format": "pt"}, "x": entry, "y": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]}}, bytes(22))
    yield packed({f"layer.{i}": {"dtype": "U8", "shape": [i], "data_offsets": [i * (i - 1) // 2, i * (i + 1) // 2]} for i in range(9)}, bytes(36))


def torch_file():
    import io

    import torch

    base = torch.arange(24.0)
    states = [{"x": torch.ones(2)}, {"a.weight": base.view(4, 6).t(), "b": base[3:20:4], "c": torch.nn.Parameter(base), "n": 3},
              torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).half().state_dict()]
    for form in ({}, {"_use_new_zipfile_serialization": False}):
        for protocol, state in zip((2, 4, 5), states):
            file = io.BytesIO()
            torch.save(state, file, pickle_protocol=protocol, **form)
            yield file.getvalue()


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
         "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": [2, 3]}
ROPES = [{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 128},
         {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}, {"type": "linear", "factor": 2.0}]


def model_config():
    yield json.dumps(LLAMA).encode()
    for rope in ROPES:
        yield json.dumps({**LLAMA, "rope_scaling": rope}).encode()
    yield json.dumps({**LLAMA, "architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 64}).encode()
    yield json.dumps({**LLAMA, "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "head_dim": 8, "sliding_window": 16,
                      "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 8, "rope_local_base_freq": 1e4,
                      "layer_types": ["sliding_attention", "full_attention"]}).encode()


BPE = {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True, "ignore_merges": False,
       "vocab": {"<s>": 0, "<unk>": 1, "a": 2, "b": 3, "c": 4, "ab": 5, "abc": 6, "▁": 7, "<0x0A>": 8},
       "merges": [["a", "b"], ["ab", "c"]]}
ADDED = [{"id": 0, "content": "<s>", "special": True, "normalized": False, "single_word": False, "lstrip": False, "rstrip": True}]
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}


def tokenizer_json():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = {"version": "1.0", "added_tokens": ADDED, "normalizer": None, "pre_tokenizer": byte_level, "post_processor": TEMPLATE,
             "decoder": byte_level, "model": {**BPE, "unk_token": None, "byte_fallback": False}}
    yield json.dumps(plain).encode()
    yield json.dumps({**plain, "model": {**BPE, "merges": ["a b", "ab c"]}, "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                     {"type": "ByteFallback"}, {"type": "Fuse"},
                                                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}}).encode()
    yield json.dumps({**plain, "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+"},
         "behavior": "Isolated", "invert": False}, {"type": "Digits", "individual_digits": True}, byte_level]}}).encode()


def tokenizer_model():
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        lines.write_text("".join(f"the abc {i} cab and naïve words {i * 7}\n" for i in range(300)))
        for pieces in (290, 300):
            subprocess.run([BIN / "probe_text", "train", "--lines", lines, "--folder", folder, "--pieces", str(pieces)], check=True,
                           capture_output=True)
            yield (Path(folder) / "tokenizer.model").read_bytes()


def chat_template():
    chatml = "{% for m in messages %}{{ '<|im_start|>' + m.role + m['content'] }}{% endfor %}"
    token = {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    yield json.dumps({"tokenizer_class": "LlamaTokenizerFast", "chat_template": chatml, "bos_token": "<s>", "eos_token": token}).encode()
    yield json.dumps({"chat_template": [{"name": "tool_use", "template": ""}, {"name": "default", "template": chatml}], "unk_token": None,
                      "image_token": "<img>", "extra_special_tokens": {"boi_token": "<b>"}, "added_tokens_decoder": {"0": token}}).encode()
    yield json.dumps({"chat_template": {"default": chatml}, "model_specific_special_tokens": {"x_token": token}}).encode()


IFEVAL_LINE = {"key": 1000, "prompt": "Say it.", "instruction_id_list": ["punctuation:no_comma", "keywords:existence"],
               "kwargs": [{"keywords": None}, {"keywords": ["a|b", "c"]}]}
IFEVAL_KWARGS = {
    "keywords:existence": {"keywords": ["a(b|c)*", r"\w{2,}"]}, "keywords:frequency": {"keyword": "x*", "frequency": 2, "relation": "less than"},
    "keywords:forbidden_words": {"forbidden_words": ["[^a]b", "(?i)c"]}, "keywords:letter_frequency": {"letter": "a", "let_frequency": 2, "let_relation": "at least"},
    "language:response_language": {"language": "de"}, "length_constraints:number_sentences": {"num_sentences": 2, "relation": "at least"},
    "length_constraints:nth_paragraph_first_word": {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "A"},
    "detectable_content:postscript": {"postscript_marker": "P.P.S"}, "detectable_format:multiple_sections": {"section_spliter": "Section", "num_sections": 2},
    "detectable_format:json_format": {}, "change_case:capital_word_frequency": {"capital_frequency": 1, "capital_relation": "at least"}}


def ifeval_rules():
    for identity, kwargs in IFEVAL_KWARGS.items():
        line = json.dumps({"key": 1, "prompt": "p", "instruction_id_list": [identity], "kwargs": [kwargs]})
        yield (line + "\nSection 1. Don't! \"A b,\" c.\n\n* *A* CAN'T [x]\nP.P.S {\"a\": 1e5, \"b\": NaN} Über\n").encode()


def datasets():
    yield b'{"question": "Who?", "answer": "A b."}\n{"question": "When?", "answer": "1 #### 1,234"}\n'
    yield b'{"question": "q", "answer": "a", "paraphrased_answer": "p", "paraphrased_question": "r", "perturbed_answer": ["x", "y"]}\n'
    yield json.dumps([{"instruction": "Say", "input": "it", "output": "it"}, {"instruction": "Go", "input": "", "output": ""}]).encode()
    yield json.dumps([{"instruction": "Say", "output": "o", "generator": "g", "dataset": "koala", "preference": 1.5, "checks": [
        {"rule": "contains_all", "of": "fact", "words": ["a"], "least": 0, "most": 3}]}]).encode()
    yield b'{"text": "a document"}\n{"text": "na\xc3\xafve"}\n'
    losses = {"avg_gt_loss": {"0": 1.5}, "avg_paraphrased_loss": {"0": 1.0}, "average_perturb_loss": {"0": [1, 2]}, "rougeL_recall": {"0": 0.5},
              "generated_text": {"0": ["p", "g", "r"]}}
    yield json.dumps({name: losses for name in ("eval_log.json", "eval_real_author_wo_options.json", "eval_real_world_wo_options.json",
                                                "eval_log_forget.json")}).encode()
    several = {"agg_value": 0.5, "value_by_index": {"0": {"prob": [0.5, 0.25], "avg_loss": [0.7, 1.4]}}}
    one = {"agg_value": 0.5, "value_by_index": {"0": {"prob": 0.5, "avg_loss": 0.7}}}
    texts = {"agg_value": 0.5, "value_by_index": {"0": {"rougeL_recall": 0.5, "generation": "g", "ground_truth": "r"}}}
    yield json.dumps({"forget_Q_A_Prob": one, "forget_Q_A_PARA_Prob": one, "forget_Q_A_PERT_Prob": several, "ra_Q_A_ROUGE": texts,
                      "retain_Truth_Ratio": 0.5, "model_utility": {"agg_value": 0.5}, "forget_quality": None}).encode()
    scores = {"agg_value": 0.5, "value_by_index": {"0": {"score": 0.5}}}
    yield json.dumps({"forget_Q_A_Prob": one, "extraction_strength": scores, "mia_min_k": {"forget": scores, "holdout": scores, "agg_value": 0.5},
                      "privleak": {"agg_value": -3.5}}).encode()
    yield json.dumps(IFEVAL_LINE).encode()
    yield b"model,index,preference,std_delta_len,instruction_difficulty\na,0,0.5,-1.25,0.75\r\nb,0,0.25,1e-3,0.75\n"


UNIT = {"schema_version": "1.0", "key": hashlib.sha256(b"a").hexdigest(), "stage": "instruct", "task": '{"name": "a"}', "provenance": "{}",
        "cost": '{"tokens": 7}'}


def dataset(name, kind, values, dimensions, **attributes):
    return {"name": name, "type": kind, "values": values, "dimensions": dimensions, "attributes": {"units": "1", "long_name": "x", **attributes}}


def unit_file():
    yield json.dumps({"attributes": UNIT, "datasets": [], "groups": []}).encode()
    rows = [dataset("step", "int64", [0, 10, 20], ["step"]), dataset("loss", "double", [4, 0.5, 1e300], ["step"], definition="mean"),
            dataset("response", "text", ["", "naïve", "a\ufffdb"], ["step"], zero_bytes=[2, 1])]
    yield json.dumps({"attributes": UNIT, "datasets": rows, "groups": []}).encode()
    ragged = [dataset("prompt", "int64", [0, 1], ["prompt"], role="index"), dataset("x_value", "int64", [0, 1, 2], ["x_value"], role="index"),
              dataset("x_offset", "int64", [0, 1, 2], ["x_offset"], role="index"),
              dataset("x_values", "int32", [5, 6, 7], ["x_value"], role="ragged_values", ragged_dimension="prompt"),
              dataset("x_offsets", "int64", [0, 1, 3], ["x_offset"], role="ragged_offsets"),
              dataset("y_value", "int64", [0], ["y_value"], role="index"), dataset("y_offset", "int64", [0, 1, 2], ["y_offset"], role="index"),
              dataset("y_values", "float", [0.5], ["y_value"], role="ragged_values", ragged_dimension="prompt"),
              dataset("y_offsets", "int64", [0, 0, 1], ["y_offset"], role="ragged_offsets")]
    yield json.dumps({"attributes": UNIT, "datasets": ragged, "groups": []}).encode()


def experiment_file():
    for file in sorted((SOURCE / "jobs" / "experiments").glob("*.ini")):
        yield file.read_bytes()


CORPORA = {corpus.__name__: corpus for corpus in (ifeval_rules, safetensors_header, torch_file, model_config, tokenizer_json, tokenizer_model,
                                                  chat_template, datasets, unit_file, experiment_file)}


def write_corpus(target, folder):
    for number, seed in enumerate(CORPORA[target]()):
        (folder / f"seed{number:02}").write_bytes(seed)


def fuzz(target, inputs, seed, findings):
    """(done, message): whether the target took all inputs; what it died of, and where the input is."""
    with tempfile.TemporaryDirectory(prefix="cmc-fuzz-") as folder:
        corpus, current = Path(folder) / "corpus", Path(folder) / "current"
        corpus.mkdir()
        write_corpus(target, corpus)
        done = subprocess.run([BIN / f"fuzz_{target}", corpus, str(inputs), str(seed), current], capture_output=True,
                              env={**os.environ, "TMPDIR": folder})
        if done.returncode == 0:
            return True, ""
        content = current.read_bytes()
        kept = Path(findings) / f"{target}-{seed}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(content[8:8 + struct.unpack("<Q", content[:8])[0]])
        return False, f"exit {done.returncode}, input in {kept}\n{done.stderr.decode(errors='replace')[-3000:]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=CORPORA, action="append")
    parser.add_argument("--findings", default="fuzz-findings")
    given = parser.parse_args()
    standalone.need_packages("torch", "tokenizers")
    standalone.need_programs(*(f"fuzz_{target}" for target in given.target or CORPORA))
    failed = 0
    for target in given.target or CORPORA:
        begin = time.monotonic()
        done, message = fuzz(target, given.inputs, given.seed, given.findings)
        failed += not done
        print(f"{target:20} {given.inputs} inputs {time.monotonic() - begin:8.1f} s  {'no finding' if done else message}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
