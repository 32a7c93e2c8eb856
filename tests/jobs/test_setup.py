"""jobs/setup.sh and jobs/build.sh on machines that this one is not: programs of the system are stood in for by what PATH names."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(os.environ["CMC_SOURCE"])
TOOLS = ["bash", "sh", "env", "dirname", "basename", "cat", "cmp", "cp", "grep", "head", "ln", "mkdir", "sed", "sort"]
HERE = ["cmake", "ccache", "git", "libhdf5-dev"]  # what the made-up machine has


@pytest.fixture
def machine(tmp_path):
    """A machine whose PATH holds plain tools and what `add` puts there; `ran` is what was run of that, a line each."""
    return Machine(tmp_path)


class Machine:
    def __init__(self, folder):
        self.bin, self.log, self.venv = folder / "bin", folder / "log", folder / "venv"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(subprocess.check_output(["bash", "-c", f"command -v {tool}"], text=True).strip())
        # Neither LibTorch nor an index of packages is asked for.
        self.environment = {"PATH": str(self.bin), "HOME": str(folder), "Torch_DIR": str(folder), "CMC_VENV": str(self.venv)}

    def add(self, name, body):
        file = self.bin / name
        file.write_text(f'#!/bin/bash\necho "{name} $*" >> {self.log}\n{body}\n')
        file.chmod(0o755)

    def debian(self, user, gcc="12", python="3.11"):
        self.add("id", f"echo {user}")
        self.add("dpkg-query", f'case " {" ".join(HERE)} " in *" ${{@: -1}} "*) echo "ii ";; *) exit 1;; esac')
        self.add("apt-get", "")
        self.add("apt-cache", f"echo '{{}}'; [ $2 = g++ ] && echo '  Depends: g++-{gcc}'; echo '  Depends: python{python}'")

    def run(self, script, *arguments, **more):
        return subprocess.run([ROOT / "jobs" / script, *arguments], env={**self.environment, **more}, capture_output=True, text=True)

    def ran(self, name):
        return [line for line in self.log.read_text().splitlines() if line.startswith(name + " ")]


def asked_for(line):
    return set(line[line.index("install "):].split()[1:])


def test_without_root_one_line_for_an_administrator(machine):
    machine.debian(user=1000)
    done = machine.run("setup.sh", "--tests")
    assert done.returncode == 66
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and "administrator" in lines[0], done.stderr
    missing = asked_for(lines[0])
    assert {"g++", "ninja-build", "libopenmpi-dev", "libgtest-dev", "slurmctld"} <= missing and not missing & set(HERE)
    assert not machine.ran("apt-get") and not machine.venv.exists()


def test_sudo_without_a_password_installs(machine):
    machine.debian(user=1000)
    machine.add("sudo", 'shift; "$@"')
    done = machine.run("setup.sh")
    assert done.returncode == 0, done.stderr
    update, install = machine.ran("apt-get")
    assert "update" in update and {"g++", "libpcre2-dev"} <= asked_for(install) and not asked_for(install) & set(HERE)


def test_sudo_that_asks_for_a_password_is_no_root(machine):
    machine.debian(user=1000)
    machine.add("sudo", "exit 1")
    assert machine.run("setup.sh").returncode == 66 and not machine.ran("apt-get")


def test_nothing_is_installed_where_all_is_there(machine):
    machine.debian(user=1000)
    machine.add("dpkg-query", "echo 'ii '")
    done = machine.run("setup.sh")
    assert done.returncode == 0 and done.stderr == "setup: ready\n" and not machine.ran("apt-get")


@pytest.mark.parametrize("gcc, python, newer", [
    ("11", "3.10", {"g++-12", "python3.11-venv", "python3.11-dev"}),  # Ubuntu 22.04
    ("12", "3.11", set()), ("13", "3.12", set()), ("9", "3.8", {"g++-12", "python3.11-venv", "python3.11-dev"})])
def test_newer_compiler_and_python_where_the_release_has_old_ones(machine, gcc, python, newer):
    machine.debian(user=0, gcc=gcc, python=python)
    assert machine.run("setup.sh").returncode == 0
    every = {"g++-12", "python3.11-venv", "python3.11-dev"}
    assert asked_for(machine.ran("apt-get")[-1]) & every == newer


def test_an_installed_compiler_counts_before_what_would_be_installed(machine):
    machine.debian(user=0, gcc="11")
    machine.add("g++", "echo 13")
    assert machine.run("setup.sh").returncode == 0 and "g++-12" not in asked_for(machine.ran("apt-get")[-1])


def test_a_named_compiler_needs_no_other(machine):
    machine.debian(user=0, gcc="11")
    assert machine.run("setup.sh", CXX="clang++-16").returncode == 0
    assert "g++-12" not in asked_for(machine.ran("apt-get")[-1])


def test_the_virtual_environment_takes_the_newer_python(machine):
    machine.debian(user=0)
    machine.add("python3", "echo 3.10")
    machine.add("python3.11", 'mkdir -p "$3/bin"; ln -s /bin/true "$3/bin/python"')
    machine.environment.pop("Torch_DIR")
    done = machine.run("setup.sh")
    assert done.returncode == 0, done.stderr
    assert machine.ran("python3.11") == [f"python3.11 -m venv {machine.venv}"]


def test_not_debian_says_what_to_provide(machine):
    done = machine.run("setup.sh")
    assert done.returncode == 0, done.stderr
    for need in ["not a Debian system", "g++ 12", "CMake", "Open MPI", "HDF5", "SentencePiece", "PCRE2", "jobs/container"]:
        assert need in done.stderr


@pytest.mark.parametrize("gcc, more, named, taken", [
    ("11", ["g++-12"], {}, "g++-12"), ("11", ["g++-12", "g++-13"], {}, "g++-13"), ("12", ["g++-13"], {}, ""), ("12.2.0", [], {}, ""),
    ("11", ["g++-12"], {"CXX": "clang++"}, "clang++")])
def test_which_compiler_builds(machine, gcc, more, named, taken):
    machine.add("g++", f"echo {gcc}")
    for compiler in more:
        machine.add(compiler, "")
    machine.add("cmake", f'echo "cmake with <${{CXX:-}}>" >> {machine.log}')
    assert machine.run("build.sh", **named).returncode == 0
    assert f"cmake with <{taken}>" in machine.ran("cmake")


def test_no_compiler_is_an_error_with_its_remedy(machine):
    machine.add("g++", "echo 11")
    machine.add("cmake", "")
    done = machine.run("build.sh")
    assert done.returncode == 66 and "jobs/setup.sh" in done.stderr and "CXX" in done.stderr and not machine.log.read_text().count("cmake")
