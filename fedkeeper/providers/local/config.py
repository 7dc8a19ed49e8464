"""A local cluster's settings as plain data, and the capabilities that follow from them."""

from __future__ import annotations

import os
import site
import sys
from dataclasses import dataclass

from fedkeeper.model import Cluster
from fedkeeper.providers.base import Capabilities, InvocationMode
from fedkeeper.providers.local.settings import LocalSettings

MANY = 10_000
"""The platform queues: a limit on what may wait there is only one on memory."""


@dataclass(frozen=True)
class LocalConfig:
    setting: str  # where the spec has it: "providers.local.<cluster>"
    slots: int
    waiters: int
    threads: int
    keep_activations: int
    python: str
    own_python: bool  # False: the interpreter FedKeeper itself runs in
    capabilities: Capabilities

    @staticmethod
    def of(cluster: Cluster) -> LocalConfig:
        settings = LocalSettings.model_validate(dict(cluster.settings))
        return LocalConfig(
            setting=f"providers.local.{cluster.name}",
            slots=settings.workers or _processors(),
            waiters=settings.waiters,
            threads=settings.threads_per_worker,
            keep_activations=settings.keep_activations,
            python=settings.python or sys.executable,
            own_python=settings.python is not None,
            capabilities=Capabilities(
                modes=(InvocationMode.ASYNC_STATUS, InvocationMode.HELD),
                max_request=settings.max_request,
                max_response=settings.max_response,
                max_timeout_s=settings.max_timeout,
                max_memory_mb=settings.max_memory,
                max_concurrency=MANY,
                shares_host=True,
                instant_invoke=True,
            ),
        )

    @property
    def user_site(self) -> bool:
        """True when this interpreter also finds libraries that were installed with `pip install --user`."""
        return bool(site.ENABLE_USER_SITE) and not self.own_python


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
