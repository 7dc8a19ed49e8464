"""The functions API's own quota: so many reads and writes a minute of a project and region, then 429 RESOURCE_EXHAUSTED.

Window(60).take(now) -> True, or False when 60 were taken within the last minute
"""

from __future__ import annotations

from collections import deque

from fedkeeper.emulator.google_wire import SERVICE, Refused
from fedkeeper.emulator.limits import GoogleLimits

MINUTE_S = 60.0
NAMES = {"read": "Per project read requests", "write": "Per project mutation requests"}


class Window:
    """At most `most` in any minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: deque[float] = deque()

    def take(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - MINUTE_S:
            self._taken.popleft()
        if len(self._taken) >= self._most:
            return False
        self._taken.append(now)
        return True


class Quota:
    def __init__(self, limits: GoogleLimits) -> None:
        self._most = {"read": limits.reads_per_minute, "write": limits.writes_per_minute}
        self._windows: dict[tuple[str, str], Window] = {}

    def take(self, kind: str, project: str, region: str, now: float) -> None:
        window = self._windows.setdefault((kind, f"{project}/{region}"), Window(self._most[kind]))
        if window.take(now):
            return
        metric, limit = NAMES[kind], f"{NAMES[kind]} per minute per region"
        raise Refused(
            429,
            f"Quota exceeded for quota metric '{metric}' and limit '{limit}' of service '{SERVICE}' "
            f"for consumer 'projects/{project}'.",
            reason="RATE_LIMIT_EXCEEDED",
            metadata={
                "service": SERVICE,
                "consumer": f"projects/{project}",
                "quota_metric": f"{SERVICE}/{kind}_requests",
                "quota_limit_value": str(self._most[kind]),
                "quota_location": region,
            },
        )
