"""Google's functions-framework as it is: its own server (gunicorn) with one worker and one thread, asked over loopback.

run(request) -> POST http://127.0.0.1:PORT -> functions-framework --target T --source main.py
"""

from __future__ import annotations

import http.client
import importlib.util
import json
from typing import Any

from fedkeeper_process import Child, answers, ask, free_port
from fedkeeper_runner import Answer, InitError, failed
from google_runner import answered, pairs_of

HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


class Server:
    """The framework's server, started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self.child: Child | None = None
        self.port = 0

    def need(self, params: dict[str, Any]) -> Child:
        if self.child is None or not self.child.alive:
            self.child = self._start(params)
        return self.child

    def _start(self, params: dict[str, Any]) -> Child:
        if importlib.util.find_spec("functions_framework") is None:
            raise InitError("functions-framework is not installed here: pip install 'fedkeeper[emulator]'")
        module, _, target = params["entry"].rpartition(".")
        source = f"{module.replace('.', '/') or 'main'}.py"
        self.port = free_port()
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        environment = {"THREADS": "1", "WORKERS": "1", "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        child = Child(
            ["-m", "functions_framework", "--target", target, "--source", source, *place], environment, params["memory_mb"]
        )
        if not child.wait_until(lambda: answers(self.port)):
            child.kill()
            raise InitError(f"functions-framework did not start ({child.end}): see the log")
        return child


server = Server()


def run(params: dict[str, Any], request: bytes) -> Answer:
    try:
        child = server.need(params)
    except InitError as exc:
        return failed("init", str(exc))
    head, _, body = request.partition(b"\n")
    asked = json.loads(head)
    headers = {name: value for name, value in pairs_of(asked.get("headers") or {}) if name.lower() not in HOP_BY_HOP}
    try:
        status, answer_headers, answer = ask(server.port, asked.get("method") or "POST", asked.get("path") or "/", headers, body)
    except (OSError, http.client.HTTPException) as exc:
        if child.out_of_memory:
            return failed("memory", "used more memory than its limit")
        return failed("crash", f"the function's process ended under the request ({type(exc).__name__})")
    kept = {name: value for name, value in answer_headers.items() if name.lower() not in HOP_BY_HOP}
    return answered(status, kept, answer)
