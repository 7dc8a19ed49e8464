"""OpenWhisk's action interface as it is documented: a proxy process that is initialised once and then run.

    run(args) -> POST /init {"value": {"name", "main", "code": base64 zip, "binary": true, "env"}}      once
              -> POST /run  {"value": args, "namespace", "action_name", "activation_id", "deadline", ...}

Source: https://github.com/apache/openwhisk/blob/master/docs/actions-new.md ("Action Interface")
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import time
import zipfile
from typing import Any

from fedkeeper_process import Child, answers, ask, free_port
from fedkeeper_runner import FOLDER, Answer, InitError, failed
from openwhisk_runner import answered

OURS = ("shim.py", "fedkeeper_runner.py", "fedkeeper_process.py", "fedkeeper_proxy.py", "openwhisk_runner.py")
JSON = {"Content-Type": "application/json"}


class Proxy:
    """The proxy, started and initialised when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self.child: Child | None = None
        self.port = 0

    def need(self, params: dict[str, Any]) -> Child:
        if self.child is None or not self.child.alive:
            self.child = None
            self.port = free_port()
            child = Child(
                [os.path.join(FOLDER, "fedkeeper_proxy.py"), str(self.port)], {"PYTHONUNBUFFERED": "1"}, params["memory_mb"]
            )
            if not child.wait_until(lambda: answers(self.port)):
                child.kill()
                raise InitError(f"the proxy did not start ({child.end}): see the log")
            self._init(params, child)
            self.child = child
        return self.child

    def _init(self, params: dict[str, Any], child: Child) -> None:
        value = {
            "name": params["name"],
            "main": params["entry"].rpartition(".")[2],
            "code": base64.b64encode(_zip()).decode(),
            "binary": True,
            "env": {name: text for name, text in os.environ.items() if name.startswith("__OW_")},
        }
        try:
            status, _, body = ask(self.port, "POST", "/init", JSON, json.dumps({"value": value}).encode())
        except (OSError, http.client.HTTPException):
            raise InitError(f"the action's process ended during its initialisation ({child.end})") from None
        if status != 200:
            child.kill()
            raise InitError(str(json.loads(body)["error"]))


proxy = Proxy()


def run(params: dict[str, Any], request: bytes) -> Answer:
    try:
        child = proxy.need(params)
    except InitError as exc:
        error = f"Initialization has failed due to: {exc}"
        return failed("init", error, json.dumps({"error": error}).encode())
    order = {
        "namespace": params["scope"],
        "action_name": f"/{params['scope']}/{params['name']}",
        "activation_id": os.environ["FEDKEEPER_ACTIVATION_ID"],
        "deadline": str(int((time.time() + params["timeout_s"]) * 1000)),
    }
    body = json.dumps(order).encode()[:-1] + b', "value": ' + (request or b"{}") + b"}"
    try:
        _, _, answer = ask(proxy.port, "POST", "/run", JSON, body)
    except (OSError, http.client.HTTPException):
        if child.out_of_memory:
            return failed("memory", "used more memory than its limit")
        return failed("crash", "The action did not produce a valid response and exited unexpectedly.")
    return answered(json.loads(answer))


def _zip() -> bytes:
    """The action's own files, as they were given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for folder, folders, names in os.walk(FOLDER):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                path = os.path.join(folder, name)
                inside = os.path.relpath(path, FOLDER)
                if inside not in OURS:
                    archive.write(path, inside)
    return buffer.getvalue()
