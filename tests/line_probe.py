"""A probe program that goes on running: one JSON question a line, one JSON answer a line."""

import json
import os
import pathlib
import subprocess


class LineProbe:
    def __init__(self, name, *arguments):
        self.name = name
        program = pathlib.Path(os.environ["CMC_BIN"]) / name
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, **request):
        self.process.stdin.write((json.dumps({"op": op, **request}) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"{self.name} died of {op}"
        return json.loads(line)

    def value(self, op, **request):
        answer = self.ask(op, **request)
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0
