"""Long-running operations: started at once, done in the background, asked for by name. Kept in memory, the newest 10,000.

start(verb, target, work) -> {"name": ".../operations/ID", "metadata": ...}      work() -> response | Refused -> error
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from fedkeeper.emulator.google_wire import Refused, timestamp

KEPT = 10_000
TYPES = {"create": "CREATE_FUNCTION", "update": "UPDATE_FUNCTION", "delete": "DELETE_FUNCTION"}
V2 = "type.googleapis.com/google.cloud.functions.v2"


class Operations:
    """Lives on the server's event loop; the work itself runs in threads, one per function at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, verb: str, target: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if target in self._busy:
            raise Refused(409, "unable to queue the operation: another one on this function is under way", status="ABORTED")
        parent = target.partition("/functions/")[0]
        name = f"{parent}/operations/operation-{int(self._clock() * 1000)}-{uuid.uuid4().hex[:20]}"
        metadata = {
            "@type": f"{V2}.OperationMetadata",
            "createTime": timestamp(self._clock()),
            "target": target,
            "verb": verb,
            "cancelRequested": False,
            "apiVersion": "v2",
            "operationType": TYPES[verb],
        }
        operation: dict[str, Any] = {"name": name, "metadata": metadata, "done": False}
        self._known[name] = operation
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        self._busy.add(target)
        begun = {**operation, "metadata": dict(metadata)}
        task = asyncio.get_running_loop().create_task(self._run(operation, target, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return begun

    def get(self, name: str) -> dict[str, Any] | None:
        return self._known.get(name)

    def of(self, parent: str) -> list[dict[str, Any]]:
        return [operation for name, operation in self._known.items() if name.startswith(f"{parent}/operations/")]

    async def _run(self, operation: dict[str, Any], target: str, work: Callable[[], dict[str, Any]]) -> None:
        ended: dict[str, Any]
        try:
            ended = {"response": await asyncio.to_thread(work)}
        except Refused as exc:
            ended = {"error": exc.rpc_status()}
        except Exception as exc:  # an operation must end, whatever happened
            ended = {"error": Refused(500, f"An internal error has occurred: {type(exc).__name__}: {exc}").rpc_status()}
        finally:
            self._busy.discard(target)
        operation["metadata"] = {**operation["metadata"], "endTime": timestamp(self._clock())}
        operation.update(ended, done=True)
