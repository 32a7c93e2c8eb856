"""A running probe_checkpoint."""

import os
import pathlib

from line_probe import LineProbe

SOURCE = pathlib.Path(os.environ["CMC_SOURCE"])


class Probe(LineProbe):
    def __init__(self):
        super().__init__("probe_checkpoint")

    def refused(self, op, code, *words, **request):
        answer = self.ask(op, **request)
        assert answer.get("code") == code, answer
        for word in words:
            assert word in answer["error"], answer
        return answer["error"]
