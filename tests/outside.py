"""Data sets and models that the project does not ship. A test asks here for what it needs: what is not there leaves the test out, and
jobs/test.sh says at the end which, and how to get it. CMC_MISSING=fail (continuous integration) makes it a failure."""

import os
from pathlib import Path

import pytest

SOURCE = Path(os.environ.get("CMC_SOURCE") or Path(__file__).resolve().parents[1])
DATA = Path(os.environ.get("CMC_DATA") or SOURCE / "data")
MODELS = Path(os.environ.get("CMC_MODELS") or SOURCE / "models")

# Of a data set, or of a file that its command does not give.
HOW = {"tofu": "jobs/fetch.sh data tofu", "alpaca_gpt4": "jobs/fetch.sh data alpaca_gpt4", "alpaca_eval": "jobs/fetch.sh data alpaca_eval",
       "gsm8k": "jobs/fetch.sh data gsm8k", "alpaca_eval/alpaca_farm_evaluation_merge.json": "put it there (tatsu-lab/alpaca_farm)",
       "tokenizers": "put it there (the tokenizer.model of Llama 2, of Mistral 7B v0.1)"}


def _there(path, remedy):
    if path.exists():
        return path
    message = f"{path} is missing: {remedy}"
    if os.environ.get("CMC_MISSING") == "fail":
        pytest.fail(message, pytrace=False)
    pytest.skip(message, allow_module_level=True)


def data(*parts):
    """A file or folder under CMC_DATA."""
    path = DATA.joinpath(*parts)
    return _there(path, HOW.get("/".join(parts)) or HOW.get(parts[0], "put it there"))


def data_if_there(*parts):
    """The same, or None: for tests that take real texts where there are some, and made-up ones elsewhere."""
    if os.environ.get("CMC_MISSING") != "fail" and not DATA.joinpath(*parts).exists():
        return None
    return data(*parts)


def model(name):
    """A model's folder under CMC_MODELS."""
    return _there(MODELS / name / "tokenizer.json", "jobs/setup.sh --models").parent
