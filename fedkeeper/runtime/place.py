"""Where a step was done and how much memory its process has needed so far: notes for people, in the step's receipt."""

from __future__ import annotations

import os
import platform
import resource
import sys

from fedkeeper.model import Json

_MAXRSS_PER_MB = (1 << 20) if sys.platform == "darwin" else (1 << 10)


def here() -> dict[str, Json]:
    return {"host": platform.node(), "pid": os.getpid(), "peak_rss_mb": peak_rss_mb()}


def peak_rss_mb() -> float:
    """Of this process since it began, warm activations before this one included."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_PER_MB, 1)
