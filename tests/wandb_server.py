"""As much of W&B's server as a run needs, on this machine, and able to misbehave."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"id": "p", "name": "kindling", "entity": {"id": "e", "name": "me"}}


class Server(ThreadingHTTPServer):
    """`mode`: ok; failing (answers 500); hanging (accepts, never answers); slow (an answer after two seconds); closed
    (knows no key); then_hanging (answers once).
    """

    daemon_threads = True

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.lines: dict[int, dict[str, Any]] = {}  # of the history, by offset: what is sent again counts once
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # of a client that has given up
            super().handle()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        while self.server.mode == "hanging":
            time.sleep(0.05)
        if self.server.mode == "slow":
            time.sleep(2)
        code = {"failing": 500, "closed": 401}.get(self.server.mode, 200)
        self.send_response(code)
        content = json.dumps(self.content(body)).encode() if code == 200 else b""
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if self.server.mode == "then_hanging":
            self.server.mode = "hanging"

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def content(self, body: bytes) -> dict[str, Any]:
        if self.path.endswith("/file_stream"):
            history = json.loads(body).get("files", {}).get("wandb-history.jsonl", {"content": []})
            for offset, line in enumerate(history["content"], history.get("offset", 0)):
                self.server.lines[offset] = json.loads(line)
            return {"exitcode": None, "limits": {}}
        if self.path != "/graphql":
            return {}
        asked = json.loads(body)
        query, variables = asked["query"], asked.get("variables") or {}
        if "UpsertBucket" in query:
            bucket = {"id": "b", "name": variables["name"], "displayName": "run", "config": "{}", "project": PROJECT}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if "CreateRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.server.url}/{name}"} for name in variables["files"]]
            return {"data": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}}
        if "Viewer" in query or "viewer" in query:
            return {"data": {"viewer": {"id": "v", "entity": "me", "username": "me", "flags": "{}"}}}
        return {"data": {}}


@contextmanager
def wandb_server(mode: str = "ok") -> Iterator[Server]:
    server = Server(mode)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
