#!/usr/bin/env python3
"""Turns a GGUF file into a plain Hugging Face folder: config.json, bf16 safetensors, tokenizer, chat template.

    import_gguf.py OUT_FOLDER FILE.gguf            one file
    import_gguf.py OUT_FOLDER FILE.part00 ...      parts of one file, joined in the order given

Weights are de-quantised by transformers. The tied output layer is left out, as in published folders. The folder appears
whole or not at all. Exit codes: 65 malformed GGUF, 66 no such file, 73 OUT_FOLDER exists or cannot be created.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path


def fail(code, message):
    print(f"import_gguf: {message}", file=sys.stderr)
    sys.exit(code)


def one_file(parts, scratch):
    """The GGUF as a single file inside `scratch` (transformers wants a folder and a name)."""
    for part in parts:
        if not part.is_file():
            fail(66, f"{part}: no such file")
    with open(parts[0], "rb") as first:
        if first.read(4) != b"GGUF":
            fail(65, f"{parts[0]}: does not start with GGUF (give the parts in order, the first one first)")
    whole = scratch / "model.gguf"
    if len(parts) == 1:
        whole.symlink_to(parts[0].resolve())
    else:
        with open(whole, "wb") as out:
            for part in parts:
                with open(part, "rb") as piece:
                    shutil.copyfileobj(piece, out, 1 << 24)
    return whole


def metadata(file):
    """Key/value fields of the GGUF header as plain Python values."""
    import gguf

    return {name: field.contents() for name, field in gguf.GGUFReader(file).fields.items()}


def unify_end_tokens(fields, tokenizer, config):
    """All tokens that end a generation: the GGUF's, the tokenizer's, and the end-of-turn token of a chat model."""
    ends = []
    for key in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"):
        if key in fields:
            ends.append(int(fields[key]))
    for token in (tokenizer.eos_token_id, config.eos_token_id):
        ends += token if isinstance(token, list) else [token] if token is not None else []
    if fields.get("tokenizer.chat_template") or tokenizer.chat_template:
        known = tokenizer.get_vocab()
        ends += [known[name] for name in ("<end_of_turn>", "<|im_end|>", "<|eot_id|>") if name in known]
    return list(dict.fromkeys(ends))


def write_generation_config(folder, fields, tokenizer, config):
    ends = unify_end_tokens(fields, tokenizer, config)
    generation = {"_from_model_config": True, "transformers_version": config.to_dict().get("transformers_version")}
    for name, key in (("bos_token_id", "tokenizer.ggml.bos_token_id"), ("pad_token_id", "tokenizer.ggml.padding_token_id")):
        if key in fields:
            generation[name] = int(fields[key])
    if ends:
        generation["eos_token_id"] = ends[0] if len(ends) == 1 else ends
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2, sort_keys=True) + "\n")


def repair_config(folder, fields, architecture):
    """Drops what describes the GGUF rather than the model, and takes special tokens from the GGUF's own fields."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["architectures"] = [architecture]
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(key, None)
    for name, key in (("bos_token_id", "tokenizer.ggml.bos_token_id"), ("eos_token_id", "tokenizer.ggml.eos_token_id"),
                      ("pad_token_id", "tokenizer.ggml.padding_token_id")):
        if key in fields:
            config[name] = int(fields[key])
    config["dtype"] = "bfloat16"
    config.pop("torch_dtype", None)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write_weights(folder, model):
    import torch
    from safetensors.torch import save_file

    state = model.state_dict()
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    state = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in state.items()}
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})


def convert(whole, folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, name = str(whole.parent), whole.name
    fields = metadata(whole)
    model = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    if fields.get("tokenizer.chat_template"):
        tokenizer.chat_template = fields["tokenizer.chat_template"]
    write_weights(folder, model)
    model.config.save_pretrained(str(folder))
    repair_config(folder, fields, type(model).__name__)
    tokenizer.save_pretrained(str(folder))
    write_generation_config(folder, fields, tokenizer, model.config)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the Hugging Face folder to make")
    parser.add_argument("parts", type=Path, nargs="+", help="the GGUF file, or its parts in order")
    arguments = parser.parse_args()
    folder = arguments.folder
    if folder.exists():
        fail(73, f"{folder}: exists already (remove it, or give another name)")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="." + folder.name + ".", dir=folder.parent))
    except OSError as error:
        fail(73, f"{folder}: cannot be created ({error})")
    try:
        result = temporary / "folder"
        result.mkdir()
        convert(one_file(arguments.parts, temporary), result)
        for file in result.iterdir():
            file.chmod(0o644)
        os.rename(result, folder)
    except (ValueError, KeyError, IndexError, NotImplementedError) as error:
        fail(65, f"{arguments.parts[0]}: cannot be read as GGUF ({error})")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(folder)


if __name__ == "__main__":
    main()
