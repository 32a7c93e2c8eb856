"""The commands of the documentation, word for word, in a copy of the tree beside a small finished run of `mini`; and the messages that
docs/troubleshooting.md explains are in the source."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE, BIN = Path(os.environ["CMC_SOURCE"]), Path(os.environ["CMC_BIN"])
PAGES = ["README.md", "CONTRIBUTING.md", "results/README.md", *sorted(f"docs/{page.name}" for page in (SOURCE / "docs").glob("*.md"))]

# Beginning of a command that takes too long here, or needs what a test has not → who runs that program instead.
ELSEWHERE = {
    "jobs/reproduce.sh": "tests/jobs/bare_root.sh",
    "jobs/test.sh": ".ci/run",
    "jobs/build.sh": "jobs/test.sh",
    "jobs/setup.sh": "jobs/test.sh",
    "jobs/slurm/submit.sh paper": "tests/slurm/test_submit.py",
    "mpirun -n 2 --bind-to none cmc run jobs/experiments/mini.ini": "tests/stages/test_mini.py",
    "tests/benchmark/benchmark.py": "tests/benchmark/test_benchmark.py",
    "python3 tests/cuda/run.py": "tests/cuda/test_run.py",
}
# … → what is run here in its place: the same on less.
SMALLER = {
    "cmc bench --shape llama": "cmc bench --shape tiny --steps 2 --context 8 --batch 1",
    "tests/faults/storm.py": "tests/faults/storm.py --kills 2 --seed 7",
    "tests/fuzz/run.py": "tests/fuzz/run.py --inputs 20",
    "tests/records/test_many_measurements.py": "tests/records/test_many_measurements.py 10000",
    "tests/benchmark/large_store.py": "tests/benchmark/large_store.py --units 100",
}
# … → why no test can run it.
BY_HAND = {
    "jobs/setup.sh --cuda": "a wheel of several gigabytes",
    "jobs/build.sh cuda": "that wheel and nvcc",
    "jobs/device_kit.sh": "a build with CUDA",
    "python3 -m cmc_lm_eval": "tasks and models from the network; tests/analysis/test_lm_eval.py runs it on tasks of its own",
    "jobs/reproduce.sh small_llms": "half an hour, and models that the project does not ship",
}
# Exit codes other than 0.
EXPECTED = {"cmc doctor": (0, 1), "jobs/fetch.sh": (66,)}  # a machine may lack something; there is no network here


def commands(page):
    """The lines of its sh blocks, without their comments; those that end in a backslash go on."""
    for block in re.findall(r"^```sh\n(.*?)^```", (SOURCE / page).read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"(^|\s)#.*", "", line).strip()
            if command:
                yield command


def spans(page):
    """Code spans that are whole commands: a program of ours with an option, a file or a number, and nothing to fill in."""
    text = re.sub(r"```.*?```", "", (SOURCE / page).read_text(), flags=re.DOTALL)
    for span in re.findall(r"`([^`\n]+)`", text):
        if re.match(r"(cmc|cmc-report|jobs/\S+\.sh|tests/\S+\.py|python3) .*(--|/|\d)", span) and not re.search(r"[…\[\]|]|\b[A-Z]{2,}\b|\bN\b", span):
            yield span


ALL = [(page, command) for page in PAGES for command in [*commands(page), *spans(page)]]


def entry(table, command):
    """Of a table above, by the longest beginning that fits."""
    fitting = [begin for begin in table if command.startswith(begin) and not command.endswith("--dry-run")]
    return table[max(fitting, key=len)] if fitting else None


def run_here(command):
    """As what a command is run here; None: it is not."""
    if entry(BY_HAND, command) or entry(ELSEWHERE, command):
        return None
    return entry(SMALLER, command) or command


HERE = list(dict.fromkeys(run_here(command) for _, command in ALL if run_here(command)))


def small_world():
    spec = importlib.util.spec_from_file_location("cuda_run", SOURCE / "tests" / "cuda" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {**module.SMALL_WORLD, "models.targets": "small, large, other", "data.ifeval": "${world}/ifeval.jsonl", "ifeval.items": 4,
            "ifeval.new_tokens": 16}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What git holds, the built programs in their place, and a run of mini."""
    root = tmp_path_factory.mktemp("clone") / "cmc"
    for name in ("README.md", "analysis", "jobs", "pipeline", "results/README.md", "stages", "tests"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (SOURCE / name).is_dir() else shutil.copy)(SOURCE / name, root / name)
    (root / "build" / "release").mkdir(parents=True)
    (root / "build" / "release" / "bin").symlink_to(BIN)
    settings = [text for key, value in small_world().items() for text in ("--set", f"{key}={value}")]
    done = run("cmc run jobs/experiments/mini.ini --output results/mini " + " ".join(f"'{text}'" for text in settings), root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def run(command, root):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CMC_", "SLURM_", "HF_", "PYTHON"))}
    python = Path(os.environ.get("CMC_PYTHON") or sys.executable)
    # pip finds what it needs here, and installs into a folder beside the copy.
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_TARGET": str(root.parent / "packages"), "PIP_UPGRADE": "1"}
    environment = {**clean, **pip, "PATH": f"{BIN}:{python.parent}:{os.environ['PATH']}", "CMC_VENV": str(python.parents[1]), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
                   "CMC_PYTHON": str(python), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return subprocess.run(["bash", "-c", command], cwd=root, env=environment, capture_output=True, text=True, timeout=600)


def test_there_are_commands():
    assert {"README.md", "docs/getting_started.md", "docs/cluster.md", "docs/reading_results.md"} <= {page for page, _ in ALL}
    assert len(HERE) >= 20


@pytest.mark.parametrize("command", HERE)
def test_a_command_runs(clone, command):
    expected = next((codes for begin, codes in EXPECTED.items() if command.startswith(begin)), (0,))
    done = run(command, clone)
    assert done.returncode in expected, done.stdout + done.stderr


def test_the_others_are_run_elsewhere():
    for command in {command for _, command in ALL if entry(ELSEWHERE, command) and not entry(BY_HAND, command)}:
        program = next(word for word in command.split() if "/" in word).split("/")[-1].removesuffix(".py")
        assert program in (SOURCE / entry(ELSEWHERE, command)).read_text(), f"{entry(ELSEWHERE, command)} does not run {program}"
    for table in (ELSEWHERE, SMALLER, BY_HAND):
        unused = [begin for begin in table if not any(command.startswith(begin) for _, command in ALL)]
        assert not unused, f"the documentation no longer has these: {unused}"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (SOURCE / page).read_text()):
            if "://" not in target:
                assert (SOURCE / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_explained_messages_are_printed():
    text = "".join(file.read_text() for folder in ("pipeline", "stages", "analysis", "jobs")
                   for file in sorted((SOURCE / folder).rglob("*")) if file.suffix in (".cpp", ".hpp", ".sh", ".py"))
    text = re.sub(r"^\s*(//|#).*", "", text, flags=re.MULTILINE)  # not what comments say
    text = re.sub(r'"\s*\n\s*"', "", text)  # texts over several lines
    page = (SOURCE / "docs/troubleshooting.md").read_text()
    messages = [cell for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for cell in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 15
    assert not [message for message in messages if message not in text]
