"""What the file store promises beyond the contract: its layout, safe names, shared readers, cheap looks, leases and forks."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.errors import RunBusy, StoreError
from fedkeeper.model import Receipt, StepKey
from fedkeeper.stores.file import FileStore
from fedkeeper.stores.file_disk import safe_name
from fedkeeper.testing.store_fixtures import HELLO, RUN, STEP, ledger, receipt
from tests.stores.helpers import files, run_python


def test_layout(store: FileStore, root: Path) -> None:
    store.put_blob(b"hello")
    store.put_receipt(RUN, receipt())
    store.append(RUN, 0, [{"n": 0}, {"n": 1}])
    store.put_record("run", RUN, {"created": 1})
    with store.lease(RUN):
        assert files(root) == {
            f"blobs/2c/{HELLO[9:]}",
            "runs/mnist-7/receipts/r0001%2Ftrain/c1.json",
            "runs/mnist-7/events.jsonl",
            "runs/mnist-7/lease",
            "records/run/mnist-7.json",
        }
    assert (root / "runs/mnist-7/events.jsonl").read_bytes() == b'{"seq":0,"n":0} \n{"seq":1,"n":1}\n'


def test_looking_makes_nothing(store: FileStore, root: Path) -> None:
    assert not store.has_blob(HELLO)
    assert (store.get_receipt(RUN, receipt().key), store.receipts(RUN, STEP), ledger(store), store.runs()) == (None, {}, [], [])
    store.delete_record("run", RUN)
    assert not root.exists()


@pytest.mark.parametrize(
    "url", ["file:relative", "file:", "file://host/path", "file:/a?durability=maybe", "file:/a?colour=red", "memory:"]
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        FileStore(url)
    assert caught.value.hint


def test_three_slashes_are_one(tmp_path: Path) -> None:
    FileStore(f"file://{tmp_path}/s").put_blob(b"hello")
    assert FileStore(f"file:{tmp_path}/s").has_blob(HELLO)


def test_a_shortened_name_cannot_be_forged() -> None:
    shortened = safe_name("x" * 1000)
    assert len(shortened) == 200
    assert safe_name(shortened) != shortened


@given(st.lists(st.text(), unique=True, max_size=20))
def test_names_are_safe_and_different(names: list[str]) -> None:
    encoded = [safe_name(name) for name in names]
    assert len(set(encoded)) == len(names)
    for name in encoded:
        assert 0 < len(name) <= 200
        assert "/" not in name
        assert not name.startswith(".")
        assert name.isascii()
        assert name.isprintable()


# --- blobs -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_what_was_read_outlives_the_reader(store: FileStore, size: int) -> None:
    data = os.urandom(size)
    reader = store.open_blob(store.put_blob(data))
    view = reader.read()
    reader.close()
    assert bytes(view) == data
    assert memoryview(view).readonly


def test_threads_may_share_a_reader(store: FileStore) -> None:
    data = os.urandom(1_000_000)
    with closing(store.open_blob(store.put_blob(data))) as blob:

        def part(start: int) -> bytes:
            target = bytearray(10_000)
            blob.read_into(start, memoryview(target))
            return bytes(target)

        with ThreadPoolExecutor(8) as pool:
            assert b"".join(pool.map(part, range(0, 1_000_000, 10_000))) == data


def test_a_put_waits_for_a_drop_and_counts_from_then_on(store: FileStore, root: Path) -> None:
    folder = root / "blobs" / HELLO[7:9]
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        fd = os.open(folder, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        put = pool.submit(store.put_blob, b"hello")
        time.sleep(0.1)
        before = store.clock()
        assert not put.done()
        os.close(fd)
        assert put.result(5) == HELLO
    assert store.drop_blobs([HELLO], before) == 0


def test_a_drop_waits_for_a_put(store: FileStore, root: Path) -> None:
    store.put_blob(b"hello")
    with ThreadPoolExecutor(1) as pool:
        fd = os.open(root / "blobs" / HELLO[7:9], os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_SH)
        drop = pool.submit(store.drop_blobs, [HELLO], store.clock() + 60)
        time.sleep(0.1)
        assert not drop.done()
        assert store.put_blob(b"hello") == HELLO
        os.close(fd)
        assert drop.result(5) == 1


# --- receipts and lease ------------------------------------------------------------------------------------------------
def test_known_receipts_are_not_read_again(store: FileStore, root: Path) -> None:
    subjects = [f"client-{number}" for number in range(50)]
    for subject in subjects:
        store.put_receipt(RUN, receipt(subject))
    for path in (root / "runs/mnist-7/receipts/r0001%2Ftrain").iterdir():
        path.chmod(0o600)
        path.write_bytes(b"reading me is an error")
    store.put_receipt(RUN, receipt("new one"))
    assert set(store.receipts(RUN, STEP, known=subjects)) == {"new one"}


def test_readers_of_a_step_meet_whole_receipts_only(store: FileStore) -> None:
    stop = threading.Event()
    wide = {f"metric {number}": float(number) for number in range(500)}

    def write() -> None:
        for number in range(200):
            store.put_receipt(RUN, Receipt(StepKey(STEP, f"c{number}"), {}, {}, 1, wide))
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: set[str] = set()
    while not stop.is_set():
        new = store.receipts(RUN, STEP, seen)
        assert all(found.metrics == wide for found in new.values())
        seen |= set(new)
    writer.join()
    assert len(seen | set(store.receipts(RUN, STEP, seen))) == 200


def test_the_holder_of_a_lease_is_named(store: FileStore) -> None:
    with store.lease(RUN), pytest.raises(RunBusy, match=f"held by process {os.getpid()}"), store.lease(RUN):
        raise AssertionError("two holders")


FORK = """
import os, sys
from fedkeeper.errors import RunBusy
from fedkeeper.stores.file import FileStore
holder, other = FileStore(sys.argv[1]), FileStore(sys.argv[1])
ready, wait = os.pipe(), os.pipe()
with holder.lease("r"):
    if os.fork() == 0:
        os.write(ready[1], b"x")
        os.close(wait[1])
        os.read(wait[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    try:
        with other.lease("r"):
            print("two holders")
    except RunBusy:
        print("busy")
with other.lease("r"):
    print("free while the child lives")
os.close(wait[1])
os.wait()
"""


def test_a_forked_child_neither_frees_nor_keeps_the_lease(store: FileStore) -> None:
    assert run_python(FORK, store.url).splitlines() == ["busy", "free while the child lives"]


def test_records_are_plain_json_for_people(store: FileStore, root: Path) -> None:
    store.put_record("run", "a/b", {"created": 1})
    assert json.loads((root / "records/run/a%2Fb.json").read_text()) == {"name": "a/b", "record": {"created": 1}}
