"""The progress of `cmc run`: one line that is redrawn on a terminal, whole lines in a log."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from support_pipeline import make_world, mpi

ERASE = "\r\x1b[K"


def on_a_terminal(columns, *command, **environment):
    """What stderr shows on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    run = subprocess.Popen(list(map(str, command)), stderr=theirs, stdout=subprocess.DEVNULL, env=mpi.environment(TERM="xterm", **environment))
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # its other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert run.wait() == 0, shown.decode()
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_has_one_line_that_fits(tmp_path):
    shown = on_a_terminal(60, mpi.program("cmc"), "run", make_world(tmp_path), "--output", tmp_path / "out", NO_COLOR="1")
    drawn = [part.split("\n")[0] for part in shown.split(ERASE) if part.startswith("[")]
    assert drawn and max(map(len, drawn)) <= 59 and all(re.match(r"\[[#.]{20}\] \d+/\d+ tasks", line) for line in drawn)
    assert all("\n" not in part for part in shown.split(ERASE) if part.startswith("[")), "it is never left behind"
    above = [line for part in shown.split(ERASE) if not part.startswith("[") for line in part.split("\n") if line]
    assert above and all(re.match(r"(info|warning) ", line) for line in above), above
    assert any(line.startswith("info done ") for line in above) and shown.rstrip("\n").split(ERASE)[-1][:1] != "["


def test_a_log_has_whole_lines(tmp_path):
    run = subprocess.run([mpi.program("cmc"), "run", make_world(tmp_path), "--output", tmp_path / "out"], capture_output=True, text=True,
                         env=mpi.environment())
    assert run.returncode == 0 and "\r" not in run.stderr and "\x1b" not in run.stderr
    assert re.search(r"^info \d+/\d+ tasks, \d+ %, \d:\d\d:\d\d gone", run.stderr, re.MULTILINE)
