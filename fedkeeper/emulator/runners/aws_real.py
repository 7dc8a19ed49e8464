"""AWS's own runtime client: `python -m awslambdaric`, a child that asks a Runtime API on loopback for invocations.

    run(event) --> queue --GET .../invocation/next--> awslambdaric --> handler
              <-- queue <--POST .../response | .../error | init/error--

The Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from fedkeeper_process import Child
from fedkeeper_runner import FOLDER, Answer, InitError, describe, done, failed

PREFIX = "/2018-06-01/runtime"


class Invocation(NamedTuple):
    request_id: str
    deadline_ms: int
    arn: str
    event: bytes


class Said(NamedTuple):
    what: str  # "response", "error", "init"
    body: bytes


class RuntimeApi(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.invocations: queue.SimpleQueue[Invocation] = queue.SimpleQueue()
        self.said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: 40 ms less for each invocation
    disable_nagle_algorithm = True
    server: RuntimeApi

    def do_GET(self) -> None:
        invocation = self.server.invocations.get()
        self.send_response(200)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Content-Type": "application/json",
            "Content-Length": str(len(invocation.event)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(invocation.event)

    def do_POST(self) -> None:
        body = self._body()
        what = "init" if self.path.endswith("/init/error") else self.path.rpartition("/")[2]
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        self.server.said.put(Said(what, body))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, *_: object) -> None:
        """The function's log is not the place."""


class Runtime:
    """The client and its API, started when first needed and again when the client has died."""

    def __init__(self) -> None:
        self.child: Child | None = None
        self.api: RuntimeApi | None = None

    def need(self, params: dict[str, Any]) -> tuple[Child, RuntimeApi]:
        if self.child is None or self.api is None or not self.child.alive:
            if importlib.util.find_spec("awslambdaric") is None:
                raise InitError("awslambdaric is not installed here: pip install awslambdaric")
            self.stop()
            self.api = RuntimeApi()
            address = f"127.0.0.1:{self.api.server_address[1]}"
            environment = {"AWS_LAMBDA_RUNTIME_API": address, "LAMBDA_TASK_ROOT": FOLDER, "PYTHONUNBUFFERED": "1"}
            self.child = Child(["-m", "awslambdaric", params["entry"]], environment, params["memory_mb"])
        return self.child, self.api

    def stop(self) -> None:
        if self.child is not None:
            self.child.kill()
        if self.api is not None:
            self.api.shutdown()
            self.api.server_close()


runtime = Runtime()


def run(params: dict[str, Any], request: bytes) -> Answer:
    try:
        child, api = runtime.need(params)
    except InitError as exc:
        return failed("init", describe(exc))
    account, _, region = params["scope"].rpartition("/")
    request_id = str(uuid.UUID(os.environ["FEDKEEPER_ACTIVATION_ID"]))
    arn = f"arn:aws:lambda:{region}:{account}:function:{params['name']}"
    deadline = int((time.time() + params["timeout_s"]) * 1000)
    api.invocations.put(Invocation(request_id, deadline, arn, request or b"{}"))
    said = _wait(child, api)
    if said is None:
        if child.out_of_memory:
            return failed("memory", "used more memory than its limit")
        text = f"RequestId: {request_id} Error: Runtime exited with {child.end}"
        answer = json.dumps({"errorMessage": text, "errorType": "Runtime.ExitError"}).encode()
        return failed("crash", text, answer)
    if said.what == "response":
        return done(said.body)
    if said.what == "init":
        runtime.stop()  # it is ending; the next activation begins with a new one
        return failed("init", _message(said.body), said.body)
    return failed("handler", _message(said.body), said.body)


def _wait(child: Child, api: RuntimeApi) -> Said | None:
    """What the runtime says, None when it ended without a word."""
    while True:
        alive = child.alive
        try:
            return api.said.get(timeout=0.02 if alive else 0.2)
        except queue.Empty:
            if not alive:
                return None


def _message(body: bytes) -> str:
    try:
        error = json.loads(body)
        return f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return "the function failed"
