"""Today's documented limits of the three platforms, and which of them a spec's cluster may raise.

    settings of `providers.openwhisk.edge` --raised_by--> OpenWhiskLimits(max_request=...)        `emulate up -c config.yaml`

Sizes in bytes, memory in MB, times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, TypeVar

KIB, MIB = 1 << 10, 1 << 20
L = TypeVar("L", bound="Limits")


@dataclass(frozen=True)
class Limits:
    """What all three have. `raisable`: the settings of a cluster that an operator, or the vendor on request, can raise."""

    raisable: ClassVar[tuple[str, ...]] = ("max_concurrency",)

    max_request: int = 0
    max_response: int = 0
    min_memory_mb: int = 128
    max_memory_mb: int = 0
    default_memory_mb: int = 0
    min_timeout_s: float = 1.0
    max_timeout_s: float = 0.0
    default_timeout_s: float = 0.0
    max_concurrency: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def from_settings(self: L, clusters: Iterable[Mapping[str, Any]]) -> L:
        """Raised, never lowered, to what the settings of the spec's clusters of this kind declare."""
        raised = self
        for settings in clusters:
            wanted = {_FIELDS.get(name, name): settings[name] for name in self.raisable if settings.get(name) is not None}
            raised = replace(raised, **{name: max(getattr(raised, name), value) for name, value in wanted.items()})
        return raised


_FIELDS = {"max_timeout": "max_timeout_s", "max_memory": "max_memory_mb"}


@dataclass(frozen=True)
class OpenWhiskLimits(Limits):
    """Source of every default, unless it says otherwise: https://github.com/apache/openwhisk/blob/master/docs/reference.md

    * max_request ("parameters"), max_response ("result"): 1 MB each
    * memory 128 to 512 MB, 256 by default; timeout 0.1 to 300 s, 60 by default
    * max_log ("logs"): 0 to 10 MB, 10 by default
    * max_concurrency ("concurrent"): 100 activations of a namespace running or queued
    * invocations_per_minute ("minuteRate"): 120 of a namespace
    * max_code ("codeSize"): 48 MB
    * list_default, list_limit: 30 and 200 entities a page (docs/rest_api.md and the API description's parameter `limit`)
    * blocking_wait_s: a blocking invocation turns into a 202 after 60 s (docs/rest_api.md, "Actions")
    * max_action_concurrency: activations in one container, 1 to 500 (docs/concurrency.md), 1 by default
    """

    raisable = ("max_request", "max_response", "max_timeout", "max_memory", "max_concurrency", "invocations_per_minute")

    max_request: int = MIB
    max_response: int = MIB
    max_memory_mb: int = 512
    default_memory_mb: int = 256
    min_timeout_s: float = 0.1
    max_timeout_s: float = 300.0
    default_timeout_s: float = 60.0
    max_concurrency: int = 100
    invocations_per_minute: int | None = 120
    max_log_mb: int = 10
    default_log_mb: int = 10
    max_code: int = 48 * MIB
    list_default: int = 30
    list_limit: int = 200
    blocking_wait_s: float = 60.0
    max_action_concurrency: int = 500

    def from_settings(self, clusters: Iterable[Mapping[str, Any]]) -> OpenWhiskLimits:
        """`invocations_per_minute: null` takes the rate away."""
        known = [dict(settings) for settings in clusters]
        unlimited = any("invocations_per_minute" in settings and settings["invocations_per_minute"] is None for settings in known)
        raised = super().from_settings(known)
        return replace(raised, invocations_per_minute=None) if unlimited else raised


@dataclass(frozen=True)
class GoogleLimits(Limits):
    """2nd generation. Source of every default, unless it says otherwise: https://cloud.google.com/functions/quotas

    * max_request, max_response: 32 MB of uncompressed HTTP each way (not streaming)
    * memory up to 32 GiB; 256 MB by default (https://cloud.google.com/functions/docs/configuring/memory)
    * timeout up to 60 minutes for HTTP functions; 60 s by default (https://cloud.google.com/functions/docs/configuring/timeout)
    * reads_per_minute 1200, writes_per_minute 60: calls of the functions API, per project and region; neither can be raised
    * max_functions: 1,000 per region
    * max_concurrency: 100 instances by default (https://cloud.google.com/functions/docs/configuring/max-instances), one request each
    * max_source: 100 MB of compressed sources, documented for the 1st generation; the 2nd has no number of its own
    * page_size, max_page_size: https://cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions/list
    * max_environment: https://cloud.google.com/functions/docs/configuring/env-var, 32 KB
    """

    max_request: int = 32 * MIB
    max_response: int = 32 * MIB
    max_memory_mb: int = 32 * 1024
    default_memory_mb: int = 256
    max_timeout_s: float = 3600.0
    default_timeout_s: float = 60.0
    max_concurrency: int = 100
    reads_per_minute: int = 1200
    writes_per_minute: int = 60
    max_functions: int = 1000
    max_source: int = 100 * MIB
    page_size: int = 1000
    max_page_size: int = 1000
    max_environment: int = 32 * KIB


@dataclass(frozen=True)
class AwsLimits(Limits):
    """Source of every default, unless it says otherwise: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html

    * max_request, max_response: 6 MB each way, synchronous; max_async_request: 1 MB (256 KB before October 2025)
    * memory 128 to 10,240 MB, 128 by default; timeout up to 900 s, 3 by default (API reference, CreateFunction)
    * max_concurrency: 1,000 concurrent executions a region
    * invocations_per_second: 10 x max_concurrency
    * control_per_second: 15 requests a second to all other API operations; gets_per_second: GetFunction 100
    * max_zip: 50 MB zipped, sent directly; max_unzipped: 250 MB; max_environment: 4 KB
    * min/max_ephemeral_mb: /tmp of 512 to 10,240 MB
    * page_size, max_page_size: 50, and MaxItems up to 10,000 (API reference, ListFunctions: at most 50 a response)
    * log_tail: the last 4 KB (API reference, Invoke, LogType)
    """

    max_request: int = 6 * MIB
    max_response: int = 6 * MIB
    max_async_request: int = MIB
    max_memory_mb: int = 10_240
    default_memory_mb: int = 128
    max_timeout_s: float = 900.0
    default_timeout_s: float = 3.0
    max_concurrency: int = 1000
    control_per_second: int = 15
    gets_per_second: int = 100
    max_zip: int = 50 * MIB
    max_unzipped: int = 250 * MIB
    max_environment: int = 4 * KIB
    min_ephemeral_mb: int = 512
    max_ephemeral_mb: int = 10_240
    page_size: int = 50
    max_page_size: int = 10_000
    log_tail: int = 4 * KIB

    @property
    def invocations_per_second(self) -> int:
        return 10 * self.max_concurrency


DEFAULTS: Mapping[str, Limits] = {"openwhisk": OpenWhiskLimits(), "google": GoogleLimits(), "aws": AwsLimits()}
