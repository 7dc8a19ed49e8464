"""Settings of a `local` cluster: the platform inside FedKeeper itself.

providers: {local: {laptop: {workers: 2}}}  ->  LocalSettings  ->  Cluster.settings (JSON: bytes, MB, seconds)
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from fedkeeper.fields import Bytes, Megabytes, PositiveSeconds, Section, Switch


class LocalFunction(Section):
    """Options of one function on a local cluster; memory and timeout hold for every provider."""

    waits: Switch | None = Field(
        default=None,
        description="The function mostly waits for others: it takes one of `waiters`, not of `workers`; null: true for fl_invoker",
    )


class LocalSettings(Section):
    """A platform on this machine: functions run in warm child processes, under the same kinds of limits as in a cloud."""

    function_options: ClassVar[type[Section]] = LocalFunction
    shares_host: ClassVar[bool] = True
    body_factor: ClassVar[float] = 1.0  # bytes on the wire per byte of weights

    workers: int | None = Field(
        default=None, ge=1, le=1024, description="Processes that run functions at the same time; null: one a CPU"
    )
    waiters: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Functions that mostly wait (the invokers) running at the same time, beside `workers`",
    )
    threads_per_worker: int = Field(
        default=1, ge=1, le=256, description="Compute threads of a worker; the count may change last bits"
    )
    python: str | None = Field(
        default=None, min_length=1, description="Interpreter of the workers; null: the one FedKeeper runs in"
    )
    max_request: Bytes = Field(
        default=32 * 1024**2,
        description="Largest request a function accepts; 32MB is what the most generous cloud takes, so what works here fits one",
    )
    max_response: Bytes = Field(default=32 * 1024**2, description="Largest answer a function may give; see max_request")
    max_memory: Megabytes = Field(default=8192, description="Most memory one function may ask for")
    max_timeout: PositiveSeconds = Field(default=3600.0, description="Longest time limit one function may ask for")
    keep_activations: int = Field(default=1000, ge=1, description="How many ended activations are remembered, with their logs")
