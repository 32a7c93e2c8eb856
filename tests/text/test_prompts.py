"""Chat prompts against transformers' apply_chat_template, live: every shape of template that families ship, the day pinned."""
import datetime
import json
import random
import sys
import time

import outside
import pytest
from chat_folders import QUESTIONS, chat, make_folder, prompts, template, theirs, write_files
from chat_shapes import DATED, MARKED, NO_SYSTEM, SHAPES
from corpora import SOURCE, failure, random_texts

sys.path.append(str(SOURCE / "tests" / "decode"))
import tiny_checkpoints  # noqa: E402

DATES = ["2024-07-26", "2025-02-01", "1999-12-31", "2031-10-05"]
CASES = sorted((SOURCE / "tests" / "text" / "cases").glob("chat_*"))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """transformers' strftime_now at a day: clock(day)."""
    from transformers.utils import chat_template_utils

    def pin(day):
        class Pinned(datetime.datetime):
            @classmethod
            def now(cls):
                return datetime.datetime.fromisoformat(day)

        monkeypatch.setattr(chat_template_utils, "datetime", Pinned)

    pin("2024-07-26")
    return pin


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cases(case, tmp_path):
    """Templates that were guessed wrongly from what stands in them."""
    make_folder(tmp_path, **json.loads((case / "tokenizer_config.json").read_text()))
    applied = theirs(tmp_path)
    for question, ours in zip(QUESTIONS, prompts(tmp_path)):
        assert ours["prompt"] == applied([("user", question)])


def test_there_are_cases():
    assert len(CASES) >= 5


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape, tmp_path, clock):
    """Rendered as a whole: random questions, system texts and days."""
    make_folder(tmp_path, chat_template=SHAPES[shape])
    rng = random.Random(shape)
    applied, texts = theirs(tmp_path), random_texts(400, seed=7) + QUESTIONS
    for date in DATES:
        clock(date)
        messages = []
        for _ in range(40):
            system = [("system", rng.choice(texts))] if shape not in NO_SYSTEM and rng.random() < 0.5 else []
            messages.append(system + [("user", rng.choice(texts))])
        for each, ours in zip(messages, chat(tmp_path, messages, date)):
            assert ours == {"text": applied(each)}, (date, each)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_as_text_around_a_question(shape, tmp_path, clock):
    make_folder(tmp_path, chat_template=SHAPES[shape])
    applied, questions = theirs(tmp_path), QUESTIONS + random_texts(200, seed=8) + ["a </think> b", "/no_think", "please /no_think now"]
    clock(DATES[1])
    refused = set()
    for question, ours in zip(questions, prompts(tmp_path, questions, "--date", DATES[1])):
        if "error" in ours:
            refused.add(question)
            assert "prompt_before" in ours["error"]
        else:
            assert ours["prompt"] == applied([("user", question)])
    mark = MARKED.get(shape)
    assert refused == {question for question in questions if mark is not None and (mark in question if mark else not question.strip())}
    found = template(tmp_path)
    assert found["marks"] == ([] if mark is None else [mark]) and found["dated"] == (shape in DATED)


def test_what_white_space_is_stripped(tmp_path):
    for method, strip in [("", "none"), ("| trim", "both"), (".strip()", "both"), (".lstrip()", "left"), (".rstrip()", "right")]:
        make_folder(tmp_path, chat_template="Q: {{ messages[-1].content" + method + " }} A:")
        applied = theirs(tmp_path)
        assert template(tmp_path)["strip"] == strip
        for question, ours in zip(QUESTIONS, prompts(tmp_path)):
            assert ours["prompt"] == applied([("user", question)])
        # With white space of its own beside the question, which goes with the question's.
        make_folder(tmp_path, chat_template="<u>{{ ('  ' ~ messages[-1].content ~ '  ')" + method + " }}</u>")
        applied = theirs(tmp_path)
        for question, ours in zip(QUESTIONS, prompts(tmp_path)):
            assert ours.get("prompt", applied([("user", question)])) == applied([("user", question)])


@pytest.mark.parametrize("source, word", [
    ("{{ messages[0].content | upper }}", "as it is"),
    ("{{ messages[0].content }} {{ messages[0].content }}", "more than once"),
    ("nothing", "as it is"),
    ("{{ messages[0].content[:40] }}", "another way"),
    ("{{ messages[0].content | replace('\\n', ' ') }}", "white space"),
    ("{{ messages[0].content.strip(' ') }}", "white space"),
    ("{{ messages[0].content | e }}", "another way"),
    ("{{ messages[0].content | length }} {{ messages[0].content }}", "white space"),
    ("{% if '?' in messages[0].content %}Question: {% endif %}{{ messages[0].content }}", "another way"),
    ("{{ raise_exception('no chats today') }}", "no chats today"),
    ("{{ messages[0].text.lower() }}", "no attribute"),
    ("{% for %}", "line 1"),
    ("{{ messages | nonsense }}", "nonsense"),
])
def test_no_text_around_a_question(source, word, tmp_path):
    make_folder(tmp_path, chat_template=source)
    code, message = failure("prompt", "--style", "chat", "--model", tmp_path)
    assert code == 65 and word in message and "prompt_before" in message and str(tmp_path / "tokenizer_config.json") in message, message


