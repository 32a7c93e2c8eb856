"""A few thousand inputs for each fuzz target; run.py gives them as many as wanted."""

import os
import subprocess
from pathlib import Path

import pytest
from run import BIN, CORPORA, fuzz, write_corpus

INPUTS = 3000


@pytest.mark.parametrize("target", CORPORA)
def test_no_input_crashes_a_reader(target, tmp_path):
    done, message = fuzz(target, INPUTS, seed=int(os.environ.get("CMC_FUZZ_SEED", "1")), findings=tmp_path)
    assert done, message


def test_every_target_is_built_and_listed():
    assert {file.stem for file in Path(__file__).parent.glob("*.cpp")} - {"driver", "mutate"} == set(CORPORA)
    assert all((BIN / f"fuzz_{target}").exists() for target in CORPORA)


@pytest.mark.parametrize("target", CORPORA)
def test_the_corpus_is_taken(target, tmp_path):
    """Mutations of what is refused anyway would test little: each seed must be read to its end."""
    write_corpus(target, tmp_path)
    for seed in sorted(tmp_path.glob("seed*")):
        done = subprocess.run([BIN / f"fuzz_{target}", seed], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
        assert done.returncode == 0 and "taken by 0" not in done.stdout, (seed, done.stdout, done.stderr)
