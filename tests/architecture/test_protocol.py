"""docs/protocol.md and those who cite it: a heading that is cited is a heading there, a fault that is cited has a number there."""

import re
import subprocess

from layer_table import ROOT

PAGE = ROOT / "docs/protocol.md"
COMMENT = re.compile(r"\s*\n\s*(//|#|;|\*)?\s*")  # a citation may go on in the next line of a comment
HEADING = re.compile(r'protocol(?:\'s|\.md)?[,:]? "([^"]+)"', re.IGNORECASE)
FAULT = re.compile(r"\bfaults? (\d+)\b")


def headings(text):
    return set(re.findall(r"^#+ (.*)$", text, re.MULTILINE))


def faults(text):
    part = text.split("## Faults of the published code")[1]
    return [int(number) for number in re.findall(r"^(\d+)\. ", part, re.MULTILINE)]


def citations(text):
    """(headings, numbers of faults) that a file cites"""
    text = COMMENT.sub(" ", text)
    return HEADING.findall(text), [int(number) for number in FAULT.findall(text)]


def tracked():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    kinds = (".hpp", ".cpp", ".cu", ".py", ".md", ".ini")
    return [n for n in names if n.endswith(kinds) and not n.startswith("tests/architecture/") and (ROOT / n).is_file()]


def test_citations_are_found():
    assert citations('// as the paper (protocol,\n  // "Before\n// unlearning" and fault 3)') == (["Before unlearning"], [3])
    assert citations('"""The protocol\'s "Decoding"."""') == (["Decoding"], [])


def test_the_page_numbers_its_faults():
    found = faults(PAGE.read_text())
    assert len(found) >= 6 and found == list(range(1, len(found) + 1))
    for number, fault in zip(found, re.split(r"^\d+\. ", PAGE.read_text().split("## Faults of the published code")[1], flags=re.MULTILINE)[1:]):
        assert "*Here*:" in fault, f"fault {number}: what is done instead is said"


def test_every_citation_exists():
    known, numbers = headings(PAGE.read_text()), set(faults(PAGE.read_text()))
    wrong, found = [], 0
    for name in tracked():
        cited, cited_faults = citations((ROOT / name).read_text())
        found += len(cited) + len(cited_faults)
        wrong += [f'{name}: protocol, "{one}"' for one in cited if one not in known]
        wrong += [f"{name}: fault {one}" for one in cited_faults if one not in numbers]
    assert found >= 20, "the code cites the page"
    assert not wrong, "docs/protocol.md has no such heading or fault:\n" + "\n".join(wrong)
