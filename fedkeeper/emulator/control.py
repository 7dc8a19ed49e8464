"""Starting, stopping and looking at the daemon of a home.

up(home, wanted) -> spawn daemon -> wait for GET /health -> Status        already up: the Status of the one there is
down(home) -> SIGTERM to exactly that process -> wait for the end of its lock
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedkeeper.emulator import files, state
from fedkeeper.emulator.credentials import credentials_of, variables
from fedkeeper.emulator.daemon import Wanted
from fedkeeper.errors import FedKeeperError, MissingExtra, NotDeployed, ProviderError, Unreachable

START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Status:
    """One that answers. `environment` holds secrets."""

    url: str
    pid: int
    home: Path
    runtime: str
    uptime_s: float
    functions: dict[str, int]
    limits: dict[str, dict[str, Any]]
    environment: dict[str, str]


def up(home: Path, wanted: Wanted) -> tuple[Status, bool]:
    """The running emulator, and whether it was started now."""
    if state.running(home) is not None:
        return _wait(home, None), False
    _need_libraries()
    files.folder(home)
    if (before := state.written(home)) is not None and not state.held(home):
        state.write(home, replace(before, pid=None))  # of one that was killed: its number may be somebody else's by now
    command = [sys.executable, "-m", "fedkeeper.emulator.daemon", str(home), json.dumps(wanted.to_json())]
    with (home / state.LOG).open("wb") as log:
        os.chmod(home / state.LOG, 0o600)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
    return _wait(home, process), True


def down(home: Path) -> bool:
    """False when none ran."""
    found = state.running(home)
    if found is None or found.pid is None:
        return False
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if state.running(home) == found:  # still that one
            os.kill(found.pid, sign)
        end = time.monotonic() + STOP_LIMIT_S
        while state.held(home) and time.monotonic() < end:
            time.sleep(0.02)
        if not state.held(home):
            return True
    raise ProviderError(f"the emulator (process {found.pid}) does not end", hint=f"see {home / state.LOG}")


def status(home: Path) -> Status | None:
    """None when none runs. Unreachable when one runs and does not answer."""
    found = state.running(home)
    if found is None or found.pid is None:
        return None
    health = _health(found.url)
    if health is None:
        raise Unreachable(f"the emulator (process {found.pid}) does not answer at {found.url}", hint=f"see {home / state.LOG}")
    return Status(
        url=found.url,
        pid=found.pid,
        home=home,
        runtime=health["runtime"],
        uptime_s=time.time() - health["started"],
        functions=health["functions"],
        limits=health["limits"],
        environment=variables(credentials_of(home), found.url),
    )


def needed(home: Path) -> Status:
    found = status(home)
    if found is None:
        raise NotUp(f"no emulator runs in {home}")
    return found


class NotUp(NotDeployed):
    default_hint = "`fedkeeper emulate up` starts one"


def _need_libraries() -> None:
    """Said here, with its exit code, and not in the log of a process that ends at once."""
    for library in ("starlette", "uvicorn"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "emulator", "the emulator")


def _wait(home: Path, process: subprocess.Popen[bytes] | None) -> Status:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        try:
            found = status(home)
        except Unreachable:
            found = None
        if found is not None:
            return found
        if process is not None and process.poll() is not None and not state.held(home):  # else another `up` was first
            raise _failed(home)
        time.sleep(0.02)
    raise Unreachable(f"the emulator did not answer within {START_LIMIT_S:g} s", hint=f"see {home / state.LOG}")


def _failed(home: Path) -> FedKeeperError:
    """What it said last is why."""
    lines = (home / state.LOG).read_text(errors="replace").strip().splitlines()
    return ProviderError(f"the emulator did not start: {' '.join(lines[-2:])}", hint=f"see {home / state.LOG}")


def _health(url: str) -> dict[str, Any] | None:
    try:
        with _direct.open(f"{url}/health", timeout=5) as answer:
            health: dict[str, Any] = json.load(answer)
            return health
    except (OSError, ValueError, urllib.error.URLError):
        return None
