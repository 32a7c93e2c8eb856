"""JSON is text: it is read from files and written to them, hashed into keys, and printed. In between stand structs."""

import re

from layer_table import ROOT, sources

NAMED = re.compile(r"\bJson\b|nlohmann")
# Beginning of a path in stages or analysis → what its JSON is.
TEXT = {
    "stages/verbs/": "what a program prints, and the JSON-lines that it reads",
    "stages/bench/": "what cmc bench prints",
    "stages/serving/": "the lines that cmc serve reads and writes",
    "stages/planning/absent_inputs": "parameters of a task, searched for what is absent",
    "stages/planning/known_shapes.cpp": "config.json",
    "stages/planning/task_seeds.cpp": "the key of a task",
    "stages/planning/made_models.cpp": "config.json",
    "stages/running/output_folder": "plan.json, environment.json",
    "stages/running/run_experiment.cpp": "environment.json, what rank 0 broadcasts",
    "stages/running/simulated_runs": "what cmc plan --simulate prints",
    "analysis/report.cpp": "environment.json",
    "analysis/html_page.cpp": "environment.json",
}


def test_json_stays_where_text_is():
    named = {file.relative_to(ROOT).as_posix() for file in sources("stages", "analysis") if NAMED.search(file.read_text())}
    wrong = sorted(name for name in named if not name.startswith(tuple(TEXT)))
    assert not wrong, "give these a struct with fields (pipeline/records/fields.hpp):\n" + "\n".join(wrong)
    unused = [begin for begin in TEXT if not any(name.startswith(begin) for name in named)]
    assert not unused, f"no JSON there: {unused}"
