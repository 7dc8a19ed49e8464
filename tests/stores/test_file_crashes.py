"""The file store after crashes at every byte, power cuts, edited files, and on a machine that says no."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fedkeeper.errors import CorruptData, StoreError
from fedkeeper.stores.file import FileStore
from fedkeeper.stores.file_disk import STALE_S
from fedkeeper.testing.store_fixtures import HELLO, RUN, STEP, ledger, receipt
from tests.stores.helpers import files, run_python


# --- crashes ---------------------------------------------------------------------------------------------------------
def test_a_ledger_cut_at_any_byte_loses_whole_batches(store: FileStore, root: Path) -> None:
    store.append(RUN, 0, [{"n": 0}])
    store.append(RUN, 1, [{"n": "a}"}, {"n": "☃\n"}, {"n": {"deep": {}}}])
    path = root / "runs" / RUN / "events.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        fresh = FileStore(store.url)
        count = 4 if cut == len(whole) else int(cut >= first)
        assert [event["seq"] for event in ledger(fresh)] == list(range(count))
        fresh.append(RUN, count, [{"n": "next"}])
        kept = whole[: (0, first)[count] if count < 2 else len(whole)]
        assert path.read_bytes() == kept + b'{"seq":%d,"n":"next"}\n' % count
        assert [event["seq"] for event in ledger(fresh)] == list(range(count + 1))


def test_a_tail_of_zeros_is_a_torn_tail(store: FileStore, root: Path) -> None:
    """What a file system may leave after a power cut."""
    store.append(RUN, 0, [{"n": 0}])
    with open(root / "runs" / RUN / "events.jsonl", "ab") as file:
        file.write(bytes(100_000))
    store.append(RUN, 1, [{"n": 1}])
    assert [event["n"] for event in ledger(FileStore(store.url))] == [0, 1]


def test_events_longer_than_a_look(store: FileStore) -> None:
    sizes = [70_000, 10, 16_384, 200_000]
    for seq, size in enumerate(sizes):
        store.append(RUN, seq, [{"text": "x" * size}])
    assert [len(event["text"]) for event in ledger(FileStore(store.url))] == sizes


@pytest.mark.parametrize("line", [b"{]}\n", b'{"n":1}\n', b'{"seq":"1"}\n', b'{"seq":7}\n'])
def test_a_ledger_that_was_edited_is_corrupt(store: FileStore, root: Path, line: bytes) -> None:
    store.append(RUN, 0, [{"n": 0}])
    with open(root / "runs" / RUN / "events.jsonl", "ab") as file:
        file.write(line)
    with pytest.raises(CorruptData, match=r"events\.jsonl"):
        ledger(FileStore(store.url))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"step":1}', b"\xff"])
def test_a_receipt_that_was_edited_is_corrupt(store: FileStore, root: Path, text: bytes) -> None:
    store.put_receipt(RUN, receipt())
    path = root / "runs/mnist-7/receipts/r0001%2Ftrain/c1.json"
    path.unlink()
    path.write_bytes(text)
    for look in (lambda: store.get_receipt(RUN, receipt().key), lambda: store.receipts(RUN, STEP)):
        with pytest.raises(CorruptData, match=r"c1\.json"):
            look()


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"name":"x"}', b'{"name":"x","record":3}'])
def test_a_record_that_was_edited_is_corrupt(store: FileStore, root: Path, text: bytes) -> None:
    store.put_record("run", RUN, {})
    (root / "records/run/mnist-7.json").write_bytes(text)
    for look in (lambda: store.get_record("run", RUN), lambda: store.records("run")):
        with pytest.raises(CorruptData, match=r"mnist-7\.json"):
            look()


def test_a_blob_emptied_by_a_power_cut_heals_when_it_is_written_again(store: FileStore, root: Path) -> None:
    path = root / "blobs/2c" / HELLO[9:]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    store.put_blob(b"hello")
    assert store.get_blob(HELLO) == b"hello"


def test_temporary_files_of_the_dead_are_swept(store: FileStore, root: Path) -> None:
    (root / "tmp" / "a folder").mkdir(parents=True)
    ages = {"old": STALE_S + 60, "young": 60.0}
    for name, age in ages.items():
        (root / "tmp" / name).write_bytes(b"half a blob")
        os.utime(root / "tmp" / name, (time.time() - age,) * 2)
    store.put_blob(b"hello")
    assert {path.name for path in (root / "tmp").iterdir()} == {"a folder", "young"}


# --- a machine that says no --------------------------------------------------------------------------------------------
FULL = """
import os, resource, sys
from fedkeeper.errors import StoreError
from fedkeeper.stores.file import FileStore
store = FileStore(sys.argv[1])
store.append("r", 0, [{"n": 0}])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for action in (
    lambda: store.put_blob(bytes(60_000), bytes(60_000)),
    lambda: store.append("r", 1, [{"n": 1}] * 10 + [{"text": "x" * 200_000}]),
    lambda: store.put_record("run", "r", {"text": "x" * 200_000}),
):
    try:
        action()
    except StoreError as exc:
        print("StoreError", bool(exc.hint))
        print(os.path.getsize(sys.argv[2]))
store.append("r", 1, [{"n": 1}])
print([event["n"] for event in store.read_events("r")])
"""


def test_a_full_disk_is_a_store_error_and_leaves_nothing_half(store: FileStore, root: Path) -> None:
    size = len(b'{"seq":0,"n":0}\n')
    lines = run_python(FULL, store.url, str(root / "runs/r/events.jsonl")).splitlines()
    assert lines == ["StoreError True", str(size)] * 3 + ["[0, 1]"]
    assert files(root) == {"runs/r/events.jsonl"}


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = FileStore(f"file:{tmp_path}/file/store")
    for action in (
        lambda: store.put_blob(b"hello"),
        lambda: store.open_blob(HELLO),
        lambda: store.put_receipt(RUN, receipt()),
        lambda: store.receipts(RUN, STEP),
        lambda: store.append(RUN, 0, [{}]),
        lambda: store.put_record("run", RUN, {}),
        lambda: store.get_record("run", RUN),
        lambda: store.lease(RUN).__enter__(),
    ):
        with pytest.raises(StoreError, match="cannot") as caught:
            action()
        assert "choose another folder" in caught.value.hint
        assert isinstance(caught.value.__cause__, OSError)
