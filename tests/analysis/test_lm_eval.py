"""cmc_lm_eval: lm-evaluation-harness's own task code over tasks that this test writes. A model alone gets the figures, and each
sample's log-likelihoods and texts, of lm_eval's `hf` type; a steered one those of the published algorithm."""

import inspect
import json
import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

if os.environ.get("CMC_WITH_TORCH") == "OFF":
    pytest.skip("cmc is built without LibTorch", allow_module_level=True)
SOURCE, BIN = Path(os.environ["CMC_SOURCE"]), Path(os.environ["CMC_BIN"])
PACKAGES = SOURCE / "analysis/python"
sys.path[:0] = [str(PACKAGES), *(str(SOURCE / "tests" / folder) for folder in ("", "decode", "differential", "text"))]
for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
    os.environ[name] = "1"
import lm_eval  # noqa: E402
import made_data  # noqa: E402
import published  # noqa: E402
import tiny_checkpoints as tiny  # noqa: E402
import torch  # noqa: E402
from chat_shapes import SHAPES  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

import cmc_lm_eval  # noqa: E402

torch.set_num_threads(1)
TASKS = {"choices": """
output_type: multiple_choice
doc_to_text: "{{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: gold
num_fewshot: 2
metric_list: [{metric: acc}, {metric: acc_norm}]
""", "texts": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
""", "answers": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n", "zzz"], max_gen_toks: 8, do_sample: false, temperature: 0.0}
metric_list: [{metric: exact_match}]
""", "begun": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
gen_prefix: "The answer is"
generation_kwargs: {until: [], max_gen_toks: 5, do_sample: false}
metric_list: [{metric: exact_match}]
"""}
FOLDERS = {"base": ("byte", 1), "same": ("byte", 2), "llama": ("llama", 3), "gemma": ("gemma", 4)}
SYSTEMS = {"same vocabulary": ("base", "same", 0.7), "another vocabulary": ("base", "gemma", 1.5), "another base": ("gemma", "base", 0.5)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Models, each with a chat template that takes no system message."""
    root, made = tmp_path_factory.mktemp("models"), {}
    tokenizers = {"byte": tiny.byte_level_bpe(600), "llama": tiny.sentencepiece_bpe(900, dummy_prefix=True), "gemma": tiny.sentencepiece_bpe(1000, dummy_prefix=False)}
    for name, (kind, seed) in FOLDERS.items():
        tokenizer, special = tokenizers[kind]
        model = (tiny.gemma if kind == "gemma" else tiny.llama)(tokenizer.get_vocab_size(), seed)
        model.generation_config.eos_token_id = 0 if kind == "byte" else 2
        model.generation_config.pad_token_id = 0
        made[name] = tiny.write(root / name, model, tokenizer, {**special, "chat_template": SHAPES["gemma"]})
    return made


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """lm_eval's tasks of a folder that holds these and their data."""
    root = tmp_path_factory.mktemp("tasks")
    os.environ["HF_DATASETS_CACHE"] = str(root / "cache")
    import datasets
    datasets.config.HF_DATASETS_CACHE = str(root / "cache")
    draw, lines = random.Random(5), []
    for number, item in enumerate(made_data.instructions(10)):
        others = [f"no, {one['output'][:30]}" for one in made_data.instructions(4)[:2]]
        choices = draw.sample([item["output"][:40], *others, "café 🎉\n"], 4)
        lines.append({"question": f"{item['instruction'][:60]}{' ' * (number % 2)}", "choices": choices, "gold": number % 4, "answer": item["output"],
                      "text": f"{item['output']} — {number}\n\n{item['instruction']} 日本"})
    (root / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    for name, text in TASKS.items():
        (root / f"{name}.yaml").write_text(f"task: tiny_{name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {root}/data.jsonl}}}}\n"
                                           f"test_split: test\nfewshot_split: test\n{text}", encoding="utf-8")
    return root, TaskManager(include_path=str(root), include_defaults=False)


def evaluated(tasks, model, arguments, **more):
    names = [f"tiny_{name}" for name in TASKS]
    return lm_eval.simple_evaluate(model=model, model_args=arguments, tasks=names, task_manager=tasks[1], bootstrap_iters=0, log_samples=True, **more)


def of_cmc(tasks, folders, base, delta=None, alpha=None, **more):
    arguments = {"model": folders[base], "program": BIN / "cmc", "device": "cpu", "map": "auto", **more.pop("options", {})}
    if delta:
        arguments |= {"delta": folders[delta], "alpha": alpha}
    return evaluated(tasks, "cmc", arguments, **more)


def samples(results):
    """(task, document, what was asked, what was answered), in lm_eval's order."""
    for task, of_task in results["samples"].items():
        for sample in of_task:
            for asked, answered in zip(sample["arguments"], sample["resps"], strict=True):
                yield task, sample["doc_id"], asked, answered[0]


def assert_same(ours, theirs):
    """Every sample and every figure."""
    assert ours["results"].keys() == theirs["results"].keys() == {f"tiny_{name}" for name in TASKS}
    counts = dict.fromkeys(TASKS, 0)
    for (task, document, asked, answer), (*theirs_is, expected) in zip(samples(ours), samples(theirs), strict=True):
        assert [task, document, asked] == theirs_is
        if isinstance(expected, str):
            assert answer == expected
        elif isinstance(expected, (tuple, list)):
            assert answer[0] == pytest.approx(expected[0], abs=1e-3) and answer[1] == expected[1]
        else:
            assert answer == pytest.approx(expected, abs=2e-3)
        counts[task.removeprefix("tiny_")] += 1
    assert counts == {"choices": 40, "texts": 10, "answers": 10, "begun": 10}
    for task, figures in theirs["results"].items():
        numbers = {name: value for name, value in figures.items() if isinstance(value, float)}
        assert {name: ours["results"][task][name] for name in numbers} == pytest.approx(numbers, rel=1e-4)


@pytest.mark.parametrize("base", ["base", "llama", "gemma"])
@pytest.mark.parametrize("longest", [None, 48])
def test_a_model_alone_is_that_of_transformers(tasks, folders, base, longest):
    """Also where texts are longer than the model reads. One text at a time: lm_eval pads the others from the left."""
    options = {"max_length": longest} if longest else {}
    theirs = evaluated(tasks, "hf", {"pretrained": folders[base], "dtype": "float32", "device": "cpu", "batch_size": 1, **options})
    assert_same(of_cmc(tasks, folders, base, options=options), theirs)


@pytest.mark.parametrize("base", ["base", "gemma"])
@pytest.mark.parametrize("multiturn", [False, True])
def test_chats_are_those_of_transformers(tasks, folders, base, multiturn):
    """With a system text that the template refuses, shots as turns of their own, and answers that are begun."""
    chat = {"apply_chat_template": True, "fewshot_as_multiturn": multiturn, "system_instruction": "Be brief."}
    theirs = evaluated(tasks, "hf", {"pretrained": folders[base], "dtype": "float32", "device": "cpu", "batch_size": 1}, **chat)
    ours = of_cmc(tasks, folders, base, options={"requests_at_once": 7}, **chat)
    assert_same(ours, theirs)
    assert any("<start_of_turn>" in asked[0] for *_, asked, _ in samples(ours))


class Reference:
    def __init__(self, folders, base, delta, alpha):
        self.model, self.tokenizer, self.alpha = published.load_model(folders[base]), published.load_tokenizer(folders[base]), alpha
        self.lm, self.ends = HFLM(folders[base], device="cpu", dtype="float32"), [0 if FOLDERS[base][0] == "byte" else 2]
        self.delta = published.Delta([published.Part(published.load_model(folders[delta]))])
        if FOLDERS[base][0] != FOLDERS[delta][0]:
            self.delta.tokenizer = published.load_tokenizer(folders[delta])
            roles = [(1, 1), (0, 2)] if base == "base" else [(1, 1), (2, 0)]  # begin, end
            self.delta.token_map = published.pm_mined(self.tokenizer, self.delta.tokenizer, roles)

    def score(self, context, continuation):
        return published.score_ids(self.model, self.tokenizer, context + continuation, len(context), self.delta, self.alpha)

    def answer(self, task, asked):
        if task == "tiny_choices":
            score = self.score(*self.lm._encode_pair(*asked))
            return score["logprob"], all(score["best"])
        if task == "tiny_texts":
            return self.score([self.lm.prefix_token_id], self.lm.tok_encode(asked[0]))["logprob"]
        return published.generate(self.model, self.tokenizer, asked[0], asked[1]["max_gen_toks"], self.delta, self.alpha, end_tokens=self.ends,
                                  stops=asked[1]["until"])["text"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_steered_model_is_the_published_one(tasks, folders, system, tmp_path):
    base, delta, alpha = SYSTEMS[system]
    results, reference = of_cmc(tasks, folders, base, delta, alpha), Reference(folders, base, delta, alpha)
    pairs, counts = [], dict.fromkeys(results["samples"], 0)
    for task, _, asked, answer in samples(results):
        expected = reference.answer(task, asked)
        counts[task] += 1
        if task == "tiny_choices":
            assert answer[0] == pytest.approx(expected[0], abs=2e-3) and answer[1] == expected[1]
            pairs.append((asked, answer[0]))
        else:
            assert answer == (expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-4))
    assert counts == {"tiny_choices": 40, "tiny_texts": 10, "tiny_answers": 10, "tiny_begun": 10}
    # Figures follow from the samples.
    of_texts = [answer for task, *_, answer in samples(results) if task == "tiny_texts"]
    size = sum(len(sample["doc"]["text"].encode()) for sample in results["samples"]["tiny_texts"])
    assert results["results"]["tiny_texts"]["bits_per_byte,none"] == pytest.approx(-sum(of_texts) / size / math.log(2), rel=1e-6)
    # `cmc score` on the pairs that it cuts into the same tokens.
    encode = reference.tokenizer.encode
    same = [(asked, answer) for asked, answer in pairs if asked[0] == asked[0].rstrip()
            and encode(asked[0]).ids + encode(asked[1], add_special_tokens=False).ids == encode(asked[0] + asked[1]).ids]
    assert len(same) >= 20
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps({"prompt": asked[0], "answer": asked[1]}) + "\n" for asked, _ in same))
    done = subprocess.run([BIN / "cmc", "score", "--model", folders[base], "--delta", folders[delta], "--alpha", str(alpha), "--pairs", tmp_path / "pairs.jsonl"],
                          capture_output=True, text=True, check=True)
    for line, (_, answer) in zip(done.stdout.splitlines(), same):
        assert json.loads(line)["logprob"] == pytest.approx(answer, abs=1e-3)


