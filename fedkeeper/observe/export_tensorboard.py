"""A run's curves as an event file that TensorBoard reads, written without TensorFlow.

RunView, events --write--> FOLDER/events.out.tfevents.<started>.<run>

The file is a row of TFRecords (length, its checksum, data, its checksum), each holding one `Event` message of
tensorboard/compat/proto/event.proto: 1 wall_time, 2 step, 3 file_version, 5 summary { 1 value { 1 tag, 2 simple_value } }.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from fedkeeper.errors import UsageError
from fedkeeper.events import Event
from fedkeeper.observe.rows import RunView

_COLUMNS = ("accuracy", "loss", "total_s", "invoke_s", "train_s", "aggregate_s", "evaluate_s", "clients", "succeeded")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


def write(folder: Path, view: RunView, events: Iterable[Event]) -> Path:
    """One file per run; writing it again replaces it."""
    target = folder / f"events.out.tfevents.{int(view.started)}.{view.run}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(_record(message) for message in _messages(view, events)))
    except OSError as exc:
        raise UsageError(f"cannot write {target}: {exc.strerror}") from exc
    return target


def _messages(view: RunView, events: Iterable[Event]) -> Iterator[bytes]:
    times = {int(event["round"]): float(event["time"]) for event in events if event["type"] in ("committed", "evaluated")}
    yield _field(1, _FIXED64, struct.pack("<d", view.started)) + _field(3, _BYTES, b"brain.Event:2")
    for row in view.rounds:
        found = [(_tag(name), getattr(row, name)) for name in _COLUMNS]
        values = b"".join(_value(tag, float(number)) for tag, number in found if number is not None)
        when = struct.pack("<d", times.get(row.round, view.updated))
        yield _field(1, _FIXED64, when) + _field(2, _VARINT, _varint(row.round)) + _field(5, _BYTES, values)


def _tag(column: str) -> str:
    """Times are charts of one group."""
    return f"seconds/{column.removesuffix('_s')}" if column.endswith("_s") else column


def _value(tag: str, number: float) -> bytes:
    try:
        packed = struct.pack("<f", number)
    except OverflowError:  # more than 32 bits hold
        packed = struct.pack("<f", float("inf"))
    return _field(1, _BYTES, _field(1, _BYTES, tag.encode()) + _field(2, _FIXED32, packed))


def _field(number: int, kind: int, data: bytes) -> bytes:
    return _varint(number << 3 | kind) + (_varint(len(data)) if kind == _BYTES else b"") + data


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _masked(data: bytes) -> int:
    """TFRecord's checksum: CRC-32C, turned by 15 bits and shifted, so that a checksum of checksums stays one."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_entry, range(256)))
