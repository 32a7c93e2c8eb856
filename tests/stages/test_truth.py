"""What a run stores equals an independent implementation: texts, likelihoods, ROUGE, checked instructions."""

import json
from types import SimpleNamespace

import h5py
import pytest
from rouge_score import rouge_scorer
from transformers import AutoTokenizer

import support_pipeline as support
from support_pipeline import cmc
from support_truth import Target, answer_score, chosen, in_hdf5, published, text, tokens_of


SETTINGS = ["methods.instruct=vanilla, cmc, composed, contrast", "methods.unlearn=vanilla, cmc, uld, composed", "fusion.gate=none, unsure, disagreement",
            "fusion.unsure_below=0.01", "fusion.contrast_prompt=inst",
            "unlearn.compat=authors", "unlearn.holdout=holdout01", "token_map.method=pm_mined, one_to_many", "fusion.top=20", "fusion.unmapped=zero, minimum"]


# Templates of two vocabularies: what composed adds has two, of which one is the target's.
COMPOSED = ["methods.instruct=composed", "methods.unlearn=composed", "models.unlearn_template=other", "models.targets=small, other", "unlearn.compat=authors",
            "unlearn.holdout=holdout01", "fusion.unmapped=minimum"]


def ran(root, settings):
    """(root, output folder, units as (task, values)) of a run that scores TOFU as published (fault 1)."""
    output = root / "run"
    options = [text for setting in settings for text in ("--set", setting)]
    cmc("run", support.make_world(root), "--output", output, *options, "--only", "instruct,unlearn")
    plan = {task["key"]: task for task in json.loads((output / "plan.json").read_text())["tasks"]}
    return root, output, [(plan[key], values) for key, values in support.units(output).items()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("truth"), SETTINGS)


@pytest.fixture(scope="module")
def of_two_vocabularies(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("composed"), COMPOSED)


def test_variants_of_the_map_are_evaluated_where_there_is_one(run):
    _, _, units = run
    usual, variants = ("pm_mined", 0, "zero"), {("one_to_many", 20, "zero"), ("pm_mined", 0, "minimum")}
    for stage in ("instruct", "unlearn"):
        steered = [p for p, _ in chosen(units, stage, "other", "plain" if stage == "instruct" else None) if p["method"] == "cmc"]
        assert {(p["map_method"], p.get("top", 0), p["unmapped"]) for p in steered} == {usual, *variants}
        same = [p for p, _ in chosen(units, stage, "small", "plain" if stage == "instruct" else None) if p["method"] == "cmc"]
        assert same and not any({"map_method", "top", "unmapped"} & p.keys() for p in same)
    named = {task["name"] for task, _ in units if task["stage"] == "unlearn"}
    assert any("(one_to_many of the top 20)" in name for name in named) and any("(unmapped: minimum)" in name for name in named)


@pytest.mark.parametrize("name", ["small", "other"])
def test_instruct(run, name):
    methods = {p["method"] for p, _ in chosen(run[2], "instruct", name, "plain")}
    assert methods == {"vanilla", "cmc", "composed", "contrast"}
    check_instruct(run, name)


@pytest.mark.parametrize("name", ["small", "other"])
def test_composed_of_two_vocabularies(of_two_vocabularies, name):
    for stage, prompts in (("instruct", "plain"), ("unlearn", None)):
        mapped = {("map" in p, "map" in p["other"]) for p, _ in chosen(of_two_vocabularies[2], stage, name, prompts)}
        assert mapped == {(name == "other", name == "small") if stage == "instruct" else (name == "small", name == "other")}
    check_instruct(of_two_vocabularies, name)
    check_unlearn(of_two_vocabularies, name)


def check_instruct(run, name):
    root, output, units = run
    for p, values in chosen(units, "instruct", name, "plain"):
        target = Target(root, output, p)
        for row, (prompt, alpha) in enumerate(zip(map(text, values["prompt"]), values["alpha"])):
            written = f"<|user|>\n{prompt}\n<|assistant|>\n"
            base = prompt if name == "other" else written
            steered = f"[INST] {prompt} [/INST]" if p["method"] == "contrast" else written
            wanted = published.generate(target.model, target.tokenizer, base, 6, target.delta, alpha, delta_prompt=steered,
                                        end_tokens=target.ends, stops=["\n\nComment:"])
            assert text(values["response"][row]) == in_hdf5(wanted["text"])
            score = published.score(target.model, target.tokenizer, base, text(values["reference"][row]), target.delta, alpha,
                                    delta_prompt=steered if target.reads_own_prompt() else None)
            assert values["reference_tokens"][row] == score["tokens"]
            assert values["reference_logprob"][row] == pytest.approx(score["logprob"], rel=1e-3)


MISTRAL = ("{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
           "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}")


class Chat:
    """A tokenizer whose prompts are questions, written and encoded by transformers' apply_chat_template."""

    def __init__(self, folder):
        self.tokenizer, self.chat = published.load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
        self.decode = self.tokenizer.decode

    def encode(self, text, add_special_tokens=True):
        if not add_special_tokens:
            return self.tokenizer.encode(text, add_special_tokens=False)
        return SimpleNamespace(ids=self.chat.apply_chat_template([{"role": "user", "content": text}], tokenize=True, return_dict=False,
                                                                 add_generation_prompt=True))


