"""What the handlers of Lambda's operations share: the account, its functions, and one change of a function at a time.

    Call(request, operation, name, body)  --handler(desk, call)-->  Response

A stored function's document: {"config": FunctionConfiguration, "tags": {...}, "concurrency": n | null, "events": {...} | null}.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fedkeeper.emulator import aws_wire as wire
from fedkeeper.emulator.aws_wire import Refused
from fedkeeper.emulator.core import Api, Stored
from fedkeeper.emulator.limits import AwsLimits
from fedkeeper.errors import FunctionNotFound


@dataclass(frozen=True)
class Call:
    """One request that may be answered."""

    request: Request
    operation: str
    body: bytes

    def query(self, name: str) -> str | None:
        return self.request.query_params.get(name)

    def document(self) -> dict[str, Any]:
        return wire.document_of(self.body)


class Desk:
    def __init__(self, api: Api) -> None:
        limits = api.limits
        assert isinstance(limits, AwsLimits)
        self.api, self.limits, self.platform = api, limits, api.platform
        self.account, self.region = api.credentials.aws_account, api.credentials.aws_region
        self.scope = f"{self.account}/{self.region}"
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def name(self, call: Call) -> str:
        return wire.named(call.request.path_params["name"], call.query("Qualifier"), self.account, self.region)

    def arn(self, name: str) -> str:
        return wire.function_arn(self.account, self.region, name)

    def missing(self, name: str) -> Refused:
        return wire.missing(self.account, self.region, name)

    def lock(self, name: str) -> asyncio.Lock:
        """Around what reads a document and writes it again."""
        return self._locks[name]

    def vacant(self, name: str) -> asyncio.Lock:
        """The lock for a change that takes time: it refuses instead of waiting."""
        if self._locks[name].locked():
            text = f"The operation cannot be performed at this time. An update is in progress for resource: {self.arn(name)}"
            raise Refused("ResourceConflictException", text)
        return self._locks[name]

    async def found(self, name: str) -> Stored:
        stored = await asyncio.to_thread(self.platform.get, self.scope, name)
        if stored is None:
            raise self.missing(name)
        return stored

    async def all(self) -> list[Stored]:
        return await asyncio.to_thread(self.platform.list, self.scope)

    async def amend(self, name: str, part: str, change: Callable[[Any], Any]) -> Stored:
        """Other tags, concurrency or event settings, made of those there are; the function itself stays."""
        async with self.lock(name):
            stored = await self.found(name)
            meta = {**stored.meta, part: change(stored.meta[part])}
            try:
                return await asyncio.to_thread(self.platform.set_meta, self.scope, name, meta)
            except FunctionNotFound as exc:
                raise self.missing(name) from exc

    def configuration(self, stored: Stored) -> dict[str, Any]:
        """As GetFunctionConfiguration shows it."""
        return {
            "FunctionName": stored.name,
            "FunctionArn": self.arn(stored.name),
            "Version": wire.LATEST,
            **stored.meta["config"],
            "State": "Active",
            "LastUpdateStatus": "Successful",
        }


Handler = Callable[[Desk, Call], Awaitable[Response]]


def revision() -> str:
    return str(uuid.uuid4())
