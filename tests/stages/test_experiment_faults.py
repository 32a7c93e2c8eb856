"""Experiment files with one fault each: refused with 78 naming file and key before anything runs, by `plan` as by `run`."""

import random
import re

import pytest

from support_pipeline import cmc, world  # noqa: F401

NUMBERS = ["nan", "inf", "-inf", "-1", "1e400", "0x1", "3,,x", "one", "--", "99999999999999999999", "1.5.2"]
WORDS = ["sideways", "Vanilla", "none?", "cmc;lora", "yes"]


@pytest.fixture(scope="module")
def keys():
    """[(key, kind)] of the keys that may be set, each in a section that the tiny experiment has."""
    found, section = [], ""
    for line in cmc("keys").stdout.splitlines():
        if line.startswith("["):
            section = line.strip("[]").replace("model.*", "model.small").replace("delta.*", "delta.d")
        elif match := re.match(r"  (\w+)\b.*\((.*)\)$", line):
            found.append((f"{section}.{match[1]}", match[2]))
    return found


def wrong_value(kind, draw):
    """A value that this kind of key never takes; None: it takes any text."""
    if kind.startswith(("whole number", "number")):
        least = re.search(r"\b(from|above) (\S+)", kind)
        below = str(float(least[2]) - 1) if least and kind.startswith("number") else str(int(least[2]) - 1) if least else "x"
        right = {"-1"} if least and float(least[2]) <= -1 else set()  # a strength may be negative
        return draw.choice([*(number for number in NUMBERS if number not in right), below])
    if ": " in kind.split(";")[0] or kind.startswith("yes or no"):
        return draw.choice([word for word in WORDS if word not in kind or word == "yes"]) if not kind.startswith("yes") else "maybe"
    if kind.startswith("text with escapes"):
        return draw.choice(["\\", "\\q", "\\u12", "\\ud800"])
    return None


def misspelt(key, draw):
    section, name = key.rsplit(".", 1)
    at = draw.randrange(len(name))
    return f"{section}.{name[:at]}{draw.choice('xyz')}{name[at + draw.randrange(2):]}q"


def with_setting(text, key, value):
    """The file with that setting in place of the one it has."""
    section, name = key.rsplit(".", 1)
    lines, inside, done = [], False, False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line == f"[{section}]"
        if inside and line.split("=")[0].strip() == name:
            continue
        lines.append(line)
        if inside and line.startswith("["):
            lines.append(f"{name} = {value}")
            done = True
    return "\n".join(lines if done else [*lines, f"[{section}]", f"{name} = {value}"]) + "\n"


def faults(text, keys, draw):
    """Endless (file with one fault, what the message must name)."""
    needed = [line.split(" = ")[0] for line in text.splitlines() if line.startswith(("title", "template", "targets"))]
    while True:
        key, kind = draw.choice(keys)
        kind_of_fault = draw.choice(["value", "value", "value", "key", "twice", "syntax", "missing", "reference", "variable"])
        if kind_of_fault == "value":
            value = wrong_value(kind, draw)
            if value is not None:
                yield with_setting(text, key, value), key
        elif kind_of_fault == "key":
            wrong = misspelt(key, draw)
            yield with_setting(text, wrong, "1"), wrong
        elif kind_of_fault == "twice":
            line = draw.choice([line for line in text.splitlines() if " = " in line])
            yield text.replace(line, line + "\n" + line, 1), "." + line.split(" = ")[0]
        elif kind_of_fault == "syntax":
            lines = text.splitlines()
            at = draw.randrange(len(lines))
            lines.insert(at, draw.choice(["nonsense", "[unlearn", "= 3", 'title = "open', "[]"]))
            yield "\n".join(lines) + "\n", f"line {at + 1}"
        elif kind_of_fault == "missing":
            name = draw.choice(needed)
            yield re.sub(rf"^{name} = .*\n", "", text, count=1, flags=re.M), name
        elif kind_of_fault == "reference":
            wrong = draw.choice(["models.template", "models.targets", "models.unlearn_template", "models.unlearn_targets", "deltas.instruct",
                                 "deltas.unlearn", "delta.d.start", "judge.model"])
            yield with_setting(text, wrong, "nobody"), wrong
        else:
            yield with_setting(text, "data.tofu", draw.choice(["${CMC_NO_SUCH}/x", "${world}/x", "${open"])), "data.tofu"


def test_one_fault_each(world, keys, tmp_path):
    root, experiment = world
    text, draw = experiment.read_text().strip() + "\n", random.Random(4)
    source = faults(text, keys, draw)
    for number in range(200):
        content, named = next(source)
        file, output = tmp_path / f"faulty{number}.ini", tmp_path / "out"
        file.write_text(content)
        error = cmc(draw.choice(["plan", "run"]), file, "--output", output, expect=78).stderr
        assert file.name in error and named in error, (named, error, content)
        assert not (output / "units").exists() and not (output / "experiment.ini").exists()