def test_steering_changes_the_figures(tasks, folders):
    """And a strength of 0 does not."""
    alone = of_cmc(tasks, folders, "base")
    assert_same(of_cmc(tasks, folders, "base", "gemma", 0.0), alone)
    with pytest.raises(AssertionError):
        assert_same(of_cmc(tasks, folders, "base", "gemma", 1.0), alone)


@pytest.fixture
def model(folders):
    made = []

    def of(name="base", **options):
        made.append(cmc_lm_eval.CmcLM(folders[name], program=BIN / "cmc", **options))
        return made[-1]

    yield of
    for one in made:
        one.close()


def asked(kind, *arguments):
    return Instance(kind, {}, arguments, 0)


def test_samples(model):
    """Repeats of a request differ, another run gives the same, and another seed others."""
    kwargs = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 1.0, "top_p": 0.95}
    requests = [asked("generate_until", "Where was", kwargs) for _ in range(4)]
    first, again, other = (model(seed=seed).generate_until(requests, disable_tqdm=True) for seed in (1, 1, 9))
    assert first == again != other and len(set(first)) == 4


def test_names(model, folders):
    base, other = model(), model("gemma")
    assert base.tokenizer_name != other.tokenizer_name and base.tokenizer_name.startswith("cmc__base__")
    assert base.chat_template(True) == SHAPES["gemma"] and base.chat_template(False) is None
    with pytest.raises(ValueError, match="give no name"):
        base.chat_template("tools")
    assert (base.rank, base.world_size) == (0, 1)


