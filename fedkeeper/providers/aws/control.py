"""Lambda's control plane: functions made, changed, found and removed, one step after the other and every step repeatable.

    create:  code -> CreateFunction -> active? -> own retries off -> concurrency -> digest tag
    update:  code -> UpdateFunctionCode -> done? -> UpdateFunctionConfiguration -> done? -> ... -> digest tag

The digest tag comes last: a deploy that was killed in between leaves a function that the next one sees as unfinished. Calls are paced
to the account's quota, so that many threads do not run into it. GetFunction, which is used to look, has a larger quota of its own.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from fedkeeper.errors import FunctionNotFound, ProviderError
from fedkeeper.model import FunctionSpec
from fedkeeper.providers.aws import documents
from fedkeeper.providers.aws.client import CONTROL_READ_S, Sessions
from fedkeeper.providers.aws.config import Config
from fedkeeper.providers.aws.errors import CONFLICT, border, error_of, refusal_of, strange
from fedkeeper.providers.aws.naming import fabric_prefix, platform_name

LOOK_S = 0.5
LOOKS = 600  # an image is optimised for minutes after its first deploy
BUSY_S = 60.0
_LOOKERS = 8


class Pace:
    """At most `per_second` starts in any second, spread evenly over the threads that ask."""

    def __init__(
        self, per_second: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ):
        self._gap = 1.0 / per_second
        self._lock = threading.Lock()
        self._next = 0.0
        self._clock, self._sleep = clock, sleep

    def wait(self) -> None:
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._gap
        if start > now:
            self._sleep(start - now)


class Control:
    """Thread-safe."""

    def __init__(self, config: Config, sessions: Sessions, environ: Mapping[str, str]) -> None:
        self._config, self._sessions, self._environ = config, sessions, environ
        self._pace = Pace(config.control_per_second)

    def create(self, spec: FunctionSpec, package: bytes) -> None:
        stored = self._prepared(spec, package)
        request = {
            **documents.configuration(self._config, spec, self._environ, stored),
            "PackageType": "Image" if documents.image_of(spec) else "Zip",
            "Code": documents.code_of(spec, package, stored),
            "Architectures": documents.architectures(spec),
            "Tags": documents.tags(spec),
        }
        if self._conflicts(spec, request):
            self._replace(spec, package, stored)
        else:
            self._await("function_active_v2", spec.name)
            self._finish(spec, replaced=False)

    def update(self, spec: FunctionSpec, package: bytes) -> None:
        self._replace(spec, package, self._prepared(spec, package))

    def delete(self, name: str) -> None:
        try:
            self._call("delete_function", name, FunctionName=platform_name(name))
        except FunctionNotFound:
            return

    def of_fabric(self, fabric: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, str]]]:
        """Configuration and tags of what may be the fabric's: its names begin with the fabric's name, or are looked at too."""
        listed = list(self._pages())
        own = [found["FunctionName"] for found in listed if _ours(found, fabric)]
        with ThreadPoolExecutor(_LOOKERS) as pool:
            for answer in pool.map(self._look, own):
                if answer is not None:
                    yield answer["Configuration"], answer.get("Tags", {})

    # --- steps ---------------------------------------------------------------------------------------------------
    def _prepared(self, spec: FunctionSpec, package: bytes) -> Mapping[str, str]:
        """Everything that can be refused is refused before the first byte goes out. The place of an uploaded zip, or {}."""
        documents.check(self._config, spec)
        documents.check_size(self._config, spec, len(package))
        documents.variables(spec, self._environ, None)
        by_bucket = documents.image_of(spec) is not None or len(package) > documents.DIRECT
        return self._upload(package) if by_bucket else {}

    def _upload(self, package: bytes) -> Mapping[str, str]:
        """Under its digest: a second upload of the same zip changes nothing."""
        place = {"bucket": str(self._config.bucket), "key": f"fedkeeper/{hashlib.sha256(package).hexdigest()}.zip"}
        with self._bordered(place["bucket"]):
            self._sessions.s3().put_object(Bucket=place["bucket"], Key=place["key"], Body=package)
        return place

    def _conflicts(self, spec: FunctionSpec, request: Mapping[str, Any]) -> bool:
        """Creates; True when there already is one."""
        from botocore.exceptions import ClientError

        self._pace.wait()
        with self._bordered(spec.name):
            try:
                self._sessions.control().create_function(**request)
            except ClientError as exc:
                if exc.response["Error"]["Code"] != CONFLICT:
                    raise
                return True
        return False

    def _replace(self, spec: FunctionSpec, package: bytes, stored: Mapping[str, str]) -> None:
        before = self._call("get_function", spec.name, FunctionName=platform_name(spec.name))["Configuration"]
        wanted = "Image" if documents.image_of(spec) else "Zip"
        if before.get("PackageType", "Zip") != wanted:  # cannot be changed: AWS wants another function
            self.delete(spec.name)
            self.create(spec, package)
            return
        self._await("function_active_v2", spec.name)
        self._await("function_updated_v2", spec.name)
        name, code = platform_name(spec.name), documents.code_of(spec, package, stored)
        self._unhurried("update_function_code", spec.name, FunctionName=name, Architectures=documents.architectures(spec), **code)
        self._await("function_updated_v2", spec.name)
        configuration = documents.configuration(self._config, spec, self._environ, stored)
        self._unhurried("update_function_configuration", spec.name, **configuration)
        self._await("function_updated_v2", spec.name)
        self._finish(spec, replaced=True)

    def _finish(self, spec: FunctionSpec, *, replaced: bool) -> None:
        name = platform_name(spec.name)
        self._unhurried("put_function_event_invoke_config", spec.name, FunctionName=name, MaximumRetryAttempts=0)
        reserved = spec.options.get("reserved_concurrency")
        if reserved is not None:
            self._unhurried("put_function_concurrency", spec.name, FunctionName=name, ReservedConcurrentExecutions=int(reserved))
        elif replaced:
            self._unhurried("delete_function_concurrency", spec.name, FunctionName=name)
        found = self._call("get_function", spec.name, FunctionName=name)["Configuration"]
        self._unhurried("tag_resource", spec.name, Resource=found["FunctionArn"], Tags=documents.done_tags(spec))

    # --- calls ---------------------------------------------------------------------------------------------------
    def _pages(self) -> Iterator[Mapping[str, Any]]:
        marker: dict[str, str] = {}
        while True:
            page = self._call("list_functions", "", **marker)
            if "Functions" not in page:
                raise strange(self._config, "a list of functions without `Functions`")
            yield from page["Functions"]
            if not page.get("NextMarker"):
                return
            marker = {"Marker": page["NextMarker"]}

    def _look(self, name: str) -> Mapping[str, Any] | None:
        try:
            return self._call("get_function", name, FunctionName=name)
        except FunctionNotFound:
            return None  # removed since it was listed

    def _call(self, operation: str, where: str, **request: Any) -> Mapping[str, Any]:
        if operation != "get_function":
            self._pace.wait()
        with self._bordered(where):
            answer: Mapping[str, Any] = getattr(self._sessions.control(), operation)(**request)
            return answer

    def _unhurried(self, operation: str, where: str, **request: Any) -> None:
        """While an update is under way Lambda refuses the next one."""
        from botocore.exceptions import ClientError

        until = time.monotonic() + BUSY_S
        while True:
            try:
                self._call(operation, where, **request)
                return
            except ProviderError as exc:
                foreign = exc.__cause__
                busy = isinstance(foreign, ClientError) and foreign.response["Error"]["Code"] == CONFLICT
                if not busy or time.monotonic() > until:
                    raise
            time.sleep(LOOK_S)

    def _await(self, waiter: str, name: str) -> None:
        from botocore.exceptions import WaiterError

        with self._bordered(name):
            try:
                self._sessions.control().get_waiter(waiter).wait(
                    FunctionName=platform_name(name), WaiterConfig={"Delay": LOOK_S, "MaxAttempts": LOOKS}
                )
            except WaiterError as exc:
                raise self._not_reached(exc, name) from exc

    def _not_reached(self, exc: Any, name: str) -> ProviderError:
        last = exc.last_response if isinstance(exc.last_response, Mapping) else {}
        if "Error" in last:
            return error_of(self._config, refusal_of(last, name))
        found = last.get("Configuration", {})
        why = found.get("LastUpdateStatusReason") or found.get("StateReason") or "Lambda does not say why"
        state = f"{found.get('State')}, {found.get('LastUpdateStatus')}"
        return ProviderError(
            f"Lambda could not make the function ready ({state}): {why}", where=name, hint="remove it, then deploy again"
        )

    def _bordered(self, where: str) -> AbstractContextManager[None]:
        return border(self._config, where, CONTROL_READ_S)


def _ours(found: Mapping[str, Any], fabric: str) -> bool:
    return str(found["FunctionName"]).startswith(fabric_prefix(fabric)) or _described(found, fabric)


def _described(found: Mapping[str, Any], fabric: str) -> bool:
    description = str(found.get("Description", ""))
    return description.startswith("FedKeeper ") and description.endswith(f" of {fabric}")
