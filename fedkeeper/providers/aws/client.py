"""boto3, as FedKeeper uses it: one session per adapter, clients for different manners of waiting. Imported on first use.

Sessions.control()      retries by itself (mode standard), for everything but our invocations
Sessions.calling(30.0)  one attempt, waits 30 s for the answer: repeating an activation is the engine's decision
Sessions.s3()           zips that Lambda does not take directly
"""

from __future__ import annotations

import math
import threading
from typing import Any

from fedkeeper.errors import MissingExtra
from fedkeeper.providers.aws.config import Config

CONNECT_S = 10.0
CONTROL_READ_S = 60.0
ATTEMPTS = 6
KEPT = 16  # clients for different waiting times
CONNECTIONS = 128  # more threads than any dispatcher of ours has


class Sessions:
    """Thread-safe: botocore's clients are, its sessions are not."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, float, int], Any] = {}
        self._session: Any = None

    def control(self) -> Any:
        return self._client("lambda", CONTROL_READ_S, ATTEMPTS)

    def calling(self, read_s: float) -> Any:
        """Half seconds are fine enough to share clients."""
        return self._client("lambda", math.ceil(read_s * 2) / 2, 1)

    def s3(self) -> Any:
        return self._client("s3", CONTROL_READ_S, ATTEMPTS)

    def close(self) -> None:
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _client(self, service: str, read_s: float, attempts: int) -> Any:
        key = (service, read_s, attempts)
        with self._lock:
            if key not in self._clients:
                while len(self._clients) >= KEPT:
                    self._clients.pop(next(iter(self._clients)))
                self._clients[key] = self._make(service, read_s, attempts)
            return self._clients[key]

    def _make(self, service: str, read_s: float, attempts: int) -> Any:
        from botocore.config import Config as BotoConfig

        options = BotoConfig(
            connect_timeout=CONNECT_S,
            read_timeout=max(read_s, 0.5),
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=CONNECTIONS if service == "lambda" else 10,
            tcp_keepalive=True,  # a held call is silent for minutes, and NAT gateways forget silent connections
            user_agent_extra="fedkeeper",
        )
        endpoint = self._config.endpoint if service == "lambda" else self._config.endpoint_s3
        return self._own_session().client(service, endpoint_url=endpoint, config=options)

    def _own_session(self) -> Any:
        if self._session is None:
            config, keys = self._config, self._config.keys
            self._session = boto3().session.Session(
                aws_access_key_id=keys.access_key_id if keys else None,
                aws_secret_access_key=keys.secret_access_key if keys else None,
                aws_session_token=keys.session_token if keys else None,
                region_name=config.region,
                profile_name=config.profile if keys is None else None,
            )
        return self._session


def boto3() -> Any:
    try:
        import boto3 as library
    except ImportError as exc:
        raise MissingExtra("boto3", "aws", "a cluster of provider aws") from exc
    return library
