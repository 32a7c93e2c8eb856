"""Tells jobs/test.sh what was left out: a line for each test into the file that CMC_LEFT_OUT names."""

import os


def pytest_terminal_summary(terminalreporter):
    file = os.environ.get("CMC_LEFT_OUT")
    left_out = terminalreporter.stats.get("skipped", [])
    if not file or not left_out:
        return
    with open(file, "a", encoding="utf-8") as out:
        for report in left_out:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            out.write(f"{report.nodeid}\t{reason.removeprefix('Skipped: ')}\n")
