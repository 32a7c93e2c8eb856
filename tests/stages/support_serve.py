"""Systems that `cmc serve` answers for, as transformers computes them; a worker, asked line by line."""

import json
import subprocess
import sys

import torch
from support_pipeline import HERE, mpi

sys.path.insert(0, str(HERE.parent / "differential"))
import published  # noqa: E402

torch.set_num_threads(1)
END = {"byte": [0], "other": [2]}
SYSTEMS = {"alone": ("base", None, 0), "same vocabulary": ("base", "same", 0.7), "another vocabulary": ("base", "other", 1.5),
           "another base": ("other", "base", 0.5), "two vocabularies": ("base", ["same", "other"], [0.7, -0.8])}


def options_of(folders, system):
    base, delta, alpha = SYSTEMS[system]
    deltas, alphas = (delta, alpha) if isinstance(delta, list) else ([delta] if delta else [], [alpha])
    return ["--model", folders[base], *(text for one, strength in zip(deltas, alphas)
                                        for text in ("--delta", folders[one], f"--alpha={strength}"))]


class Reference:
    """A system over transformers."""

    def __init__(self, folders, system):
        base, delta, self.alpha = SYSTEMS[system]
        self.model, self.tokenizer = published.load_model(folders[base]), published.load_tokenizer(folders[base])
        self.ends = END["other" if base == "other" else "byte"]
        self.delta = [self.delta_of(folders, base, one) for one in (delta if isinstance(delta, list) else [delta] if delta else [])]

    def delta_of(self, folders, base, name):
        delta = published.Delta([published.Part(published.load_model(folders[name]))])
        if (base == "other") != (name == "other"):
            delta.tokenizer = published.load_tokenizer(folders[name])
            roles = [(1, 1), (0, 2)] if name == "other" else [(1, 1), (2, 0)]  # begin, end
            delta.token_map = published.pm_mined(self.tokenizer, delta.tokenizer, roles)
        return delta

    def score(self, context, continuation, longest=1024):
        """As lm_eval's HFLM cuts texts into tokens."""
        words = context.rstrip()
        first = self.tokenizer.encode(words).ids
        whole = self.tokenizer.encode(context + continuation).ids
        cut = max(0, len(whole) - longest - 1)
        return published.score_ids(self.model, self.tokenizer, whole[cut:], len(first) - cut, self.delta, self.alpha)


class Served:
    def __init__(self, *options, command=None):
        self.process = subprocess.Popen([*(command or [mpi.program("cmc")]), "serve", "--stdio", *options], env=mpi.environment(),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode()
        self.greeting = json.loads(line)

    def line(self, text):
        self.process.stdin.write(text if isinstance(text, bytes) else text.encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, method, requests, number=1):
        reply = self.line(json.dumps({"id": number, "method": method, "requests": requests}))
        assert reply.keys() == {"id", "answers"} and reply["id"] == number, reply
        return reply["answers"]

    def refused(self, method, requests):
        reply = self.line(json.dumps({"id": "x", "method": method, "requests": requests}))
        assert reply.keys() == {"id", "error"} and reply["id"] == "x", reply
        return reply["error"]

    def end(self):
        rest, said = self.process.communicate(timeout=60)
        assert not rest
        return self.process.returncode, said.decode()
