"""What systems, columns and metrics are called is written down once, in pipeline/records; other code asks the declaration.

A literal may say the same and mean something else (a field of a published file, a flag): those stand below with what they are."""

import re
from collections import Counter

from layer_table import ROOT, sources

RECORDS = ROOT / "pipeline" / "records"
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
# Beginning of a path → literals that are something else there.
OTHER_THINGS = {
    "pipeline/core/log.cpp": {"cmc"},  # the program
    "pipeline/core/provenance.cpp": {"cmc"},
    "pipeline/store/unit_group.cpp": {"cmc"},
    "pipeline/data/": {"question", "answer", "fact"},  # fields of data files
    "pipeline/data/open_unlearning_log.cpp": {"forget_quality", "exact_memorization", "extraction_strength", "mia_loss", "mia_zlib", "mia_min_k",
                                              "mia_min_k_plus_plus", "mia_reference", "privleak"},  # metrics of its log
    "pipeline/data/ifeval.cpp": {"prompt"},
    "pipeline/distributed/": {"stopped"},  # a run's outcome
    "pipeline/decode/generate.cpp": {"length"},  # why a text ended
    "pipeline/decode/score.cpp": {"prompt"},  # errors
    "pipeline/fusion/steered_contexts.cpp": {"prompt"},
    "pipeline/metrics/tofu.cpp": {"answer"},
    "pipeline/model/lora.cpp": {"alpha"},  # LoRA's
    "pipeline/text/property_members.cpp": {"alpha"},  # a Unicode property
    "pipeline/train/check_training.cpp": {"learning_rate"},  # settings
    "pipeline/train/trainer.cpp": {"alpha", "steps"},
    "pipeline/world/files.cpp": {"question", "answer", "prompt", "full"},  # fields of data files; TOFU's set of all authors
    "pipeline/world/format.cpp": {"fact"},  # kind of check in a data file
    "stages/experiment/sections.hpp": {"prompt", "unmapped", "loss"},  # keys of an experiment file
    "stages/experiment/training_sections.hpp": {"steps", "learning_rate", "loss"},
    "stages/instruct.cpp": {"fact"},  # kind of check in a data file
    "stages/running/run_log.cpp": {"stopped"},
    "stages/verbs/bench.cpp": {"steps"},  # flags and fields of JSON
    "stages/verbs/export.cpp": {"rouge1_recall", "prompt", "response"},  # fields of TOFU's log, of IFEval's responses
    "stages/verbs/open_unlearning_export.cpp": {"rouge1_recall", "forget_quality"},  # a field and a metric of its log
    "stages/verbs/generate.cpp": {"prompt"},
    "stages/verbs/import.cpp": {"probability"},  # a heading
    "stages/verbs/map.cpp": {"match", "candidates", "unmapped", "inexact", "exact"},
    "stages/verbs/model_options.cpp": {"alpha", "unmapped", "contrast"},
    "stages/verbs/score.cpp": {"prompt", "answer"},
    "stages/verbs/system_choice.cpp": {"alpha", "unmapped"},
    "stages/verbs/tofu_figures.cpp": {"truth_ratio", "forget_quality"},  # fields by mean
}


def declared():
    """(kind, name, row) of every declaration in pipeline/records; row: of a column, else ""."""
    found = [("method", name, "") for name in re.findall(r'MethodTraits\{\s*\.method = \S+\s*\.name = "(\w+)"', (RECORDS / "method.hpp").read_text())]
    for struct in re.split(r"\nstruct ", (RECORDS / "rows.hpp").read_text())[1:]:
        row = struct.split(" ", 1)[0]
        found += [("column", name, row) for name in re.findall(r'column\(\s*&Row::\w+,\s*\{\s*"(\w+)"', struct)]
    header = (RECORDS / "metric.hpp").read_text()
    constants = LITERAL.findall(header[header.index("namespace metric {"):])
    found += [("metric", name, "") for name in constants if re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    for file in sorted(RECORDS.glob("*_metrics.cpp")):
        found += [("metric", name, "") for name in re.findall(r'\.name = "(\w+)"', file.read_text())]
    return found


def test_each_name_is_declared_once():
    """Rows of two stages may each have a column of one name."""
    kinds = Counter(kind for kind, _, _ in declared())
    assert kinds["method"] >= 7 and kinds["column"] >= 45 and kinds["metric"] >= 30, "the patterns find them"
    twice = [one for one, count in Counter(declared()).items() if count > 1]
    assert not twice, twice


def test_no_other_code_writes_a_name_down():
    every = {name for _, name, _ in declared()}
    wrong, needed = [], set()
    for file in sources():
        path = file.relative_to(ROOT).as_posix()
        if path.startswith("pipeline/records/"):
            continue
        allowed = {(start, name) for start, names in OTHER_THINGS.items() if path.startswith(start) for name in names}
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line.lstrip().startswith(("//", "#include")):
                continue
            for name in set(LITERAL.findall(line.split(" // ")[0])) & every:
                entries = {entry for entry in allowed if entry[1] == name}
                needed |= entries
                if not entries:
                    wrong.append(f"{path}:{number}: {line.strip()[:100]}")
    assert not wrong, "ask pipeline/records for the name, or say above what else it is:\n" + "\n".join(wrong)
    unused = {(start, name) for start, names in OTHER_THINGS.items() for name in names} - needed
    assert not unused, f"no longer there: {sorted(unused)}"
