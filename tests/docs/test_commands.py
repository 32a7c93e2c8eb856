"""The commands of the documentation, word for word, in a copy of the tree beside a small finished run of `mini`; and the messages that
docs/troubleshooting.md explains are in the source."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE, BIN = Path(os.environ["CMC_SOURCE"]), Path(os.environ["CMC_BIN"])
PAGES = ["README.md", "CONTRIBUTING.md", "results/README.md", *sorted(f"docs/{page.name}" for page in (SOURCE / "docs").glob("*.md"))]

# Beginning of a command that takes too long here, or needs what a test has not → who runs it instead.
ELSEWHERE = {
    "jobs/reproduce.sh": "tests/jobs/bare_root.sh",
    "jobs/test.sh": ".ci/run",
    "jobs/build.sh cuda": "tests/device/bare_root.sh",
    "jobs/build.sh": "jobs/test.sh",
    "jobs/setup.sh --cuda": "tests/device/bare_root.sh",
    "jobs/setup.sh": "jobs/test.sh",
    "jobs/device_kit.sh": "tests/device/bare_root.sh",
    "jobs/slurm/submit.sh paper": "tests/slurm/test_submit.py",
    "mpirun -n 2 --bind-to none cmc run jobs/experiments/mini.ini": "tests/stages/test_mini.py",
    "pip install analysis/python": "tests/analysis/test_python.py",
    "cmc bench --shape llama2_7b": "tests/stages/test_bench.py",
    "python3 tests/cuda/run.py": "tests/cuda/test_run.py",
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


ALL = [(page, command) for page in PAGES for command in commands(page)]


def run_elsewhere(command):
    fitting = [begin for begin in ELSEWHERE if command.startswith(begin) and not command.endswith("--dry-run")]
    return ELSEWHERE[max(fitting, key=len)] if fitting else None


HERE = list(dict.fromkeys(command for _, command in ALL if not run_elsewhere(command)))


def small_world():
    spec = importlib.util.spec_from_file_location("cuda_run", SOURCE / "tests" / "cuda" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {**module.SMALL_WORLD, "models.targets": "small, large, other"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What git holds, the built programs in their place, and a run of mini."""
    root = tmp_path_factory.mktemp("clone") / "cmc"
    shutil.copytree(SOURCE, root, ignore=shutil.ignore_patterns("build", ".git", ".venv*", "models", "data", "mini", "wip", "__pycache__"))
    (root / "build" / "release").mkdir(parents=True)
    (root / "build" / "release" / "bin").symlink_to(BIN)
    settings = [text for key, value in small_world().items() for text in ("--set", f"{key}={value}")]
    done = run("cmc run jobs/experiments/mini.ini --output results/mini " + " ".join(f"'{text}'" for text in settings), root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def run(command, root):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CMC_", "SLURM_", "HF_")) or name == "CMC_VENV"}
    environment = {**clean, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
                   "CMC_PYTHON": os.environ.get("CMC_PYTHON", "python3"), "OMPI_ALLOW_RUN_AS_ROOT": "1",
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
    for command in {command for _, command in ALL if run_elsewhere(command)}:
        runner = SOURCE / run_elsewhere(command)
        assert runner.is_file(), f"{command}: {runner} does not exist"
    unused = [begin for begin in ELSEWHERE if not any(command.startswith(begin) for _, command in ALL)]
    assert not unused, f"the documentation no longer has these: {unused}"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (SOURCE / page).read_text()):
            if "://" not in target:
                assert (SOURCE / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_explained_messages_are_printed():
    text = "".join(file.read_text() for folder in ("pipeline", "stages", "analysis", "jobs")
                   for file in sorted((SOURCE / folder).rglob("*")) if file.suffix in (".cpp", ".hpp", ".sh", ".py"))
    text = re.sub(r'"\s*\n\s*"', "", text)  # texts over several lines
    page = (SOURCE / "docs/troubleshooting.md").read_text()
    messages = [cell for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for cell in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 15
    assert not [message for message in messages if message not in text]
