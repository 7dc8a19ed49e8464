"""nodeinfo: what the machine behind a function looks like. Standard library only, so that it runs on any Python runtime.

Parameters: {"verbose": true} adds the Python version, load and uptime.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def handle(params: dict[str, Any], _body: bytes) -> tuple[Any, bytes]:
    info: dict[str, Any] = {
        "host": platform.node(),
        "platform": f"{platform.system()} {platform.release()}",
        "arch": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_mb": _memory_mb(),
    }
    if params.get("verbose"):
        info |= {"python": platform.python_version(), "load": list(os.getloadavg()), "uptime_s": _uptime_s()}
    return info, b""


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _uptime_s() -> float | None:
    path = Path("/proc/uptime")
    return float(path.read_text().split()[0]) if path.exists() else None
