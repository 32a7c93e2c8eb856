"""What a rule does not hold for yet: exceptions.txt, a line "rule: path" each. It is meant to be emptied."""

from layer_table import ROOT


def exceptions(rule):
    """Beginnings of paths, as a tuple."""
    lines = (ROOT / "tests/architecture/exceptions.txt").read_text().splitlines()
    rules = dict.fromkeys(line.split(": ", 1)[0] for line in lines if line and not line.startswith("#"))
    assert set(rules) <= {"format", "loops"}, f"exceptions.txt names a rule that there is not: {sorted(rules)}"
    found = tuple(line.split(": ", 1)[1] for line in lines if line.startswith(f"{rule}: "))
    for path in found:
        assert any(ROOT.glob(path.rstrip("/") + "*")), f"exceptions.txt: {path} is no more; delete its line"
    return found