def test_questions_that_stand_in_the_template_are_found(tmp_path):
    """Nobody can try every text, but what a template looks for stands in it."""
    make_folder(tmp_path, chat_template="{% set c = messages[0].content %}{{ 'hot' if c.startswith('Code word XY') else 'cold' }}: {{ c }}"
                                        "{% if not c %}nothing{% endif %}")
    assert set(template(tmp_path)["marks"]) == {"Code word XY", ""}
    answers = prompts(tmp_path, ["Code word", "Code word XY", ""])
    assert [set(answer) for answer in answers] == [{"prompt"}, {"error"}, {"error"}] and "empty" in answers[2]["error"]


HOSTILE = {
    "attribute": "{{ ().__class__.__base__.__subclasses__() }}",
    "attribute of a string": "{{ ''['__class__'] }}{{ '' | attr('__class__') }}{{ ''.__class__.mro() }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
    "filtered format": "{{ ('{0.__class__.__init__.__globals__}' | attr('format'))(raise_exception) }}",
    "globals": "{{ raise_exception.__globals__['os'].system('touch ran') }}",
    "self": "{{ self.__init__.__globals__ }}",
    "environment": "{{ strftime_now.__self__.__init__.__globals__['os'].system('touch ran') }}",
    "namespace": "{% set n = namespace(__class__=1) %}{{ n.__init__.__globals__ }}",
    "mutation": "{{ messages.append(1) }}{{ messages[0].update(content='x') }}",
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
    "huge range": "{% for a in range(10 ** 12) %}{% endfor %}",
    "huge number": "{{ 10 ** 10 ** 10 }}",
    "huge text": "{{ 'x' * 10 ** 10 }}",
    "long text": "{% for i in range(99999) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
    "growing": "{% set n = namespace(t='x' * 1000) %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "deep": "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}{{ os.system('touch ran') }}",
    "half a character": "{{ messages[0].content }}\\ud800{{ '\\ud800' }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name, tmp_path):
    make_folder(tmp_path, chat_template=HOSTILE[name])
    start = time.monotonic()
    code, message = failure("prompt", "--style", "chat", "--model", tmp_path)
    assert time.monotonic() - start < 30
    assert code in (65, 77) and "prompt_before" in message and str(tmp_path) in message, message
    assert len(message) < 900 and message.count("\n") == 1 and "root:" not in message and "Traceback" not in message
    assert not (tmp_path / "ran").exists()


def test_a_hostile_question_turns_nothing(tmp_path):
    """Questions are values, never templates."""
    make_folder(tmp_path, chat_template=SHAPES["chatml"])
    questions = ["{{ 7 * 7 }}", "{% for a in range(99999999) %}", "{{ ''.__class__ }}", "'''\"\"\"\\", "\u2028\u0085\x00"]
    for question, ours in zip(questions, prompts(tmp_path, questions)):
        assert question in ours["prompt"]


@pytest.mark.parametrize("python, said", [
    ("/nowhere/python3", "cannot be started"),
    ("#!/bin/sh\necho broken >&2\nexit 3\n", "broken"),
    ("#!/bin/sh\nexec {python} -S -E \"$@\"\n", "jinja2"),
])
def test_without_jinja2(python, said, tmp_path, monkeypatch):
    make_folder(tmp_path, chat_template=SHAPES["chatml"])
    program = tmp_path / "python"
    if python.startswith("#!"):
        program.write_text(python.format(python=sys.executable))
        program.chmod(0o755)
    monkeypatch.setenv("CMC_PYTHON", str(program) if program.exists() else python)
    code, message = failure("prompt", "--style", "chat", "--model", tmp_path)
    assert code == 66 and said in message and "python3-jinja2" in message and "CMC_PYTHON" in message and "prompt_before" in message, message
    assert prompts(tmp_path, style="inst")[0]["prompt"] == "[INST] What is 2 + 2? [/INST]"  # needs no Python


