"""MongoDB that is absent, goes away, comes back, refuses: what was answered for is there, and errors are one clear line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from bson import ObjectId
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedkeeper.errors import Fenced, StoreError, StoreUnreachable
from fedkeeper.refs import ref_of
from fedkeeper.stores.mongo import MongoStore
from fedkeeper.stores.mongo_rights import COLLECTIONS, least_rights
from fedkeeper.stores.registry import grant
from fedkeeper.testing.mongod import Mongod, free_port
from fedkeeper.testing.store_fixtures import ABSENT, HELLO, RUN, STEP, ledger, receipt

PASSWORD = "s3cret/@:"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Mongod]:
    """One that a test may kill."""
    with Mongod(tmp_path / "own") as server:
        yield server


# --- away --------------------------------------------------------------------------------------------------------------
def test_an_absent_server_is_one_line_soon() -> None:
    port = free_port()
    store = MongoStore(f"mongodb://me:{PASSWORD[:6]}@127.0.0.1:{port}/db")
    began = time.monotonic()
    with closing(store), pytest.raises(StoreUnreachable) as caught:
        store.put_blob(b"hello")
    assert 4 < time.monotonic() - began < 7
    assert str(caught.value).count("\n") == 0
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "refused" in str(caught.value)
    assert PASSWORD[:6] not in f"{caught.value}{caught.value.hint}"
    assert len(str(caught.value)) < 150
    assert caught.value.retryable


def test_patience_ends(own_server: Mongod) -> None:
    with closing(MongoStore(own_server.url_of("db", serverSelectionTimeoutMS="200"), patience_s=1.0)) as store:
        store.put_record("a", "b", {})
        own_server.kill()
        began = time.monotonic()
        with pytest.raises(StoreUnreachable):
            store.get_record("a", "b")
        assert 0.5 < time.monotonic() - began < 4


def test_a_server_that_is_killed_and_comes_back_loses_nothing_it_answered_for(own_server: Mongod) -> None:
    """Writers of every kind go on through a crash; each write is answered, and each answer survives a second one."""
    answered: dict[str, list[int]] = {"blob": [], "receipt": [], "event": [], "record": []}
    stop = threading.Event()
    failures: list[BaseException] = []
    store = MongoStore(own_server.url_of("db", serverSelectionTimeoutMS="1000"))
    writes: dict[str, Callable[[int], object]] = {
        "blob": lambda n: store.put_blob(n.to_bytes(4, "little") * 1_000_000),
        "receipt": lambda n: store.put_receipt(RUN, receipt(f"c{n}")),
        "event": lambda n: store.append(RUN, n, [{"n": n}]),
        "record": lambda n: store.put_record("numbers", "last", {"n": n}),
    }

    def write(kind: str) -> None:
        number = 0
        try:
            while not stop.is_set():
                assert writes[kind](number) is not False
                answered[kind].append(number)
                number += 1
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(kind,)) for kind in writes]
    with closing(store):
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        own_server.kill()
        own_server.start()
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        own_server.kill()
        own_server.start()
        assert all(len(numbers) > 1 for numbers in answered.values())
        for n in answered["blob"]:
            data = n.to_bytes(4, "little") * 1_000_000
            assert store.get_blob(ref_of(data)) == data
        assert set(store.receipts(RUN, STEP)) == {f"c{n}" for n in answered["receipt"]}
        assert [event["n"] for event in ledger(store)] == answered["event"]
        assert store.get_record("numbers", "last") == {"n": answered["record"][-1]}


LOST = {"closeConnection": True}, {"writeConcernError": {"code": 64, "errmsg": "timed out", "errInfo": {"wtimeout": True}}}


@pytest.mark.parametrize("how", LOST, ids=["before it was done", "after it was done"])
def test_an_insert_whose_answer_was_lost_is_made_once(own_server: Mongod, how: dict[str, object]) -> None:
    failing = {"failCommands": ["insert"], "appName": "fedkeeper", **how}
    writes: list[Callable[[], object]] = []
    with own_server.client() as admin, closing(MongoStore(own_server.url_of("db", retryWrites="false"))) as store:
        store.put_record("a", "b", {})
        writes += [
            lambda: store.append(RUN, 0, [{"n": 0}]),
            lambda: store.put_receipt(RUN, receipt()),
            lambda: store.put_blob(bytes(3_000_000)),
        ]
        for write in writes:
            admin.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=failing)
            assert write() is not False
            met = admin.admin.command("configureFailPoint", "failCommand", mode="off")
            assert met["count"] >= 1
        assert [event["n"] for event in ledger(store)] == [0]
        with pytest.raises(Fenced):
            store.append(RUN, 0, [{"n": 0}])


# --- refusals ----------------------------------------------------------------------------------------------------------
def test_a_wrong_password_is_said_and_not_shown(locked_mongod: Mongod) -> None:
    with closing(MongoStore(locked_mongod.url_of("db", password="wr0ng"))) as store, pytest.raises(StoreError) as caught:
        store.has_blob(HELLO)
    assert "does not accept the user or the password" in str(caught.value)
    assert "wr0ng" not in f"{caught.value}{caught.value.hint}"
    assert not isinstance(caught.value, StoreUnreachable)


def test_without_signing_in_a_right_is_missing(locked_mongod: Mongod) -> None:
    with closing(MongoStore(f"mongodb://127.0.0.1:{locked_mongod.port}/db")) as store, pytest.raises(StoreError, match="sign in"):
        store.put_record("a", "b", {})


@pytest.fixture(params=["", "lab"])
def urls(request: pytest.FixtureRequest, locked_mongod: Mongod) -> tuple[str, str]:
    """The orchestrator's and the functions'."""
    database, user = f"t{ObjectId()}", f"functions-{ObjectId()}"
    prefix = {"fedkeeperPrefix": request.param} if request.param else {}
    return locked_mongod.url_of(database, **prefix), locked_mongod.url_of(database, user, PASSWORD, **prefix)


def test_a_function_may_put_and_read_and_nothing_else(urls: tuple[str, str]) -> None:
    user = urls[1].split("//")[1].split(":")[0]
    assert grant(*urls) == grant(*urls) == user
    with closing(MongoStore(urls[1])) as function, closing(MongoStore(urls[0])) as orchestrator:
        ref = function.put_blob(bytes(5 << 20))
        assert function.put_blob(bytes(5 << 20)) == ref
        assert function.get_blob(orchestrator.put_blob(b"hello")) == b"hello"
        assert function.put_receipt(RUN, receipt()) is True
        assert function.put_receipt(RUN, receipt()) is False
        assert orchestrator.receipts(RUN, STEP) == {"c1": receipt()}
        orchestrator.append(RUN, 0, [{"n": 0}])
        orchestrator.put_record("a", "b", {})
        for what, forbidden in {
            "events": lambda: function.append(RUN, 1, [{"n": 1}]),
            "records": lambda: function.put_record("a", "b", {"n": 1}),
            "leases": lambda: function.lease(RUN).__enter__(),
            "blobs": lambda: function.drop_blobs([ref], function.clock() + 60),
        }.items():
            with pytest.raises(StoreError, match=rf"the credential lacks the right to \w+ in \S*{what}") as caught:
                forbidden()
            assert PASSWORD not in f"{caught.value}{caught.value.hint}"
        assert (orchestrator.get_record("a", "b"), len(ledger(orchestrator)), orchestrator.has_blob(ref)) == ({}, 1, True)


def test_who_may_not_make_users_is_told(urls: tuple[str, str]) -> None:
    grant(*urls)
    other = urls[1].replace("functions-", "more-")
    with pytest.raises(StoreError, match="the credential lacks") as caught:
        grant(urls[1], other)
    assert PASSWORD not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    "functions_store",
    [
        "mongodb://127.0.0.1/db",
        "mongodb://f:p@127.0.0.1/another",
        "mongodb://f:p@h/db?fedkeeperPrefix=x",
        "mongodb://a:p@h/db",
        "file:/x",
    ],
)
def test_a_grant_that_makes_no_sense(functions_store: str) -> None:
    with pytest.raises(StoreError) as caught:
        grant("mongodb://a:p@h/db", functions_store)
    assert caught.value.hint


def test_the_rights_are_as_few_as_can_be() -> None:
    rights = least_rights("db", "lab_")
    assert [each["resource"] for each in rights] == [{"db": "db", "collection": f"lab_{name}"} for name in COLLECTIONS]
    assert {action for each in rights for action in each["actions"]} == {"find", "insert"}


# --- TLS ---------------------------------------------------------------------------------------------------------------
@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself, with its key."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fedkeeper-test")]),
    )
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    path = tmp_path / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def test_tls_is_verified_unless_the_url_says_otherwise(tmp_path: Path, certificate: Path) -> None:
    with Mongod(tmp_path / "tls", replica_set=False, tls=certificate) as server:
        plain = f"mongodb://127.0.0.1:{server.port}/db?serverSelectionTimeoutMS=1000"
        for good in (server.url, f"{plain}&tls=true&tlsInsecure=true"):
            with closing(MongoStore(good)) as store:
                assert store.get_blob(store.put_blob(b"hello")) == b"hello"
        with closing(MongoStore(f"{plain}&tls=true")) as store, pytest.raises(StoreUnreachable) as caught:
            store.has_blob(HELLO)
        assert "tlsCAFile" in caught.value.hint
        with closing(MongoStore(plain)) as store, pytest.raises(StoreUnreachable) as caught:
            store.has_blob(ABSENT)
        assert "TLS" in caught.value.hint
