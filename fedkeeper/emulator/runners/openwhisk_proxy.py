"""An OpenWhisk runtime for Python zips: a small server with the documented /init and /run; travels as `fedkeeper_proxy.py`.

    python fedkeeper_proxy.py PORT      POST /init: unpack the code, import its __main__.py      POST /run: main(value) -> {...}

Answers are the documented ones: 200 with a dictionary; 502 {"error": ...} when the code cannot be loaded or answers nonsense;
403 for a second /init. Standard library only.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

Main = Callable[[dict[str, Any]], Any]
Response = tuple[int, dict[str, Any]]


class Action:
    """What /init loaded."""

    main: Main | None = None


def init(value: dict[str, Any]) -> Response:
    if Action.main is not None:
        return 403, {"error": "Cannot initialize the action more than once."}
    os.environ.update({name: str(text) for name, text in (value.get("env") or {}).items()})
    try:
        Action.main = _load(value)
    except BaseException as exc:  # whatever the code does while it is imported
        traceback.print_exc()
        return 502, {"error": f"Cannot start action. Check logs for details. ({type(exc).__name__}: {exc})"}
    return 200, {"ok": True}


def run(order: dict[str, Any]) -> Response:
    if Action.main is None:
        return 502, {"error": "Cannot run an action that is not initialized."}
    for name in ("namespace", "action_name", "activation_id", "deadline", "api_key", "api_host"):
        if name in order:
            os.environ[f"__OW_{name.upper()}"] = str(order[name])
    try:
        result = Action.main(order.get("value") or {})
    except Exception as exc:
        traceback.print_exc()
        return 200, {"error": str(exc) or type(exc).__name__}
    if not isinstance(result, dict):
        return 502, {"error": "The action did not return a dictionary."}
    return 200, result


def _load(value: dict[str, Any]) -> Main:
    folder = tempfile.mkdtemp(prefix="action-")
    file = os.path.join(folder, "__main__.py")
    if value.get("binary"):
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(value["code"]))) as archive:
            archive.extractall(folder)
    else:
        with open(file, "w", encoding="utf-8") as target:
            target.write(value["code"])
    sys.path[0] = folder  # instead of this script's own folder
    spec = importlib.util.spec_from_file_location("main__", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["main__"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Main = getattr(module, value.get("main") or "main")
    return main


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        status, answer = init(order.get("value") or {}) if self.path == "/init" else run(order)
        try:
            body = json.dumps(answer).encode()
        except (TypeError, ValueError) as exc:
            status, body = 502, json.dumps({"error": f"The action's answer is not JSON: {exc}"}).encode()
        sys.stdout.flush()
        sys.stderr.flush()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The action's log is not the place."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
