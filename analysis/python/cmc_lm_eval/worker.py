"""`cmc serve --stdio` as a child process: a line of JSON out for each line in. The messages: docs/benchmarks.md."""

import collections
import json
import subprocess
import sys
import threading

PROTOCOL = 1


class WorkerError(RuntimeError):
    """What the worker answered a request that it could not do; it goes on. `where`, `what`, `remedy`, `code`: its own."""

    def __init__(self, where="", what="", remedy="", code=0):
        super().__init__(f"{where}: {what}" + (f" ({remedy})" if remedy else ""))
        self.where, self.what, self.remedy, self.code = where, what, remedy, code


class WorkerEnded(RuntimeError):
    """The process is gone, with what it said last."""


class Worker:
    def __init__(self, command):
        """`command`: program and arguments. Returns when the model is loaded; `greeting` says what it is."""
        self._said = collections.deque(maxlen=20)  # last lines of standard error
        self._asked = 0
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         encoding="utf-8", errors="replace")
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.greeting = self._read()
        if self.greeting.get("protocol") != PROTOCOL:
            self.close()
            raise WorkerEnded(f"{command[0]} speaks protocol {self.greeting.get('protocol')}, this package {PROTOCOL}: "
                              "take both from one version")

    def ask(self, method, requests):
        """The answers to `requests` (dictionaries of `method`), in their order."""
        self._asked += 1
        try:
            self._process.stdin.write(json.dumps({"id": self._asked, "method": method, "requests": requests}) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            self._fail()
        reply = self._read()
        if reply.get("id") not in (self._asked, None):
            raise WorkerEnded(f"request {self._asked} was given the answer to {reply['id']}")
        if "error" in reply:
            raise WorkerError(**reply["error"])
        return reply["answers"]

    def close(self):
        """Ends the process: its exit code."""
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:  # it was gone before
                pass
        code = self._process.wait()
        self._listener.join()
        self._process.stderr.close()
        return code

    def _listen(self):
        for line in self._process.stderr:
            self._said.append(line.rstrip("\n"))
            print(line, end="", file=sys.stderr)

    def _read(self):
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            self._fail()
        return json.loads(line)

    def _fail(self):
        code = self._process.wait()
        self._listener.join()
        said = "\n".join(self._said) or "it said nothing"
        raise WorkerEnded(f"{' '.join(map(str, self._process.args))} ended with {code}: {said}") from None
