"""Frames arrive whole however the stream is cut."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.providers.local.wire import CHUNK, PREFIX, Frame, Reader, WireError, pack, send

HEADERS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20) | st.none(), max_size=4)
FRAMES = st.lists(st.tuples(HEADERS, st.binary(max_size=300), st.binary(max_size=300)), min_size=1, max_size=8)


def receive(chunks: list[bytes]) -> list[Frame]:
    ours, theirs = socket.socketpair()
    found: list[Frame] = []
    with ours, theirs:
        reader = Reader(theirs)
        for chunk in chunks:
            ours.sendall(chunk)
            found += reader.read()
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            reader.read()
    return found


@given(FRAMES, st.lists(st.integers(1, 200), min_size=1, max_size=30))
def test_any_cut_gives_the_same_frames(frames: list[tuple[dict[str, object], bytes, bytes]], sizes: list[int]) -> None:
    stream = b"".join(bytes(part) for header, data, body in frames for part in pack(header, data, body))
    chunks: list[bytes] = []
    at = 0
    while at < len(stream):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(stream[at : at + size])
        at += size
    assert [(f.header, f.data, bytes(f.body)) for f in receive(chunks)] == frames


@pytest.mark.parametrize("size", [CHUNK - 40, CHUNK, 5 * CHUNK + 3])
def test_large_bodies_arrive_between_small_frames(size: int) -> None:
    body = bytes(n % 251 for n in range(size))
    ours, theirs = socket.socketpair()

    def write() -> None:
        for n in range(3):
            send(ours, {"n": n}, b"d", body)
            send(ours, {"small": n})
        ours.close()

    writer = threading.Thread(target=write)
    writer.start()
    found: list[Frame] = []
    with theirs:
        reader = Reader(theirs)
        while len(found) < 6:
            found += reader.read()
    writer.join()
    assert [frame.header for frame in found] == [h for n in range(3) for h in ({"n": n}, {"small": n})]
    assert all(bytes(frame.body) == body for frame in found[::2])


@pytest.mark.parametrize("stream", [PREFIX.pack(5, 0, 1 << 40), PREFIX.pack(3, 0, 0) + b"{]}", PREFIX.pack(2, 0, 0) + b"[]"])
def test_what_is_no_frame_is_refused(stream: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(stream)
        with pytest.raises(WireError):
            Reader(theirs, limit=1 << 20).read()
