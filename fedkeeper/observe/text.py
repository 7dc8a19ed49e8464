"""Small words about numbers: durations, times, sparklines. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-~=+*#"
_HOUR = 3600


def clock(seconds: float) -> str:
    """`0:02:14`: how long something has been going on."""
    whole = max(0, int(seconds))
    return f"{whole // _HOUR}:{whole % _HOUR // 60:02d}:{whole % 60:02d}"


def took(seconds: float | None) -> str:
    """A duration with the digits that matter: `0.123 s`, `12.3 s`, `2 min 14 s`, `1 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 1:
        return f"{seconds:.3f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // 60:02d} min"


def iso(unix: float | None) -> str:
    """ISO-8601 in UTC with milliseconds, "" for an unknown time."""
    if unix is None:
        return ""
    milliseconds = round(unix * 1000)
    moment = datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def score(value: float | None, digits: int = 4) -> str:
    """An accuracy or a loss, `-` when there is none yet."""
    return "-" if value is None else f"{value:.{digits}f}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 client`, `10,000 clients`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def one_line(text: object, limit: int = 300) -> str:
    """Text from outside, fit for a line: no line breaks, no control characters, bounded."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def task_name(task: str) -> str:
    """A built-in task's name, or its file's: the folders before it say nothing to a reader."""
    return one_line(task.rsplit("/", 1)[-1])


def sparkline(values: Sequence[float], width: int = 24, *, ascii_only: bool = False) -> str:
    """The last `width` values as bars between their own least and greatest."""
    shown = [value for value in values[-width:] if math.isfinite(value)]
    if not shown:
        return ""
    bars = _ASCII_BARS if ascii_only else _BARS
    peak = max(map(abs, shown)) or 1.0
    shown = [value / peak for value in shown]  # the difference of two huge values would be infinite
    low, span = min(shown), max(shown) - min(shown)
    top = len(bars) - 1
    return "".join(bars[round((value - low) / span * top) if span else top // 2] for value in shown)
