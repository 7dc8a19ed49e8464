"""Zips as a vendor's tool would send them, and a platform to try them on."""

from __future__ import annotations

import asyncio
import io
import json
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from fedkeeper.emulator.core import Outcome, Platform, Settings
from fedkeeper.emulator.limits import DEFAULTS, Limits

ENTRIES = {
    "openwhisk": ("__main__.py", "__main__.main"),
    "google": ("main.py", "main.hello"),
    "aws": ("lambda_function.py", "lambda_function.handler"),
}
SCOPES = {"openwhisk": "guest", "google": "project/us-central1", "aws": "000000000000/us-east-1"}
JSON = dict[str, Any]


def make_zip(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Bench:
    """One platform of one kind, and short words for it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.file, self.entry = ENTRIES[platform.kind]
        self.scope = SCOPES[platform.kind]

    def put(self, source: str, name: str = "f", **given: Any) -> Any:
        package = make_zip({self.file: dedent(source), **given.pop("files", {})})
        wanted = {"memory_mb": 256, "timeout_s": 10.0, "environment": {}, "entry": self.entry, **given}
        return self.platform.put(self.scope, name, {"doc": name}, package, **wanted)

    def start(self, request: Any = None, name: str = "f") -> str:
        data = request if isinstance(request, bytes) else json.dumps(request or {}).encode()
        return self.platform.start(self.scope, name, data)

    def ask(self, request: Any = None, name: str = "f") -> Outcome:
        outcome = self.wait(self.start(request, name))
        assert outcome is not None
        return outcome

    def wait(self, activation_id: str, timeout_s: float | None = 60) -> Outcome | None:
        return asyncio.run(self.platform.finished(activation_id, timeout_s))


@contextmanager
def bench(kind: str, home: Path, limits: Limits | None = None, **settings: Any) -> Iterator[Bench]:
    platform = Platform(kind, home, limits or DEFAULTS[kind], Settings(**{"workers": 2, **settings}))
    try:
        yield Bench(platform)
    finally:
        platform.close()


def http(body: bytes = b"", **head: Any) -> bytes:
    """A request for a function of Google."""
    return json.dumps({"method": "POST", "path": "/", "headers": {}, **head}).encode() + b"\n" + body


def answer(outcome: Outcome) -> tuple[JSON, bytes]:
    """What a function of Google answered."""
    head, _, body = outcome.answer.partition(b"\n")
    return json.loads(head), body


def ended(pid: int) -> bool:
    """Within some seconds. One that nobody has reaped yet has ended, too."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            state_of = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state_of == "Z":
            return True
        time.sleep(0.02)
    return False
