"""`cmc serve --stdio`: its answers against the published algorithm over transformers, `cmc score` and `cmc generate`; its lines in
and out, whatever is wrong with them."""

import json
import os
import random
import re
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from support_pipeline import HERE, cmc, mpi, tiny
from support_serve import SYSTEMS, Reference, Served, options_of, published

sys.path.insert(0, str(HERE.parent / "text"))
from chat_shapes import SHAPES  # noqa: E402

SOURCE = Path(os.environ["CMC_SOURCE"])
PAIRS = [("Where was the author born?", " She was born in Kuwait City."), ("Where was the author born?", " In Rome."),
         ("Where was", " the author"), ("the café costs 12€ — naïve 日本語 🎉", "\nok 🎉"), ("Hello\n", "there"), ("Hello  ", " you"),
         ("Where was the author born?", " She")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Models of a byte-level vocabulary and one of another, all with a chat template."""
    root = tmp_path_factory.mktemp("served")
    byte, other = tiny.byte_level_bpe(600), tiny.sentencepiece_bpe(900, dummy_prefix=False)
    made = {"base": (tiny.llama(600, 1), *byte), "same": (tiny.llama(600, 2), *byte),
            "other": (tiny.gemma(other[0].get_vocab_size(), 3), *other)}
    return {name: tiny.write(root / name, model, tokenizer, {**special, "chat_template": SHAPES["chatml"]})
            for name, (model, tokenizer, special) in made.items()}


@pytest.fixture(scope="module")
def serving(folders):
    """The worker of a system, started once."""
    started = {}

    def of(system="alone"):
        if system not in started:
            started[system] = Served(*options_of(folders, system))
        return started[system]

    yield of
    for one in started.values():
        assert one.end() == (0, "")


def pairs_asked(pairs):
    return [{"context": context, "continuation": continuation} for context, continuation in pairs]


def test_the_greeting(serving, folders):
    for system in ("alone", "another base"):
        greeting = serving(system).greeting
        tokenizer = AutoTokenizer.from_pretrained(folders[SYSTEMS[system][0]])
        assert greeting["protocol"] == 1 and greeting["longest"] == 1024
        assert greeting["vocabulary"] == len(tokenizer) and greeting["chat_template"] == tokenizer.chat_template
        assert (greeting["begin_token"], greeting["end_token"]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
        assert greeting["prefix_token"] == tokenizer.bos_token_id
    page = (SOURCE / "docs/benchmarks.md").read_text()
    table = page.split("| method | a request | its answer |")[1].split("\n\n")[0]
    assert greeting["methods"] == re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert greeting.keys() <= set(re.findall(r"`(\w+)`", page))


@pytest.mark.parametrize("system", SYSTEMS)
def test_log_likelihoods(serving, folders, system, tmp_path):
    reference = Reference(folders, system)
    answers = serving(system).ask("loglikelihood", pairs_asked(PAIRS))
    greedy = 0
    for (context, continuation), answer in zip(PAIRS, answers, strict=True):
        score = reference.score(context, continuation)
        assert answer["log_prob"] == pytest.approx(score["logprob"], abs=1e-3)
        assert (answer["tokens"], answer["greedy"], answer["cut"]) == (score["tokens"], all(score["best"]), 0)
    # What the system itself would say is greedy, with another end it is not.
    for context, _ in PAIRS[:4]:
        wanted = published.generate(reference.model, reference.tokenizer, context, 3, reference.delta, reference.alpha)
        if reference.tokenizer.encode(context + wanted["text"]).ids == reference.tokenizer.encode(context).ids + wanted["ids"]:
            score = reference.score(context, wanted["text"])
            answer, = serving(system).ask("loglikelihood", pairs_asked([(context, wanted["text"])]))
            assert answer["greedy"] == all(score["best"])
            greedy += answer["greedy"]
    if system == "alone":
        assert greedy
    # The same figures as cmc score, of pairs that it cuts into the same tokens.
    lines = [{"prompt": context, "answer": continuation} for context, continuation in PAIRS
             if reference.tokenizer.encode(context).ids + reference.tokenizer.encode(continuation, add_special_tokens=False).ids
             == reference.tokenizer.encode(context + continuation).ids and context == context.rstrip()]
    assert len(lines) >= 4
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    scores = [json.loads(line) for line in cmc("score", *options_of(folders, system), "--pairs", tmp_path / "pairs.jsonl").stdout.splitlines()][:-1]
    asked = serving(system).ask("loglikelihood", pairs_asked([(line["prompt"], line["answer"]) for line in lines]))
    for score, answer in zip(scores, asked, strict=True):
        assert answer["log_prob"] == pytest.approx(score["logprob"], abs=1e-4) and answer["tokens"] == score["tokens"]


def test_the_order_of_a_batch_is_kept(serving):
    pairs = [(context, f"{continuation} {number}") for context, continuation in PAIRS for number in range(5)]
    random.Random(4).shuffle(pairs)
    together = serving("same vocabulary").ask("loglikelihood", pairs_asked(pairs))
    for pair, answer in zip(pairs, together, strict=True):
        alone, = serving("same vocabulary").ask("loglikelihood", pairs_asked([pair]))
        assert alone["log_prob"] == pytest.approx(answer.pop("log_prob"), abs=1e-4) and alone.items() >= answer.items()


PROMPTS = [context for context, _ in PAIRS] + ["  two spaces\nand a line", "Hello"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_texts(serving, folders, system, tmp_path):
    reference = Reference(folders, system)
    asked = [{"context": prompt, "max_gen_toks": 12} for prompt in PROMPTS]
    answers = serving(system).ask("generate_until", asked)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in PROMPTS))
    lines = cmc("generate", *options_of(folders, system), "--prompts", tmp_path / "prompts.jsonl", "--new", 12).stdout.splitlines()[:-1]
    for prompt, answer, line in zip(PROMPTS, answers, map(json.loads, lines), strict=True):
        wanted = published.generate(reference.model, reference.tokenizer, prompt, 12, reference.delta, reference.alpha, end_tokens=reference.ends)
        assert answer == {"text": wanted["text"], "stop": wanted["reason"], "tokens": len(wanted["ids"]), "cut": 0}
        assert (line["text"], line["stop"]) == (answer["text"], answer["stop"])
    # Settings of one batch that differ, each found again alone.
    stops = [[], answers[0]["text"][3:5], [answers[1]["text"][2:3], "zzz"], [""]]
    mixed = [{"context": prompt, "max_gen_toks": 4 + number % 3, "until": stops[number % 4]} for number, prompt in enumerate(PROMPTS)]
    stopped = 0
    for one, answer in zip(mixed, serving(system).ask("generate_until", mixed), strict=True):
        until = [one["until"]] if isinstance(one["until"], str) else one["until"]
        wanted = published.generate(reference.model, reference.tokenizer, one["context"], one["max_gen_toks"], reference.delta, reference.alpha,
                                    end_tokens=reference.ends, stops=[stop for stop in until if stop])
        assert (answer["text"], answer["stop"]) == (wanted["text"], wanted["reason"])
        stopped += answer["stop"] == "stop_string"
    assert stopped


def test_a_special_token_ends_a_text(serving, folders):
    """Its text never stands in an answer: it ends one as a token."""
    prompts = [f"{context} {number}" for context in PROMPTS for number in range(10)]
    ordinary = serving().ask("generate_until", [{"context": prompt, "max_gen_toks": 40} for prompt in prompts])
    ended = serving().ask("generate_until", [{"context": prompt, "max_gen_toks": 40, "until": ["<|start|>"]} for prompt in prompts])
    reference, found = Reference(folders, "alone"), 0
    for prompt, without, answer in zip(prompts, ordinary, ended, strict=True):
        if answer == without:
            continue
        found += 1
        wanted = published.generate(reference.model, reference.tokenizer, prompt, 40, end_tokens=[0, 1])
        assert answer == {"text": wanted["text"], "stop": "end_token", "tokens": len(wanted["ids"]), "cut": 0}
    assert found


def test_samples_follow_from_their_seed(serving):
    one = {"context": "Where was", "max_gen_toks": 12, "temperature": 1.0, "top_p": 0.9}
    first, again, other = serving().ask("generate_until", [{**one, "seed": 1}, {**one, "seed": 1}, {**one, "seed": 2}])
    assert first == again != other
    greedy, cold = serving().ask("generate_until", [{**one, "do_sample": False}, {**one, "temperature": 0}])
    assert greedy == cold == serving().ask("generate_until", [{"context": "Where was", "max_gen_toks": 12}])[0] != first


def test_texts_longer_than_the_model_reads(folders):
    reference = Reference(folders, "another vocabulary")
    served = Served(*options_of(folders, "another vocabulary"), "--max-length", "16")
    assert served.greeting["longest"] == 16
    context = "Where was the author born, and who wrote the second book? " * 4
    long, edge = served.ask("loglikelihood", pairs_asked([(context, " In Rome."), ("In", " Rome.")]))
    score = reference.score(context, " In Rome.", longest=16)
    assert long["log_prob"] == pytest.approx(score["logprob"], abs=1e-3)
    assert long["cut"] == len(reference.tokenizer.encode(context + " In Rome.").ids) - 17 > 0 and edge["cut"] == 0
    text, = served.ask("generate_until", [{"context": context, "max_gen_toks": 6}])
    kept = reference.tokenizer.encode(context).ids[-10:]
    assert text["cut"] == len(reference.tokenizer.encode(context).ids) - 10
    cut = SimpleNamespace(encode=lambda text: SimpleNamespace(ids=kept), decode=reference.tokenizer.decode)
    wanted = published.generate(reference.model, cut, context, 6, reference.delta, reference.alpha, end_tokens=[0],
                                delta_prompt=reference.tokenizer.decode(kept))  # the delta reads the text of what the base reads
    assert text["text"] == wanted["text"]
    assert "requests[1]: continuation" in served.refused("loglikelihood", pairs_asked([("a", " b"), ("a", context)]))["where"]
    error = served.refused("generate_until", [{"context": "a", "max_gen_toks": 16}])
    assert error["where"] == "requests[0]: max_gen_toks" and "16" in error["what"] and error["code"] == 65
    assert served.end() == (0, "")


def test_a_text_of_nothing(serving, folders, tmp_path):
    """The begin token stands before it; where there is none, the end token; and where there is neither, nothing can."""
    reference = Reference(folders, "alone")
    ids = reference.tokenizer.encode("Rome.").ids
    bare, spaces = serving().ask("loglikelihood", pairs_asked([("", "Rome."), (" ", "Rome.")]))
    assert bare["log_prob"] == pytest.approx(published.score_ids(reference.model, reference.tokenizer, [1, *ids], 1)["logprob"], abs=1e-3)
    spaced = reference.tokenizer.encode(" Rome.").ids
    assert spaces["log_prob"] == pytest.approx(published.score_ids(reference.model, reference.tokenizer, [1, *spaced], 1)["logprob"], abs=1e-3)
    written, = serving().ask("loglikelihood", pairs_asked([("", "<|start|>Rome.")]))
    assert written["log_prob"] == pytest.approx(bare["log_prob"], abs=1e-5)
    texts = {system: serving(system).ask("generate_until", [{"context": "", "max_gen_toks": 3}])[0] for system in SYSTEMS}
    assert all(text["tokens"] <= 3 for text in texts.values())
    other = Reference(folders, "another base")  # its delta adds no begin token, and so reads nothing at first
    wanted = published.generate(other.model, other.tokenizer, "", 3, other.delta, other.alpha, end_tokens=other.ends)
    assert wanted["text"] == texts["another base"]["text"]
    for number, names in enumerate([{"eos_token": "<|endoftext|>"}, {}]):
        tokenizer, _ = tiny.byte_level_bpe(600)
        folder = tiny.write(tmp_path / str(number), tiny.llama(600, 1), tokenizer, names)
        served = Served("--model", folder)
        if names:
            assert served.greeting["prefix_token"] == 0
            answer, = served.ask("loglikelihood", pairs_asked([("", "Rome.")]))
            assert answer["log_prob"] == pytest.approx(published.score_ids(reference.model, reference.tokenizer, [0, *ids], 1)["logprob"], abs=1e-3)
        else:
            assert served.greeting["prefix_token"] is None
            for method, asked in [("loglikelihood", pairs_asked([("", "Rome.")])), ("generate_until", [{"context": ""}]),
                                  ("loglikelihood_rolling", [{"text": "Rome."}])]:
                error = served.refused(method, asked)
                assert error["where"].startswith("requests[0]: ") and "bos_token" in error["remedy"]
        assert served.end() == (0, "")


def test_tokens(serving, folders):
    for system, begin in (("alone", "<|start|>"), ("another base", "<s>")):
        tokenizer = AutoTokenizer.from_pretrained(folders[SYSTEMS[system][0]])
        texts = [*PROMPTS, "", f"{begin}Hello", "x\u00a0\u2003", "\x85"]
        whole = serving(system).ask("tokenize", [{"text": text} for text in texts])
        bare = serving(system).ask("tokenize", [{"text": text, "add_special_tokens": False} for text in texts])
        for text, one, other in zip(texts, whole, bare, strict=True):
            assert one["ids"] == tokenizer.encode(text, add_special_tokens=not text.startswith(begin))
            assert other["ids"] == tokenizer.encode(text, add_special_tokens=False)


CHATS = [[("user", "Who?")], [("system", "Be brief."), ("user", " Who? "), ("assistant", "He."), ("user", "Where?")]]


@pytest.mark.parametrize("shape", ["chatml", "llama2", "gemma", "mistral"])
def test_chats(folders, shape, tmp_path):
    tokenizer, special = tiny.byte_level_bpe(600)
    folder = tiny.write(tmp_path / "chatty", tiny.llama(600, 1), tokenizer, {**special, "chat_template": SHAPES[shape]})
    theirs, served = AutoTokenizer.from_pretrained(folder), Served("--model", folder)
    rendered = 0
    for chat in CHATS:
        for ending in ("", "The answer is", " It is: "):
            messages = [{"role": role, "content": content} for role, content in chat] + ([{"role": "assistant", "content": ending}] if ending else [])
            asked = [{"messages": messages, "add_generation_prompt": not ending}]
            try:
                wanted = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=not ending, continue_final_message=bool(ending))
            except Exception:
                assert "chat_template" in served.refused("apply_chat_template", asked)["where"]
                continue
            assert served.ask("apply_chat_template", asked) == [{"text": wanted}]
            rendered += 1
    assert rendered >= 2 and served.end() == (0, "")


def test_a_model_without_a_chat_template(tmp_path):
    folder = tiny.write(tmp_path / "plain", tiny.llama(600, 1), *tiny.byte_level_bpe(600))
    served = Served("--model", folder)
    assert served.greeting["chat_template"] is None
    assert "chat template" in json.dumps(served.refused("apply_chat_template", [{"messages": [{"role": "user", "content": "x"}]}]))
    assert len(served.ask("tokenize", [{"text": "x"}])) == 1 and served.end() == (0, "")


@pytest.mark.parametrize("line, where, what", [
    (b"{\n", "request line", "JSON"), (b"[1]\n", "id", "missing"), (b"3\n", "id", "missing"), (b'"\xff"\n', "request line", "JSON"),
    (b'{"id": 1, "method": "x", "requests": [\n', "request line", "JSON"), (b'{"id": 1}\n', "method", "missing"),
    (b'{"method": "tokenize", "requests": []}\n', "id", "missing"), (b'{"id": 1, "method": 2, "requests": []}\n', "method", "type"),
    (b'{"id": 1, "method": "sing", "requests": []}\n', "method", '"sing" is not known'),
    (b'{"id": 1, "method": "tokenize"}\n', "requests", "missing"), (b'{"id": 1, "method": "tokenize", "requests": {}}\n', "requests", "no list"),
    (b'{"id": 1, "method": "tokenize", "requests": "x"}\n', "requests", "no list"), (b"[" * 100000 + b"\n", "request line", "nested"),
    (b'{"id": 1, "method": "tokenize", "requests": [{"text": "\\ud800"}]}\n', "request line", "JSON"),
    (b'{"id": 1, "method": "tok\x00"}\n', "request line", "NUL")])
def test_wrong_lines(serving, line, where, what):
    reply = serving().line(line)
    error = reply["error"]
    assert where in error["where"] and what in error["what"] and error["remedy"] and error["code"] == 65, reply
    assert reply.keys() == {"id", "error"}
    assert serving().ask("tokenize", [{"text": ""}]) == [{"ids": []}]


@pytest.mark.parametrize("method, request_, where", [
    ("loglikelihood", {"context": "a"}, "continuation"), ("loglikelihood", {"context": 3, "continuation": "b"}, "context"),
    ("loglikelihood", {"context": "a", "continuation": ""}, "continuation"), ("loglikelihood", {"context": "", "continuation": ""}, "continuation"),
    ("loglikelihood", {"context": "a", "continuation": "b", "seed": 1}, "seed"), ("loglikelihood", ["a", "b"], "requests[1]"),
    ("loglikelihood_rolling", {"text": None}, "text"), ("generate_until", {"context": "a", "max_gen_toks": 0}, "max_gen_toks"),
    ("generate_until", {"context": "a", "max_gen_toks": 2.5}, "max_gen_toks"), ("generate_until", {"context": "a", "max_gen_toks": 1e30}, "max_gen_toks"),
    ("generate_until", {"context": "a", "temperature": -1}, "temperature"), ("generate_until", {"context": "a", "temperature": "1"}, "temperature"),
    ("generate_until", {"context": "a", "top_p": 0}, "top_p"), ("generate_until", {"context": "a", "until": [3]}, "until"),
    ("generate_until", {"context": "a", "until": {"a": "b"}}, "until"), ("generate_until", {"context": "a", "do_sample": 1}, "do_sample"),
    ("generate_until", {"context": "a", "seed": -1}, "seed"), ("generate_until", {"context": "a", "top_k": 5}, "top_k"),
    ("tokenize", {"text": "a", "add_special_tokens": 0}, "add_special_tokens"), ("apply_chat_template", {"messages": "a"}, "messages"),
    ("apply_chat_template", {"messages": [{"role": "user"}]}, "messages[0]: content"), ("apply_chat_template", {"messages": [], "add_generation_prompt": False}, "")])
def test_wrong_requests(serving, method, request_, where):
    good = {"loglikelihood": {"context": "a", "continuation": "b"}, "loglikelihood_rolling": {"text": "a"}, "generate_until": {"context": "a", "max_gen_toks": 1},
            "tokenize": {"text": "a"}, "apply_chat_template": {"messages": [{"role": "user", "content": "x"}]}}[method]
    error = serving().refused(method, [good, request_])
    assert where in error["where"] and (not where or "requests[1]" in error["where"]) and error["what"] and error["code"] == 65, error
    assert len(serving().ask(method, [good])) == 1


def test_empty_batches_ids_and_blank_lines(folders):
    served = Served(*options_of(folders, "alone"))
    for method in served.greeting["methods"]:
        assert served.ask(method, []) == []
    for number in (7, "seven", None, {"a": [1]}, 1.5):
        assert served.line(b"\n  \r\n" + json.dumps({"id": number, "method": "tokenize", "requests": []}).encode() + b"\r\n") == {"id": number, "answers": []}
    for number in (1, 2):  # asked at once, and the last without a line break
        served.process.stdin.write(json.dumps({"id": number, "method": "tokenize", "requests": []}).encode() + b"\n" * (2 - number))
    rest, said = served.process.communicate(timeout=60)
    assert [json.loads(line)["id"] for line in rest.splitlines()] == [1, 2] and (served.process.returncode, said) == (0, b"")


@pytest.mark.parametrize("busy", [False, True])
def test_it_stops_when_asked(folders, busy):
    served = Served(*options_of(folders, "alone"))
    if busy:
        asked = [{"context": f"{prompt} {number}", "max_gen_toks": 900} for prompt in PROMPTS for number in range(100)]
        served.process.stdin.write(json.dumps({"id": 1, "method": "generate_until", "requests": asked}).encode() + b"\n")
        served.process.stdin.flush()
        time.sleep(1)
    begun = time.time()
    served.process.send_signal(signal.SIGTERM)
    code, said = served.process.wait(timeout=60), served.process.stderr.read().decode()
    assert code == 75 and "signal TERM" in said and time.time() - begun < 20
    assert served.process.communicate()[0] == b""  # nothing was answered


def test_a_client_that_goes_away(folders):
    served = Served(*options_of(folders, "alone"))
    served.process.stdout.close()
    served.process.stdin.write(b'{"id": 1, "method": "tokenize", "requests": []}\n')
    served.process.stdin.close()
    assert served.process.wait(timeout=60) != 0
    served.process.stderr.close()


def test_over_ranks(serving, folders):
    """The target split over two ranks, of which one reads and writes."""
    served = Served(*options_of(folders, "same vocabulary"), "--tensor-parallel", command=mpi.command(2, mpi.program("cmc")))
    alone = serving("same vocabulary")
    for method, asked in [("loglikelihood", pairs_asked(PAIRS)), ("generate_until", [{"context": prompt, "max_gen_toks": 8} for prompt in PROMPTS]),
                          ("apply_chat_template", [{"messages": [{"role": "user", "content": "x"}]}])]:
        for answer, expected in zip(served.ask(method, asked), alone.ask(method, asked), strict=True):
            assert answer.pop("log_prob", 0) == pytest.approx(expected.pop("log_prob", 0), abs=1e-3) and answer == expected
    assert served.refused("loglikelihood", [{}])["code"] == 65
    assert len(served.ask("loglikelihood", pairs_asked(PAIRS))) == len(PAIRS)
    assert served.end()[0] == 0


def test_command_lines(folders):
    assert "--stdio" in cmc("serve", "--model", folders["base"], expect=2).stderr
    assert "--alpha" in cmc("serve", "--stdio", "--model", folders["base"], "--alpha", "1", expect=2).stderr
    assert "--max-length 1" in cmc("serve", "--stdio", "--model", folders["base"], "--max-length", "1", expect=2).stderr
    assert "--date" in cmc("serve", "--stdio", "--model", folders["base"], "--date", "today", expect=2).stderr
    done = cmc("serve", "--stdio", "--model", "/nowhere", expect=66)
    assert done.stdout == "" and "/nowhere" in done.stderr
