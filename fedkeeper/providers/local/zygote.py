"""A zygote: imports heavy libraries, runs nothing of them, then forks a worker for each request.

    platform --8 bytes: number, 2 descriptors: the worker's socket and output-->  zygote --fork--> worker.main
    platform <--ready, forked(number, pid), exited(number, status)--              zygote

TensorFlow can be forked after its import but not after its first operation, so nothing else ever happens here.
When the platform ends, its workers' whole process groups are killed and the zygote ends. Standard library only.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import select
import signal
import site
import socket
import struct
import traceback
import warnings
from collections.abc import Iterable
from typing import NoReturn

from . import worker
from .process import die_with_parent, kill_group
from .wire import send

NUMBER = struct.Struct("!Q")


def main(descriptor: str, user_site: str, *names: str) -> None:
    die_with_parent()  # while importing nobody reads the socket
    if user_site == "user-site":
        site.addsitedir(site.getusersitepackages())
    preload(names)
    gc.collect()
    gc.freeze()  # the collector of a worker must not touch, and so copy, what it shares with the others
    die_with_parent(0)  # from here the end of the socket tells, and leaves time to end the workers' children too
    Zygote(socket.socket(fileno=int(descriptor))).serve()


def preload(names: Iterable[str]) -> None:
    """Import what is importable. A library that fails here fails again, with its message, in the handler that needs it."""
    for name in names:
        try:
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name)
        except Exception:  # whatever a library raises at import
            traceback.print_exc()


class Zygote:
    def __init__(self, platform: socket.socket) -> None:
        self._platform = platform
        self._children: dict[int, int] = {}  # pid -> number
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=__name__)  # a library's threads do not run yet

    def serve(self) -> NoReturn:
        send(self._platform, {"op": "ready"})
        try:
            while True:
                ready, _, _ = select.select([self._platform, self._wake], [], [])
                if self._wake in ready:
                    self._drain()
                    self._reap()
                if self._platform in ready and not self._serve_request():
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # the platform is gone
        self._end()

    def _serve_request(self) -> bool:
        try:
            request, descriptors, _, _ = socket.recv_fds(self._platform, NUMBER.size, 2)
        except ConnectionResetError:
            return False
        if len(request) < NUMBER.size or len(descriptors) != 2:
            return False
        (number,) = NUMBER.unpack(request)
        try:
            self._fork(number, *descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _fork(self, number: int, sock: int, output: int) -> None:
        own_pid = os.getpid()
        try:
            pid = os.fork()
        except OSError as exc:
            send(self._platform, {"op": "exited", "number": number, "error": f"it could not be forked: {exc.strerror}"})
            return
        if pid == 0:
            self._become_worker(sock, output, own_pid)
        self._children[pid] = number
        send(self._platform, {"op": "forked", "number": number, "pid": pid})

    def _become_worker(self, sock: int, output: int, zygote_pid: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self._platform, self._wake, self._woken):
                inherited.close()
            worker.main(sock, output, zygote_pid)
            code = 0
        except BaseException:  # the zygote's own code must never go on in a worker
            traceback.print_exc()
        finally:
            os._exit(code)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake.recv(4096):
                pass

    def _reap(self) -> None:
        while self._children:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            kill_group(ended.si_pid)  # what it left behind; the dead leader still keeps its number from being used again
            pid, status = os.waitpid(ended.si_pid, 0)
            number = self._children.pop(pid, None)
            if number is not None:
                send(self._platform, {"op": "exited", "number": number, "status": status})

    def _end(self) -> NoReturn:
        for pid in self._children:
            kill_group(pid)
        for pid in self._children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        os._exit(0)