@pytest.fixture(scope="module")
def chatting(tmp_path_factory):
    """(root, experiment) where `other` has a chat template that writes the begin token, which its tokenizer would add too."""
    root = tmp_path_factory.mktemp("chatting")
    experiment = support.make_world(root)
    config = root / "other" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": MISTRAL}))
    return root, experiment


CHATTING = ["models.targets=other", "model.other.prompt=chat", "model.other.other_prompt=chat", "deltas.unlearn=", "instruct.checked_items=0"]


@pytest.mark.parametrize("template", ["small", "other"])
def test_a_chat_template_writes_the_only_begin_token(chatting, template):
    root, experiment = chatting
    output = root / f"beside_{template}"
    settings = [text for setting in [*CHATTING, f"models.template={template}"] for text in ("--set", setting)]
    cmc("run", experiment, "--output", output, *settings, "--only", "instruct")
    plan = {task["key"]: task for task in json.loads((output / "plan.json").read_text())["tasks"]}
    tasks = [(plan[key], values) for key, values in support.units(output).items() if plan[key]["stage"] == "instruct"]
    assert {task["parameters"]["method"] for task, _ in tasks} == {"vanilla", "cmc"}
    for task, values in tasks:
        p = task["parameters"]
        assert p["base_prompt"] == {"style": "chat", "before": "<s>[INST] ", "after": " [/INST]"}
        assert task["revision"] >= 2, "units of revision 1 read <s> twice"
        assert [text(asked) for asked in values["asked"]] == [f"<s>[INST] {text(prompt)} [/INST]" for prompt in values["prompt"]]
        target, chat = Target(root, output, p), Chat(root / "other")
        assert chat.encode("Who?").ids[:2].count(1) == 1
        for row, (prompt, alpha) in enumerate(zip(map(text, values["prompt"]), values["alpha"])):
            reads = f"<|user|>\n{prompt}\n<|assistant|>\n" if target.delta and target.delta.tokenizer else None
            wanted = published.generate(target.model, chat, prompt, 6, target.delta, alpha, delta_prompt=reads, end_tokens=target.ends,
                                        stops=["\n\nComment:"])
            assert text(values["response"][row]) == in_hdf5(wanted["text"])
            score = published.score(target.model, chat, prompt, text(values["reference"][row]), target.delta, alpha, delta_prompt=reads)
            assert values["reference_logprob"][row] == pytest.approx(score["logprob"], rel=1e-3)


@pytest.mark.parametrize("name", ["small", "other"])
def test_unlearn(run, name):
    check_unlearn(run, name)


def check_unlearn(run, name):
    root, output, units = run
    rouge = rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    for p, values in chosen(units, "unlearn", name):
        target = Target(root, output, p)
        lines = (root / "data" / "tofu" / f"{p['stem']}.json").read_text(encoding="utf-8").splitlines()
        for row, (item, alpha) in enumerate(zip(values["item"], values["alpha"])):
            line = json.loads(lines[item])
            scores = rouge.score(line["answer"], text(values["generated"][row]))
            assert values["rouge1_recall"][row] == pytest.approx(scores["rouge1"].recall, abs=1e-12)
            assert values["rouge_l_recall"][row] == pytest.approx(scores["rougeL"].recall, abs=1e-12)
            prompt = f"[INST] {line['question']} [/INST]"
            wanted = published.generate(target.model, target.tokenizer, prompt, 6, target.delta, alpha, end_tokens=target.ends,
                                        stops=["\n\nComment:"])
            assert text(values["generated"][row]) == in_hdf5(wanted["text"])
            scored = answer_score(target, line["question"], line["answer"], alpha)
            for column, truth in [("logprob", scored["each"]), ("best", scored["best"]), ("mean", scored["means"]),
                                  ("variance", scored["variances"])]:
                assert tokens_of(values, row, column) == pytest.approx(truth, rel=2e-3, abs=2e-3), column
            holdout = p["set"] == "holdout"
            assert holdout == ("perturbed_answer" not in line) == ("wrong_logprob" not in values)
            wrong = line.get("perturbed_answer", [])
            for answer, scored in [(line["answer"], values["answer_logprob"][row]),
                                   (line.get("paraphrased_answer", line["answer"]), values["paraphrase_logprob"][row])]:
                assert scored == pytest.approx(answer_score(target, line["question"], answer, alpha)["logprob"], rel=1e-3)
            for answer, scored in zip(wrong, [] if holdout else values["wrong_logprob"][row]):
                as_published = answer_score(target, line["question"], answer, alpha, delta_reads=wrong[0])
                assert scored == pytest.approx(as_published["logprob"], rel=1e-3)


def test_checked_prompts_ask_for_what_is_checked(run):
    _, _, units = run
    prompts = json.loads((run[0] / "data" / "alpaca_eval.json").read_text())
    asked = set()
    for p, values in chosen(units, "instruct", "other", "checked"):
        for prompt, item, followed in zip(map(text, values["prompt"]), values["item"], values["followed"]):
            assert prompt.startswith(prompts[item]["instruction"] + " ") and followed in (0, 1)
            asked.add((item, prompt))
    assert len(asked) == 2, "every system is asked the same"


def test_results_name_their_dimensions(run):
    with h5py.File(run[1] / "results.h5") as results:
        nameless = []
        results.visititems(lambda name, node: nameless.append(name) if isinstance(node, h5py.Dataset) and
                           any(not dimension.keys() for dimension in node.dims) and not node.is_scale else None)
        assert not nameless
