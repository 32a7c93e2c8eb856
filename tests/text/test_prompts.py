"""Chat prompts against transformers' apply_chat_template, live, on the templates the model families ship."""
import json
import sys

import pytest
from corpora import SOURCE, failure, model_folder, probe

sys.path.append(str(SOURCE / "tests" / "decode"))
import tiny_checkpoints  # noqa: E402

LLAMA2 = ("{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = "
          "messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
          "{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
          "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
          "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + "
          "'\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}"
          "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
          "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}")
LLAMA3 = ("{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
          "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
          "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
          "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
LLAMA31 = ("{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- set date_string = \"26 Jul 2024\" %}\n{%- endif %}\n"
           "{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]['content']|trim %}\n"
           "    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system_message = \"\" %}\n{%- endif %}\n"
           "{{- \"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}\n{{- \"Cutting Knowledge Date: December 2023\\n\" }}\n"
           "{{- \"Today Date: \" + date_string + \"\\n\\n\" }}\n{{- system_message }}\n{{- \"<|eot_id|>\" }}\n"
           "{%- for message in messages %}\n    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ "
           "message['content'] | trim + '<|eot_id|>' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
           "    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n{%- endif %}\n")
MISTRAL1 = ("{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
            "{{ raise_exception('roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}"
            "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
            "{{ message['content'] + eos_token}}{% endif %}{% endfor %}")
MISTRAL2 = ("{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'user' %}"
            "{{- ' [INST] ' + message['content'] + ' [/INST]' }}{%- else %}{{- ' ' + message['content'] + eos_token}}"
            "{%- endif %}{%- endfor %}")
MISTRAL3 = ("{{- bos_token }}\n{%- for message in messages %}\n    {%- if message[\"role\"] == \"user\" %}\n"
            "        {{- \"[INST] \" + message[\"content\"] + \"[/INST]\" }}\n    {%- else %}\n"
            "        {{- \" \" + message[\"content\"] + eos_token }}\n    {%- endif %}\n{%- endfor %}\n")
GEMMA = ("{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
         "{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
         "{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + "
         "'<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}")
QWEN25 = ("{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- if messages[0]['role'] == 'system' %}\n"
          "        {{- messages[0]['content'] }}\n    {%- else %}\n"
          "        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}\n    {%- endif %}\n"
          "    {{- \"\\n\\n# Tools\\n\\nYou may call one or more functions<|im_end|>\\n\" }}\n{%- else %}\n"
          "    {%- if messages[0]['role'] == 'system' %}\n"
          "        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n    {%- else %}\n"
          "        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}\n"
          "    {%- endif %}\n{%- endif %}\n{%- for message in messages %}\n"
          "    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) %}\n"
          "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n    {%- endif %}\n"
          "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n")
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
QWEN2 = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
         "You are a helpful assistant.<|im_end|>\n' }}{% endif %}") + CHATML[len("{% for message in messages %}"):]
CHATML_BOS = "{{ bos_token }}" + CHATML

FAMILIES = {"llama2": LLAMA2, "llama3": LLAMA3, "llama3.1": LLAMA31, "mistral-v0.1": MISTRAL1, "mistral-v0.2": MISTRAL2,
            "mistral-v0.3": MISTRAL3, "gemma": GEMMA, "qwen2": QWEN2, "qwen2.5": QWEN25, "chatml": CHATML,
            "chatml with a begin token": CHATML_BOS}
QUESTIONS = ["What is 2 + 2?", "  padded on both sides \n\n", "two\n\nlines", "日本語 \u3000", "", "it's \"quoted\" {braces}",
             "\x1cseparator\x1f", "\u00a0hard space\u00a0"]


def apply_chat_template(folder, question, tokenize=False):
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(folder)
    return reference.apply_chat_template([{"role": "user", "content": question}], tokenize=tokenize, return_dict=False,
                                         add_generation_prompt=True)


def make_folder(folder, **config):
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE(vocab={"a": 0, "<s>": 1, "</s>": 2}, merges=[])).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", **config}))


def prompts(folder, style="chat"):
    return probe("prompt", "--style", style, "--model", folder, lines=[{"question": question} for question in QUESTIONS])


@pytest.mark.parametrize("where", ["tokenizer_config.json", "chat_template.jinja", "named"])
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, where, tmp_path):
    source = FAMILIES[family]
    if where == "tokenizer_config.json":
        make_folder(tmp_path, chat_template=source)
    elif where == "named":
        make_folder(tmp_path, chat_template=[{"name": "tool_use", "template": "x"}, {"name": "default", "template": source}])
    else:
        make_folder(tmp_path)
        (tmp_path / "chat_template.jinja").write_text(source)
    for question, ours in zip(QUESTIONS, prompts(tmp_path)):
        expected = apply_chat_template(tmp_path, question)
        assert ours["prompt"] == expected
        assert ours["writes_begin_token"] == expected.startswith("<s>")


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens(family, tmp_path):
    """One begin token where the template writes it, none where it does not, though this tokenizer adds one to every text."""
    tokenizer, special = tiny_checkpoints.sentencepiece_bpe(900, dummy_prefix=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": FAMILIES[family], **special}))
    lines = [{"question": question} for question in QUESTIONS]
    begins = set()
    for question, ours in zip(QUESTIONS, probe("prompt", "--style", "chat", "--model", tmp_path, "--tokenizer", tmp_path, lines=lines)):
        assert ours["ids"] == apply_chat_template(tmp_path, question, tokenize=True)
        begins.add(ours["ids"].count(1))
    assert begins == {int("bos_token" in FAMILIES[family])}
    for question, ours in zip(QUESTIONS, probe("prompt", "--style", "inst", "--tokenizer", tmp_path, lines=lines)):
        assert ours["ids"] == tokenizer.encode(f"[INST] {question} [/INST]").ids and ours["ids"][0] == 1


def test_smollm2_itself():
    folder = model_folder("smollm2-135m-instruct")
    for question, ours in zip(QUESTIONS, prompts(folder)):
        assert ours["prompt"] == apply_chat_template(folder, question)
        assert "named SmolLM" in ours["prompt"] and not ours["writes_begin_token"]


@pytest.mark.parametrize("style, expected", [("plain", "{}"), ("open_instruct", "<|user|>\n{}\n<|assistant|>\n"),
                                             ("inst", "[INST] {} [/INST]"), ("question_answer", "Question: {}\nAnswer:")])
def test_fixed_styles(style, expected, tmp_path):
    for question, ours in zip(QUESTIONS, prompts(tmp_path, style)):
        assert ours["prompt"] == expected.replace("{}", question) and not ours["writes_begin_token"]


def test_unknown_template_and_style(tmp_path):
    make_folder(tmp_path, chat_template="{% for message in messages %}### {{ message['content'] }}{% endfor %}")
    code, message = failure("prompt", "--style", "chat", "--model", tmp_path)
    assert code == 65 and "Llama 3" in message and "Gemma" in message
    make_folder(tmp_path)
    code, message = failure("prompt", "--style", "chat", "--model", tmp_path)
    assert code == 65 and "chat template" in message and str(tmp_path) in message
    make_folder(tmp_path, chat_template=5)
    code, message = failure("prompt", "--style", "chat", "--model", tmp_path)
    assert code == 65 and "chat_template" in message
    code, message = failure("prompt", "--style", "alpaca")
    assert code == 78 and "open_instruct" in message
