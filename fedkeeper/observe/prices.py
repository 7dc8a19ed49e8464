"""What platforms charge: list prices as data, in US dollars, without free tiers, discounts, taxes, traffic, storage and logs.

    price_of(Cluster, memory_mb, options) -> Price      what one function there costs: per request, per second

A platform that is not here charges nothing for an activation: the local platform, OpenWhisk, and any endpoint on this machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from fedkeeper.model import Cluster, Json


@dataclass(frozen=True)
class Sheet:
    """One provider's prices. Memory is in GB of 1024 MB, as both clouds count it."""

    source: str
    date: str
    where: str
    request: float
    gb_s: float
    gb_s_arm: float = 0.0
    vcpu_s: float = 0.0
    step_s: float = 0.001  # an activation's time is rounded up to it


SHEETS: Mapping[str, Sheet] = MappingProxyType(
    {
        "aws": Sheet(
            source="https://aws.amazon.com/lambda/pricing/",
            date="2024",
            where="US East (N. Virginia), first tier",
            request=0.20e-6,
            gb_s=0.0000166667,
            gb_s_arm=0.0000133334,
        ),
        "google": Sheet(
            source="https://cloud.google.com/run/pricing",
            date="2024",
            where="tier 1 regions, billed by request",
            request=0.40e-6,
            gb_s=0.0000025,
            vcpu_s=0.000024,
            step_s=0.1,
        ),
    }
)
_GOOGLE_CPUS = ((128, 0.083), (256, 0.167), (512, 0.333), (1024, 0.583), (4096, 1.0), (8192, 2.0), (16384, 4.0), (32768, 8.0))
"""What a Google function gets by its memory when the spec names no `cpu`: https://cloud.google.com/run/docs/configuring/services/memory-limits"""


@dataclass(frozen=True)
class Price:
    """Of one function."""

    request: float = 0.0
    second: float = 0.0
    step_s: float = 0.001

    def of(self, seconds: float) -> float:
        """One activation that took so long."""
        return self.sum((seconds,))

    def sum(self, times: Sequence[float]) -> float:
        """Activations that took so long, each rounded up to a whole step."""
        if not self.second:
            return self.request * len(times)
        steps = sum(math.ceil(round(seconds / self.step_s, 6)) for seconds in times)
        return self.request * len(times) + steps * self.step_s * self.second


FREE = Price()


def price_of(cluster: Cluster, memory_mb: int, options: Mapping[str, Json]) -> Price:
    """`options` are the function's for the cluster's provider."""
    sheet = SHEETS.get(cluster.provider)
    if sheet is None or _is_here(cluster.settings.get("endpoint")):
        return FREE
    arm = options.get("architecture") == "arm64"
    second = memory_mb / 1024 * (sheet.gb_s_arm if arm else sheet.gb_s)
    if sheet.vcpu_s:
        second += _cpus(memory_mb, options) * sheet.vcpu_s
    return Price(sheet.request, second, sheet.step_s)


def _cpus(memory_mb: int, options: Mapping[str, Json]) -> float:
    asked = options.get("cpu")
    return float(asked) if asked else next((cpus for limit, cpus in _GOOGLE_CPUS if memory_mb <= limit), _GOOGLE_CPUS[-1][1])


def _is_here(endpoint: Json) -> bool:
    """An emulator: nobody sends a bill for it."""
    return bool(endpoint) and urlsplit(str(endpoint)).hostname in ("localhost", "127.0.0.1", "::1")