@pytest.mark.parametrize("kwargs, named", [({"num_beams": 4}, "num_beams"), ({"do_sample": True, "temperature": 1.0, "top_k": 3}, "top_k")])
def test_settings_that_cmc_does_not_know_are_refused(model, kwargs, named):
    with pytest.raises(ValueError, match=named):
        model().generate_until([asked("generate_until", "Who?", {"until": [], "max_gen_toks": 2, **kwargs})], disable_tqdm=True)
    greedy = asked("generate_until", "Who?", {"max_gen_toks": 2, "top_k": 3, "top_p": 0.5})
    assert len(model().generate_until([greedy], disable_tqdm=True)) == 1


def test_what_the_worker_says_is_raised(model, folders, tmp_path):
    with pytest.raises(cmc_lm_eval.WorkerEnded, match="/nowhere ended with 66: error /nowhere/config.json: does not exist"):
        cmc_lm_eval.CmcLM("/nowhere", program=BIN / "cmc")
    with pytest.raises(cmc_lm_eval.WorkerEnded, match="--alpha"):
        model(alpha=1)
    with pytest.raises(ValueError, match="CUDA_VISIBLE_DEVICES=1"):
        model(device="cuda:1")
    with pytest.raises(FileNotFoundError):
        cmc_lm_eval.CmcLM(folders["base"], program=tmp_path / "absent")
    one = model()
    with pytest.raises(cmc_lm_eval.WorkerError, match=r"requests\[0\]: continuation: has no tokens") as error:
        one.loglikelihood([asked("loglikelihood", "a", "")], disable_tqdm=True)
    assert error.value.code == 65
    assert len(one.loglikelihood([asked("loglikelihood", "a", " b")], disable_tqdm=True)) == 1  # it goes on
    one.worker._process.kill()
    with pytest.raises(cmc_lm_eval.WorkerEnded, match="ended with -9"):
        one.loglikelihood([asked("loglikelihood", "a", " b")], disable_tqdm=True)


