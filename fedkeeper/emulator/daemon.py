"""The emulator's process: from `emulate up` to `emulate down`.

    python -m fedkeeper.emulator.daemon HOME WANTED(json)      what it says goes to <home>/emulator.log

SIGTERM ends it in order: the server, then every process of the platforms. Should it be killed, the platforms notice by the end
of their sockets and end too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from fedkeeper.emulator import state
from fedkeeper.emulator.app import Emulator
from fedkeeper.emulator.core import Settings
from fedkeeper.emulator.limits import DEFAULTS, Limits
from fedkeeper.emulator.serve import base_url, listen, server
from fedkeeper.errors import FedKeeperError


@dataclass(frozen=True)
class Wanted:
    """What `emulate up` was asked for."""

    port: int = 0  # 0: the one it had before, or any
    settings: Settings = Settings()
    limits: Mapping[str, Limits] = field(default_factory=lambda: dict(DEFAULTS))

    def to_json(self) -> dict[str, Any]:
        limits = {kind: one.to_json() for kind, one in self.limits.items()}
        return {"port": self.port, "settings": asdict(self.settings), "limits": limits}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Wanted:
        limits = {kind: type(DEFAULTS[kind])(**values) for kind, values in data["limits"].items()}
        return Wanted(data["port"], Settings(**data["settings"]), limits)


def run(home: Path, wanted: Wanted) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    before = state.written(home)
    with state.claim(home), listen(wanted.port or (before.port if before else 0), instead=not wanted.port) as sock:
        emulator = Emulator.open(home, wanted.limits, wanted.settings)
        try:
            serving = server(emulator, sock)
            now = state.State(os.getpid(), sock.getsockname()[1], base_url(sock), time.time())
            state.write(home, now)
            signal.signal(signal.SIGTERM, _end)  # the server takes it for itself while it runs, and hands it back
            serving.run(sockets=[sock])
        except KeyboardInterrupt:
            pass  # how the server tells of Ctrl-C once it has ended
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            emulator.close()
            state.write(home, replace(now, pid=None))


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)


def main(home: str, wanted: str) -> None:
    try:
        run(Path(home), Wanted.from_json(json.loads(wanted)))
    except FedKeeperError as exc:
        sys.exit(f"{exc.message}\n{exc.hint or ''}")


if __name__ == "__main__":
    main(*sys.argv[1:])
