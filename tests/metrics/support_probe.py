"""A running probe_metrics: one JSON question a line, one JSON answer a line."""

import json
import math
import os
import pathlib
import subprocess

import made_data
import outside



class Probe:
    def __init__(self):
        program = pathlib.Path(os.environ["CMC_BIN"]) / "probe_metrics"
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, **request):
        self.process.stdin.write((json.dumps({"op": op, **request}) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"probe_metrics died of {op}"
        return json.loads(line)

    def value(self, op, **request):
        answer = self.ask(op, **request)
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def numbers(values):
    """JSON has no NaN."""
    return [None if math.isnan(v) else float(v) for v in values]


def real_lines(*parts):
    path = outside.data(*parts)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def real_json(*parts):
    path = outside.data(*parts)
    return json.loads(path.read_text(encoding="utf-8"))


def evaluation_prompts(count):
    """AlpacaEval's where it is, else made-up ones."""
    if outside.data_if_there("alpaca_eval", "alpaca_eval.json"):
        return real_json("alpaca_eval", "alpaca_eval.json")[:count]
    return made_data.evaluation_prompts(count)
