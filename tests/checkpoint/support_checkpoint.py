"""A running probe_checkpoint."""

import json
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(os.environ["CMC_SOURCE"])


class Probe:
    def __init__(self):
        program = pathlib.Path(os.environ["CMC_BIN"]) / "probe_checkpoint"
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, **request):
        self.process.stdin.write((json.dumps({"op": op, **request}) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"probe_checkpoint died of {op}"
        return json.loads(line)

    def value(self, op, **request):
        answer = self.ask(op, **request)
        assert "error" not in answer, answer
        return answer

    def refused(self, op, code, *words, **request):
        answer = self.ask(op, **request)
        assert answer.get("code") == code, answer
        for word in words:
            assert word in answer["error"], answer
        return answer["error"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0
