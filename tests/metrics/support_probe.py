"""What tests ask of probe_metrics (line_probe.py) with."""

import json
import math

import made_data
import outside


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
