"""Another process on the same store, for the contract suite: races, leases and sudden death need a real one.

    StoreProcess(url)  --one JSON list a line-->  `python -m fedkeeper.testing.store_process URL`  --one JSON line each-->

    ["receipt", run, step, subject, model]  -> true | false | error      ["append", run, first_seq, [event, ...]]  -> null | error
    ["blob", size, byte]                    -> ref | error               ["lease", run]  -> "held" (until death) | error
    ["drop", [ref, ...], before]            -> how many | error

An error is answered as {"error": class name}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from types import TracebackType

from fedkeeper.errors import FedKeeperError
from fedkeeper.model import Json, Receipt, Ref, StepKey
from fedkeeper.stores.base import Store
from fedkeeper.stores.registry import open_store


class StoreProcess:
    """`send` does not wait, so that several can work at once; `answer` does. Dies at the end of the `with`."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "fedkeeper.testing.store_process", url]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, *request: Json) -> None:
        assert self._child.stdin
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()

    def answer(self) -> Json:
        assert self._child.stdout
        return json.loads(self._child.stdout.readline())

    def ask(self, *request: Json) -> Json:
        self.send(*request)
        return self.answer()

    def kill(self) -> None:
        """SIGKILL: no handler, no clean-up."""
        self._child.kill()
        self._child.wait()

    def __enter__(self) -> StoreProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        for stream in (self._child.stdin, self._child.stdout):
            if stream:
                stream.close()


def serve(url: str) -> None:
    store = open_store(url)
    with ExitStack() as leases:
        for line in sys.stdin:
            try:
                answer = perform(store, leases, *json.loads(line))
            except FedKeeperError as exc:
                answer = {"error": type(exc).__name__}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def perform(store: Store, leases: ExitStack, verb: str, *args: Json) -> Json:
    if verb == "receipt":
        run, step, subject, model = args
        return store.put_receipt(run, Receipt(StepKey(step, subject), {}, {"model": Ref(model)}))
    if verb == "append":
        return store.append(*args)
    if verb == "blob":
        size, byte = args
        return store.put_blob(bytes([byte]) * size)
    if verb == "drop":
        return store.drop_blobs(*args)
    if verb == "lease":
        leases.enter_context(store.lease(*args))
        return "held"
    raise ValueError(verb)


if __name__ == "__main__":
    serve(sys.argv[1])