def test_nothing_is_imported_from_the_working_folder(tmp_path, monkeypatch):
    make_folder(tmp_path, chat_template=SHAPES["chatml"])
    (tmp_path / "jinja2.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    assert "prompt" in prompts(tmp_path)[0] and not (tmp_path / "ran").exists()


CHATML, OTHER = SHAPES["chatml"], "other {{ messages[0].content }}"


@pytest.mark.parametrize("config, files", [
    (CHATML, {}),
    (None, {"chat_template_jinja": CHATML}),
    (OTHER, {"chat_template_jinja": CHATML}),
    ([{"name": "tool_use", "template": OTHER}, {"name": "default", "template": CHATML}], {}),
    ([{"name": "default", "template": OTHER}, {"name": "default", "template": CHATML}], {}),
    ({"default": CHATML, "rag": OTHER}, {}),
    (OTHER, {"chat_template_jinja": CHATML, "additional_chat_templates__rag_jinja": OTHER}),
    (OTHER, {"chat_template_jinja": OTHER, "additional_chat_templates__default_jinja": CHATML}),
    (OTHER, {"chat_template_jinja": CHATML, "chat_template_json": {"chat_template": OTHER}}),
    (None, {"special_tokens_map_json": {"chat_template": CHATML}}),
    (None, {"chat_template_jinja": CHATML.replace("\n", "\r\n")}),
])
def test_where_templates_stand(config, files, tmp_path):
    make_folder(tmp_path, **({} if config is None else {"chat_template": config}))
    write_files(tmp_path, **files)
    applied = theirs(tmp_path)
    for question, ours in zip(QUESTIONS, prompts(tmp_path)):
        assert ours["prompt"] == applied([("user", question)])
    assert "<|im_start|>" in template(tmp_path)["before"]


@pytest.mark.parametrize("config, files, word", [
    ({}, {}, "has no chat template"),
    ({"chat_template": None}, {}, "has no chat template"),
    ({}, {"chat_template_json": {"chat_template": CHATML}}, "processor"),
    ({"chat_template": [{"name": "rag", "template": CHATML}]}, {}, "none of them the default"),
    ({"chat_template": CHATML}, {"additional_chat_templates__rag_jinja": CHATML}, "none of them the default"),
    ({"chat_template": 5}, {}, "chat_template"),
    ({"chat_template": [{"name": "default"}]}, {}, "template"),
    ({"chat_template": CHATML, "bos_token": 5}, {}, "bos_token"),
])
def test_folders_without_a_template(config, files, word, tmp_path):
    from jinja2 import TemplateError  # noqa: F401  (what transformers raises is of many kinds)

    make_folder(tmp_path, **config)
    write_files(tmp_path, **files)
    code, message = failure("prompt", "--style", "chat", "--model", tmp_path)
    assert code == 65 and word in message and str(tmp_path) in message, message
    with pytest.raises(Exception):
        theirs(tmp_path)([("user", "x")])


@pytest.mark.parametrize("shape", ["llama2", "chatml", "chatml_begins", "llama3_own_system"])
def test_tokens(shape, tmp_path):
    """One begin token where the template writes it, none where it does not, though this tokenizer adds one to every text."""
    tokenizer, special = tiny_checkpoints.sentencepiece_bpe(900, dummy_prefix=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": SHAPES[shape], **special}))
    applied, begins = theirs(tmp_path), set()
    for question, ours in zip(QUESTIONS, prompts(tmp_path, QUESTIONS, "--tokenizer", tmp_path)):
        if "error" in ours and not question.strip():
            assert shape == "llama2"
            continue
        assert ours["ids"] == applied([("user", question)], tokenize=True)
        begins.add(ours["ids"].count(1) - question.count("<s>"))
    assert begins == {int("bos_token" in SHAPES[shape])}
    for question, ours in zip(QUESTIONS, prompts(tmp_path, QUESTIONS, "--tokenizer", tmp_path, style="inst")):
        assert ours["ids"] == tokenizer.encode(f"[INST] {question} [/INST]").ids and ours["ids"][0] == 1
    for before in "", "<s>", "<s>[INST] ":  # a given text: what the tokenizer adds, but no second begin token
        options = "--tokenizer", tmp_path, "--before", before, "--after", "</s>"
        for question, ours in zip(QUESTIONS[:4], prompts(tmp_path, QUESTIONS[:4], *options, style="text")):
            assert ours["prompt"] == before + question + "</s>"
            assert ours["ids"] == tokenizer.encode(before.removeprefix("<s>") + question + "</s>").ids and ours["ids"].count(1) == 1


def test_smollm2_itself():
    folder = outside.model("smollm2-135m-instruct")
    applied = theirs(folder)
    for question, ours in zip(QUESTIONS, prompts(folder)):
        assert ours["prompt"] == applied([("user", question)])
        assert "named SmolLM" in ours["prompt"]


@pytest.mark.parametrize("style, expected", [("plain", "{}"), ("open_instruct", "<|user|>\n{}\n<|assistant|>\n"),
                                             ("inst", "[INST] {} [/INST]"), ("question_answer", "Question: {}\nAnswer:")])
def test_fixed_styles(style, expected, tmp_path):
    for question, ours in zip(QUESTIONS, prompts(tmp_path, style=style)):
        assert ours["prompt"] == expected.replace("{}", question)


def test_unknown_style():
    code, message = failure("prompt", "--style", "alpaca")
    assert code == 78 and "open_instruct" in message


@pytest.mark.parametrize("template", [
    "{% for m in messages %}{{ m | tojson }}{{ m.items() | list }}{{ m.keys() | list }}{% endfor %}",
    "{{ '<b>x</b> y' | striptags }}{{ 'a long line of words' | wordwrap(6) }}{{ '\\N{BULLET}' }}{{ messages[0].content | escape }}{{ 'a' | upper | center(5) }}"])
def test_fields_in_their_order_and_filters_that_import(template, tmp_path):
    make_folder(tmp_path, chat_template=template)
    assert chat(tmp_path, [[("user", "q <i>")]]) == [{"text": theirs(tmp_path)([("user", "q <i>")])}]
