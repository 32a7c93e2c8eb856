"""Runs probe_faults, on a disk that fails on demand where asked."""

import json
import os
import signal
import subprocess
from pathlib import Path

BIN = Path(os.environ["CMC_BIN"])
PROBE = BIN / "probe_faults"
KILLED = -signal.SIGKILL


def probe(*arguments, fault=None):
    environment = {**os.environ, **(fault or {})}
    return subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=60)


def must(*arguments):
    done = probe(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def fault(folder, call, nth, how, mark, onward=False):
    """The environment for a disk whose `nth` `call` below `folder` fails; `mark` then exists."""
    [injector] = BIN.glob("libfault_injector.*")
    preload = ":".join(filter(None, [os.environ.get("LD_PRELOAD"), str(injector)]))
    return {"LD_PRELOAD": preload, "FAULT_FOLDER": str(folder), "FAULT_CALL": call, "FAULT_NTH": str(nth), "FAULT_HOW": how,
            "FAULT_MARK": str(mark), "FAULT_ONWARD": "1" if onward else "0"}


def temporaries(folder):
    return [path for path in Path(folder).rglob(".*.tmp")]
