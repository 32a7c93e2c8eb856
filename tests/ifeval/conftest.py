import json
import os
import pathlib
import subprocess

import pytest


class Probe:
    def __init__(self, folder):
        program = pathlib.Path(os.environ["CMC_BIN"]) / "probe_ifeval"
        self.process = subprocess.Popen([program, folder / "input_data.jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, **request):
        self.process.stdin.write((json.dumps({"op": op, **request}) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"probe_ifeval died of {op}"
        return json.loads(line)

    def value(self, op, **request):
        answer = self.ask(op, **request)
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    running = Probe(tmp_path_factory.mktemp("ifeval"))
    yield running
    running.close()
