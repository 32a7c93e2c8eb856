"""Every C++ file as clang-format writes it (.clang-format): that of jobs/requirements-test.txt, since each version writes its own."""

import subprocess
import sys
from pathlib import Path

from layer_table import FOLDERS, ROOT, sources


def test_formatted():
    program = Path(sys.executable).with_name("clang-format")
    assert program.exists(), f"{program} is missing: jobs/setup.sh --tests installs it"
    files = list(sources(*FOLDERS, "tests"))
    assert files
    done = subprocess.run([program, "--dry-run", "--Werror", *files], capture_output=True, text=True)
    wrong = sorted({line.split(":")[0].removeprefix(f"{ROOT}/") for line in done.stderr.splitlines() if "[-Wclang-format" in line})
    assert not wrong, f"run {program} -i on\n" + "\n".join(wrong)
    assert done.returncode == 0, done.stderr
