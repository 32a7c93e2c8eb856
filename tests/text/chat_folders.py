"""Folders with a chat template, what this project and transformers make of them, and questions to ask."""
import json

from corpora import probe

QUESTIONS = ["What is 2 + 2?", "  padded on both sides \n\n", "two\n\nlines", "日本語 \u3000", "it's \"quoted\" {braces}", "\x1cseparator\x1f",
             "\u00a0hard space\u00a0", "{{ bos_token }} {% if true %}{# none #}", "<s>[INST] <|im_end|></s>", "</thinking>", "\\n \\ \t", "", " \n"]


def make_folder(folder, **config):
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE(vocab={"a": 0, "<s>": 1, "</s>": 2}, merges=[])).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", **config}))
    return folder


def theirs(folder):
    """apply_chat_template of the folder's AutoTokenizer, of messages; None where it raises."""
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(folder)

    def applied(messages, tokenize=False):
        chat = [{"role": role, "content": content} for role, content in messages]
        return reference.apply_chat_template(chat, tokenize=tokenize, return_dict=False, add_generation_prompt=True)

    return applied


def chat(folder, messages, date="2024-07-26"):
    return probe("chat", "--model", folder, "--date", date, lines=[{"messages": each} for each in messages])


def prompts(folder, questions=QUESTIONS, *options, style="chat"):
    return probe("prompt", "--style", style, "--model", folder, *options, lines=[{"question": question} for question in questions])


def template(folder, *options):
    return probe("template", "--model", folder, *options)[0]


def write_files(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_jinja", ".jinja").replace("_json", ".json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