def test_the_page_tells_of_every_argument():
    table = (SOURCE / "docs/benchmarks.md").read_text().split("| `--model_args` | |")[1].split("\n\n")[0]
    told = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")}
    known = set(inspect.signature(cmc_lm_eval.CmcLM).parameters) - {"tensor_parallel", "batch_size", "max_batch_size"}  # told of with others
    assert told == known


def test_options_reach_the_worker():
    from cmc_lm_eval.model import batch_of, command_of, device_of

    assert command_of("mpirun -n 2 'my cmc'", {"model": "m", "max_length": 4, "tensor_parallel": True, "delta": None, "alpha": 0}) == [
        "mpirun", "-n", "2", "my cmc", "serve", "--stdio", "--model=m", "--max-length=4", "--tensor-parallel", "--alpha=0"]
    assert [batch_of(size) for size in (None, 1, "1", 8, "8", "auto", "auto:4")] == [None, None, None, 8, 8, None, None]
    assert [device_of(name) for name in ("cpu", "cuda", "cuda:0")] == ["cpu", "cuda", "cuda"]


def test_the_command_line(tasks, folders, tmp_path):
    """The types of lm_eval's own are still there beside ours."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "PATH": f"{BIN}:{os.environ['PATH']}", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    arguments = {"cmc": f"model={folders['base']},delta={folders['gemma']},alpha=0,map=auto", "hf": f"pretrained={folders['base']},dtype=float32"}
    figures = {}
    for kind, text in arguments.items():
        command = [sys.executable, "-m", "cmc_lm_eval", "--model", kind, "--model_args", text, "--tasks", "tiny_choices", "--include_path", str(tasks[0]), "--limit", "4",
                   "--device", "cpu", "--output_path", str(tmp_path / kind), "--log_samples"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        (file,) = (tmp_path / kind).rglob("results_*.json")
        figures[kind] = json.loads(file.read_text())["results"]["tiny_choices"]
    assert figures["cmc"] == pytest.approx(figures["hf"]) and "acc,none" in figures["cmc"]
