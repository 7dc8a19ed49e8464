"""One orchestrator per run: a document that its holder renews, and that runs out by the server's clock.

    leases  {_id: run, holder, host, machine, pid, started, until}

A holder that died on this machine is recognised at once, by its process id and start time; elsewhere the run is free when its time is
up. A holder that could not renew in time (a long outage, a suspended laptop) may have lost the run to another: it is not told, for the
ledger's fence refuses the next event it writes. A forked child has no renewing thread and gives nothing back.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from fedkeeper.errors import RunBusy, StoreError
from fedkeeper.stores.mongo_client import Connection, Document
from fedkeeper.stores.mongo_names import encoded

LEASE_S = 20.0
_RENEWALS = 4
"""Within the time of one lease."""
_TAKE = "take the run's lease"


@contextmanager
def lease(connection: Connection, run: str, lease_s: float = LEASE_S) -> Iterator[None]:
    holder, owner, done = ObjectId(), os.getpid(), threading.Event()
    _take(connection, run, holder, lease_s)
    renewing = threading.Thread(target=_renew, args=(connection, run, holder, lease_s, done), name="lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        if os.getpid() == owner:
            done.set()
            renewing.join()
            with suppress(StoreError):  # it runs out by itself
                mine = {"_id": encoded(run), "holder": holder}
                connection.call("give the run's lease back", lambda: connection.collection("leases").delete_one(mine), 0)


def _take(connection: Connection, run: str, holder: ObjectId, lease_s: float) -> None:
    """Free, run out or ours already: ours. Otherwise once more, when whoever has it is dead."""
    claim = [{"$replaceWith": {"_id": "$_id", **_claim(holder), "until": _from_now(lease_s)}}]
    name = encoded(run)
    free: list[Document] = [{"holder": holder}, {"$expr": {"$lt": ["$until", "$$NOW"]}}]
    for _ in range(2):
        if _claimed(connection, {"_id": name, "$or": free}, claim):
            return
        with suppress(DuplicateKeyError):
            _claimed(connection, {"_id": name, "holder": holder}, claim, upsert=True)
            return
        found = connection.call(_TAKE, lambda: connection.collection("leases").find_one({"_id": name}))
        if found and not _dead(found):
            raise RunBusy(f"run {run} is held by process {found['pid']} on {found['host']}")
        if found:
            free.append({"holder": found["holder"]})
    raise RunBusy(f"run {run} is held by another process")


def _claimed(connection: Connection, condition: Document, claim: list[Document], *, upsert: bool = False) -> bool:
    """Whether a document was there to be claimed."""
    done = connection.call(_TAKE, lambda: connection.collection("leases").update_one(condition, claim, upsert=upsert))
    return bool(done.matched_count)


def _renew(connection: Connection, run: str, holder: ObjectId, lease_s: float, done: threading.Event) -> None:
    mine = {"_id": encoded(run), "holder": holder}
    change = [{"$set": {"until": _from_now(lease_s)}}]
    while not done.wait(lease_s / _RENEWALS):
        with suppress(StoreError):  # the next renewal may reach it
            kept = connection.call("renew the lease", lambda: connection.collection("leases").update_one(mine, change), 0)
            if not kept.matched_count:
                return


def _from_now(lease_s: float) -> Document:
    return {"$add": ["$$NOW", int(lease_s * 1000)]}


def _claim(holder: ObjectId) -> Document:
    """Literal: a `$` in a host's name is no expression."""
    pid = os.getpid()
    facts = {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "started": _started(pid)}
    return {"holder": holder, **{name: {"$literal": fact} for name, fact in facts.items()}}


def _dead(found: Document) -> bool:
    """Known for sure: the holder ran where we can see its process."""
    return bool(found["machine"]) and found["machine"] == _machine() and _started(found["pid"]) != found["started"]


def _machine() -> str:
    """This boot of this machine and this space of process ids (a container has its own); "" when it cannot be known."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + os.readlink("/proc/self/ns/pid")
    return ""


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" when there is none, or only what is left of it."""
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    return ""
