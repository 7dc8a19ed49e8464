"""Lambda's Runtime API for one function, so that the vendor's own runtime client runs the zip.

    invoke(event) -> GET /runtime/invocation/next -> awslambdaric -> POST .../response | .../error -> answer

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LIMIT_S = 30.0


class Runtime:
    """What the service's side sees: events go out, ("response" | "error", body) come back."""

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, bytes]] = queue.Queue()

    def invoke(self, event: bytes) -> tuple[str, bytes]:
        self.events.put((str(uuid.uuid4()), event))
        return self.answers.get(timeout=LIMIT_S)


def _handler(runtime: Runtime) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            request_id, event = runtime.events.get()
            deadline = str(int((time.time() + LIMIT_S) * 1000))
            arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
            names = {"Lambda-Runtime-Aws-Request-Id": request_id, "Lambda-Runtime-Deadline-Ms": deadline}
            self._answer(200, event, {**names, "Lambda-Runtime-Invoked-Function-Arn": arn})

        def do_POST(self) -> None:
            runtime.answers.put((self.path.rpartition("/")[2], self._body()))
            self._answer(202, b'{"status": "OK"}', {})

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def real_runtime(folder: Path, entry: str, environment: Mapping[str, str] | None = None) -> Iterator[Runtime]:
    """awslambdaric over `folder`, the unpacked zip."""
    runtime = Runtime()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(runtime))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"
    known = {"AWS_LAMBDA_RUNTIME_API": address, "LAMBDA_TASK_ROOT": str(folder), "PATH": os.environ["PATH"], "HOME": str(folder)}
    command = [sys.executable, "-m", "awslambdaric", entry]
    child = subprocess.Popen(command, cwd=folder, env={**known, **(environment or {})}, stderr=subprocess.DEVNULL)
    try:
        yield runtime
    finally:
        child.kill()
        child.wait(10)
        server.shutdown()
        server.server_close()
