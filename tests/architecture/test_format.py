"""Every C++ file as clang-format writes it (.clang-format)."""

import shutil
import subprocess

from layer_table import FOLDERS, ROOT, sources


def test_formatted():
    assert shutil.which("clang-format"), "clang-format is missing: jobs/setup.sh --tests installs it"
    files = list(sources(*FOLDERS, "tests"))
    assert files
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], capture_output=True, text=True)
    wrong = sorted({line.split(":")[0].removeprefix(f"{ROOT}/") for line in done.stderr.splitlines() if "[-Wclang-format" in line})
    assert not wrong, "run clang-format -i on\n" + "\n".join(wrong)
    assert done.returncode == 0, done.stderr
