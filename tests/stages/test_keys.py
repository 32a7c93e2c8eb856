"""`cmc keys`: every key an experiment file may hold, and a file to fill in."""

import configparser
from pathlib import Path

import pytest

from support_pipeline import cmc, tiny, world  # noqa: F401

EXPERIMENTS = sorted((Path(tiny.SOURCE) / "jobs/experiments").glob("*.ini"))


def parsed(text):
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


@pytest.fixture(scope="module")
def everything():
    """{section: {key: default}}, those that may be left out, too."""
    lines = cmc("keys", "--ini").stdout.splitlines()
    return parsed("\n".join(line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in lines))


def family(section):
    return section.split(".")[0] + (".*" if "." in section else "")


def test_every_key_of_every_experiment_is_listed(everything):
    assert len(EXPERIMENTS) > 5
    for file in EXPERIMENTS:
        for section, keys in parsed(file.read_text(encoding="utf-8")).items():
            assert keys.keys() <= everything[family(section)].keys(), (file.name, section)


def test_each_key_says_what_it_is(everything):
    lines = [line for line in cmc("keys").stdout.splitlines() if line.startswith("  ")]
    assert len(lines) == sum(map(len, everything.values())) > 100
    assert all(line.rstrip().endswith(")") and len(line) > 40 for line in lines)
    choices = next(line for line in lines if line.startswith("  unmapped ="))
    assert all(word in choices for word in ("= zero", "minimum", "list"))


def test_one_section():
    for asked in ("delta", "delta.*", "delta.tiny"):
        shown = cmc("keys", asked).stdout
        assert [line for line in shown.splitlines() if line.startswith("[")] == ["[delta.*]"] and "  layers = 4" in shown
    assert "known are" in cmc("keys", "trian_instruct", expect=2).stderr


def test_the_file_to_fill_in_is_an_experiment(world, tmp_path, everything):
    """The keys that must be given, filled in, and every default written out: the plan of the same file without them."""
    root, _ = world
    given = {"experiment": {"title": "t"}, "models": {"template": "small", "targets": "small"}, "model.small": {"path": f"{root}/small"},
             "deltas": {"instruct": "d"}, "delta.d": {"layers": "4"}, "data": {"alpaca": f"{root}/data/alpaca.json", "alpaca_eval": f"{root}/data/alpaca_eval.json"}}
    written = {section: {key: value for key, value in keys.items() if value} for section, keys in everything.items() if "*" not in section}
    for section, keys in given.items():
        written.setdefault(section, {}).update(keys)
    plans = []
    for name, sections in (("given", given), ("written", written)):
        file = tmp_path / f"{name}.ini"
        file.write_text("\n".join(f"[{section}]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) for section, keys in sections.items()))
        plans.append(cmc("plan", file, "--output", tmp_path / "out", "--json").stdout)
    assert plans[0] == plans[1]
