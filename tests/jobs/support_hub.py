"""A small HTTP server on this machine that answers as the hub does (api/…/revision, resolve/… with Range), and as a
plain server of files. It can break connections, answer with other bytes, and notes what it is asked."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    def __init__(self):
        self.repositories = {}  # ("model", "owner/name") → {file: bytes}
        self.large = set()  # names of files kept as LFS
        self.plain = {}  # path → bytes, outside of repositories
        self.gated = set()
        self.broken_after = {}  # file → bytes after which a connection hangs until `release`
        self.altered = {}  # file → bytes that are sent instead
        self.asked = []  # (method, path, Range)
        self.headers = []  # of each request
        self.sent_on = {}  # file → address that a request for it is redirected to
        self.always_broken = False  # every file is cut off before its first byte
        self.release = threading.Event()
        self.sent = threading.Event()  # a connection hangs now
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                hub.answer(self, True)

            def do_HEAD(self):
                hub.answer(self, False)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler, body):
        path = handler.path.split("?")[0]
        self.asked.append((handler.command, path, handler.headers.get("Range")))
        self.headers.append(dict(handler.headers))
        api = re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)(/revision/[^/]+)?", path)
        resolve = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if api and (api[1], api[2]) in self.repositories:
            return self.send(handler, json.dumps(self.facts(api[1], api[2])).encode(), {"Content-Type": "application/json"}, body)
        if resolve:
            repository = ("dataset" if resolve[1] else "model", resolve[2])
            if resolve[2] in self.gated:
                return self.refuse(handler, 403, "GatedRepo")
            if resolve[4] in self.sent_on:
                return self.refuse(handler, 302, "", Location=self.sent_on[resolve[4]])
            if resolve[4] in self.repositories.get(repository, {}):
                return self.send_file(handler, resolve[4], self.repositories[repository][resolve[4]], body)
        if path[1:] in self.plain:
            return self.send_file(handler, path[1:], self.plain[path[1:]], body)
        self.refuse(handler, 404, "RepoNotFound")

    def facts(self, kind, name):
        siblings = []
        for file, data in self.repositories[(kind, name)].items():
            one = {"rfilename": file, "size": len(data), "blobId": git_hash(data)}
            if file in self.large:
                one["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(one)
        return {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": {"license": "made-up-1.0"}, "tags": [], "private": False,
                "downloads": 0, "likes": 0}

    def refuse(self, handler, status, code, **more):
        handler.send_response(status)
        for name, value in {"X-Error-Code": code, "X-Error-Message": code, "Content-Length": "0", **more}.items():
            handler.send_header(name, value)
        handler.end_headers()

    def send(self, handler, data, headers, body):
        handler.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if body:
            handler.wfile.write(data)

    def send_file(self, handler, name, data, body):
        data = self.altered.get(name, data)
        start = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range") or "")
        begin = int(start[1]) if start else 0
        if begin >= len(data) > 0:
            return self.refuse(handler, 416, "")
        handler.send_response(206 if start else 200)
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(len(data) - begin)}
        if start:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.end_headers()
        if not body:
            return
        stop = begin if self.always_broken else self.broken_after.pop(name, None)
        handler.wfile.write(data[begin:stop if stop is not None else len(data)])
        if stop is not None:
            handler.wfile.flush()
            self.sent.set()
            self.release.wait(60)
            handler.close_connection = True
