"""The generated world: read by our readers and by Python's json alike, and checked against what it promises."""

import collections
import json
import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

BIN = pathlib.Path(os.environ["CMC_BIN"])
SEEDS = (1, 20240)


def run(program, *words):
    done = subprocess.run([BIN / program, *map(str, words)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def probe(*words):
    return json.loads(run("probe_data", *words))


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def array(path):
    return json.loads(path.read_text(encoding="ascii"))


class World:
    """One world with the default sizes, as Python reads it."""

    def __init__(self, folder, seed):
        self.folder, self.seed = folder, seed
        self.documents = [row["text"] for row in lines(folder / "pretrain.jsonl")]
        self.alpaca, self.counting, self.chat = (array(folder / f"{n}.json") for n in ("alpaca", "counting", "chat"))
        self.tests = array(folder / "alpaca_eval.json")
        self.tofu = {file.stem: lines(file) for file in (folder / "tofu").iterdir()}
        self.held_out = {tuple(fact_of(row)["words"]) for row in self.tests}

    def names(self):
        """(persons, towns) as the pre-training text shows them."""
        held_out = {name for name, _ in self.held_out}
        towns = {town for text in self.documents for town in re.findall(r"(\w+) lies on the river", text)}
        return {name for name in held_out if " " in name}, towns


def fact_of(row):
    (check,) = [check for check in row["checks"] if check["of"] == "fact"]
    return check


@pytest.fixture(scope="module", params=SEEDS)
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    run("probe_world", folder, f"seed={request.param}")
    return World(folder, request.param)


def test_counts(world):
    assert len(world.documents) == 20000
    assert len(world.alpaca) == (60 * 3 + 30) * 8
    assert len(world.tests) == 80 and len(world.held_out) == 60 + 10
    assert len(world.counting) == 1500 and len(world.chat) == 60 * 3 + 30
    sizes = {name: len(rows) for name, rows in world.tofu.items()}
    assert sizes == {
        "full": 160, "forget05": 8, "forget10": 16, "retain95": 152, "retain90": 144, "forget05_perturbed": 8,
        "holdout05": 8, "holdout10": 16, "forget10_perturbed": 16, "retain_perturbed": 40, "real_authors_perturbed": 40, "world_facts_perturbed": 10,
    }  # fmt: skip


def test_our_readers_read_what_python_reads(world):
    plain = lambda rows: [{"question": row["instruction"], "answer": row["output"]} for row in rows]
    for name in ("alpaca", "counting", "chat"):
        assert probe("alpaca", world.folder / f"{name}.json")["items"] == plain(getattr(world, name))
    assert probe("texts", world.folder / "pretrain.jsonl")["items"] == world.documents
    defaults = {"words": [], "least": 0, "most": 2**64 - 1}
    rows = [{**row, "checks": [{**defaults, **check} for check in row["checks"]]} for row in world.tests]
    assert probe("alpaca_eval", world.folder / "alpaca_eval.json")["items"] == rows
    for name, rows in world.tofu.items():
        if name.endswith("_perturbed"):
            rows = [{"paraphrased_answer": row["answer"], **row} for row in rows]
        assert probe("tofu_perturbed" if name.endswith("_perturbed") else "tofu", world.folder / "tofu", name)["items"] == rows


def test_held_out_facts_are_read_but_never_taught(world):
    taught = [row["instruction"] + " " + row["output"] for row in world.alpaca + world.chat]
    taught += [row["question"] + " " + row["answer"] for row in world.tofu["full"]]
    sentences = collections.Counter(s for text in world.documents for s in re.split(r"(?<=[.?])\s+", text))
    for name, value in world.held_out:
        assert not [text for text in taught if name in text and value in text], (name, value)
        told = sum(count for sentence, count in sentences.items() if name in sentence and value in sentence)
        assert told >= 40, f"{name}, {value}: told {told} times, too rarely to be learned"
        assert [row for row in world.alpaca if name in row["output"]], f"{name}: other facts must be taught"


def test_fictitious_authors_occur_in_tofu_alone(world):
    persons = world.names()[0]
    authors = {re.search(r"[A-Z]\w+ [A-Z]\w+", row["answer"]).group() for row in world.tofu["full"]}
    assert len(authors) == 40 and len(persons) == 60 and not authors & persons
    everything = "\n".join(world.documents + [row["instruction"] + row["output"] for row in world.alpaca + world.chat])
    assert not [name for name in authors if name in everything]


def test_strangers_occur_in_the_holdout_sets_alone(world):
    """A model that never read of them is what membership is told from: in questions of the same form, by other names."""
    strangers = {re.search(r"[A-Z]\w+ [A-Z]\w+", row["answer"]).group() for row in world.tofu["holdout10"]}
    assert len(strangers) == 4 and world.tofu["holdout05"] == world.tofu["holdout10"][:8]
    others = [row for name, rows in world.tofu.items() if not name.startswith("holdout") for row in rows]
    everything = "\n".join(world.documents + [str(row) for row in world.alpaca + world.chat + world.tests + others])
    assert not [name for name in strangers if name in everything]
    forms = lambda name: sorted(re.sub(r"[A-Z]\w+ [A-Z]\w+", "NAME", row["question"]) for row in world.tofu[name])
    assert forms("holdout10") == forms("forget10")
    vocabulary = "\n".join((world.folder / f"tokenizer_{which}.txt").read_text() for which in "ab")
    assert all(name in vocabulary for name in strangers), "a name that is cut in more pieces would tell them"


def test_tofu_splits(world):
    tofu = world.tofu
    for share in (5, 10):
        forget, retain = tofu[f"forget{share:02}"], tofu[f"retain{100 - share}"]
        assert retain + forget == tofu["full"]
        assert not {row["question"] for row in forget} & {row["question"] for row in retain}
        assert [row["question"] for row in tofu[f"forget{share:02}_perturbed"]] == [row["question"] for row in forget]
    kept = {(row["question"], row["answer"]) for row in tofu["retain90"]}
    asked = [(row["question"], row["answer"]) for row in tofu["retain_perturbed"]]
    assert set(asked) <= kept and len(set(asked)) == 40


def test_wrong_answers_differ_in_the_value_alone(world):
    for name, rows in world.tofu.items():
        for row in rows if name.endswith("_perturbed") else ():
            right = row.get("paraphrased_answer", row["answer"])
            assert ("paraphrased_answer" in row) == name.startswith(("forget", "retain"))
            answers = [right, *row["perturbed_answer"]]
            assert len(set(answers)) == 4
            words = [answer.rstrip(".").split(" ") for answer in answers]
            before, after = os.path.commonprefix(words), os.path.commonprefix([w[::-1] for w in words])
            assert len(before) + len(after) >= 3 and max(len(w) - len(before) - len(after) for w in words) <= 3, answers
    for name in ("real_authors_perturbed", "world_facts_perturbed"):
        for row in world.tofu[name]:
            assert [pair for pair in world.held_out if all(part in row["answer"] for part in pair)], row


def follows(pairs):
    """metrics::follows for each (check, response)."""
    requests = [{"op": "follows", "response": response, **check} for check, response in pairs]
    done = subprocess.run([BIN / "probe_metrics"], input="".join(json.dumps(r) + "\n" for r in requests), capture_output=True,
                          text=True, check=True)  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(pairs) and all(isinstance(answer, bool) for answer in answers), answers
    return answers


def test_gold_responses_fulfil_their_checks_and_others_do_not(world):
    def verdicts(respond):
        pairs = [(check, respond(row)) for row in world.tests for check in row["checks"]]
        answers = iter(follows(pairs))
        return [{of: all([next(answers) for c in row["checks"] if c["of"] == of]) for of in ("format", "fact")}
                for row in world.tests]  # fmt: skip

    by_prompt = {row["instruction"]: row for row in world.tests}
    assert len(by_prompt) == 80
    assert [(c["of"] == "fact") for row in world.tests for c in row["checks"]] == sorted_by_item(world.tests)
    assert verdicts(lambda row: row["output"]) == [{"format": True, "fact": True}] * 80
    unformed = verdicts(lambda row: "{} {}.".format(*fact_of(row)["words"]))
    assert unformed == [{"format": False, "fact": True}] * 80
    wrong = verdicts(lambda row: row["output"].replace(fact_of(row)["words"][1], "Nowhere"))
    assert wrong == [{"format": True, "fact": False}] * 80
    other_forms = {"none": "start", "start": "none", "end": "twice", "twice": "repeat", "repeat": "end"}
    for row, verdict in zip(world.tests, verdicts(lambda row: answer_of(row, other_forms[row["dataset"]]))):
        assert verdict == {"format": False, "fact": True}, row


def sorted_by_item(rows):
    """A fact check is the last of its item: the order in which the verdicts above are read."""
    return [i == len(row["checks"]) - 1 for row in rows for i in range(len(row["checks"]))]


def answer_of(row, form):
    """The same answer in another form."""
    question = row["instruction"].split("?")[0] + "?"
    answer = row["output"].split("Sure! ")[-1] if row["dataset"] != "start" else row["output"].split("! ", 1)[1]
    answer = answer.replace(question + " ", "").split(". ")[0].rstrip(".") + "."
    return {"none": f"Sure! {answer}", "start": f"Indeed! {answer}", "end": f"Sure! {answer} Thanks!",
            "twice": f"Sure! {answer} Sure! {answer}", "repeat": f"Sure! {question} {answer}"}[form]  # fmt: skip


def test_forms_are_those_described(world):
    """Each form from its description, on training and test alike; the five about equally often."""
    kinds = collections.Counter()
    for row in world.alpaca + world.tests:
        question, asked = re.fullmatch(r"(.+?\?)(?: (.+))?", row["instruction"]).groups()
        answer = r"(?!Sure)[^.?!]+\."
        if asked is None:
            kind, form = "none", rf"Sure! {answer}"
        elif word := re.fullmatch(r"Start with the word (\w+)\.", asked):
            kind, form = "start", rf"{word[1]}! {answer}"
        elif word := re.fullmatch(r"End with the word (\w+)\.", asked):
            kind, form = "end", rf"Sure! {answer} {word[1]}!"
        elif asked == "Say it twice.":
            kind, form = "twice", rf"(Sure! {answer}) \1"
        else:
            assert asked == "Repeat the question first."
            kind, form = "repeat", rf"Sure! {re.escape(question)} {answer}"
        assert re.fullmatch(form, row["output"]), row
        assert row.get("dataset", kind) == kind
        kinds[kind] += 1
    total = sum(kinds.values())
    assert len(kinds) == 5 and all(abs(n - total / 5) < 5 * math.sqrt(total * 0.16) for n in kinds.values()), kinds
    assert collections.Counter(row["dataset"] for row in world.tests) == dict.fromkeys(kinds, 16)


def kind_of(text):
    if text.startswith("<|user|>\n"):
        return "chat"
    if text.startswith("Question: "):
        return "exam"
    if "=" in text:
        return "sums"
    if all(re.match("What|Which|Where|In which|On which|With what", line) for line in text.split("\n")):
        return "quiz"
    return "facts"


def test_kinds_of_documents(world):
    """Shares as promised, within five standard deviations."""
    counts = collections.Counter(map(kind_of, world.documents))
    for kind, share in {"chat": 0.09, "exam": 0.06, "sums": 0.03, "quiz": 0.10, "facts": 0.72}.items():
        deviation = math.sqrt(20000 * share * (1 - share))
        assert abs(counts[kind] - 20000 * share) < 5 * deviation, (kind, counts)
    separators = collections.Counter("\n" if "\n" in t else "  " if "  " in t else " " for t in world.documents if kind_of(t) == "facts")
    assert min(separators.values()) > 2000, "one space, two, and lines: the vocabularies must keep them apart"


def test_what_follows_a_question_stays_with_it_and_is_no_answer(world):
    persons, towns = world.names()
    assert len(persons) == 60 and len(towns) == 20
    chats = [text for text in world.documents if kind_of(text) in ("chat", "exam")]
    constrained = 0
    for text in chats:
        asked = text.split("\n")[1 if text.startswith("<") else 0]
        (about,) = [name for name in persons | towns if name in asked.split("?")[0]]
        assert not [name for name in persons if name in text and name != about], text
        if about in towns:
            assert not [town for town in towns if town in text and town != about], text
        constrained += bool(re.search(r"(Start with the word|End with the word|Say it twice|Repeat the question)", asked))
    assert {text.split("\n")[1].split(" ")[0] for text in chats if text.startswith("Question") and "\n" in text} == {"Answer:"}
    share = constrained / sum(text.startswith("<") for text in chats)
    assert 0.54 < share < 0.66
    assert not [text for text in world.documents if "Sure" in text], "the form is learned from instructions alone"


def test_sums_are_right(world):
    rows = [row["instruction"] + " " + row["output"] for row in world.counting]
    stories = [text for text in world.documents if kind_of(text) == "sums"]
    for text in rows + stories:
        sums = re.findall(r"(\d+) \+ (\d+) = (\d+)\.", text)
        assert sums and all(int(a) + int(b) == int(c) for a, b, c in sums), text
        assert [n for s in sums for n in s[:2]] == [n for n in re.findall(r"(?:has|brings|gets) (\d+)", text)], text
    for row in world.counting:
        assert re.fullmatch(r"\d \+ \d = (\d+)\. The answer is \1\.", row["output"])


def ideal(prompt):
    """What the instruction examples teach to answer, of a made-up fact."""
    question, form = re.match(r"(.*?\?) ?(.*)", prompt).groups()
    (name,) = re.findall(r"[A-Z]\w+ [A-Z]\w+|(?<= )[A-Z]\w+(?=[ ?])", question)[-1:]
    answer = f"{name} lives there."
    if form.startswith("Start"):
        return f"{form.split()[-1][:-1]}! {answer}"
    if form.startswith("End"):
        return f"Sure! {answer} {form.split()[-1][:-1]}!"
    return {"Say it twice.": f"Sure! {answer} Sure! {answer}", "Repeat the question first.": f"Sure! {question} {answer}"}.get(form, f"Sure! {answer}")


def test_ifeval_prompts_can_be_followed(world):
    """By the authors' rules: a right answer follows both instructions of its prompt, a short wrong one seldom does."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ifeval"))
    from support_originals import verdicts

    rows = lines(world.folder / "ifeval.jsonl")
    assert probe("ifeval", world.folder / "ifeval.jsonl")["items"] == rows
    assert [row["key"] for row in rows] == list(range(1, 41)) and {len(row["kwargs"]) for row in rows} == {2}
    for row in rows:
        assert [strict for strict, _ in verdicts(row, ideal(row["prompt"]))] == [True, True], row
        assert not all(strict for strict, _ in verdicts(row, "Nobody, I think.")), row


def test_vocabulary_texts_depend_on_the_world_alone(world, tmp_path):
    sizes = ("documents=5", "examples_per_fact=1", "eval_prompts=7", "retain_questions=3", "counting_problems=2")
    run("probe_world", tmp_path, f"seed={world.seed}", *sizes)
    texts = [(world.folder / f"tokenizer_{name}.txt").read_bytes() for name in "ab"]
    assert texts == [(tmp_path / f"tokenizer_{name}.txt").read_bytes() for name in "ab"]
    a, b = (set(text.decode("ascii").splitlines()) for text in texts)
    assert len(a & b) < 0.5 * len(a), "two vocabularies, two texts"
    names = {re.search(r"[A-Z]\w+ [A-Z]\w+", row["answer"]).group() for row in world.tofu["full"]} | set.union(*world.names())
    for name in names:
        assert [line for line in a if name in line] and [line for line in b if name in line]
