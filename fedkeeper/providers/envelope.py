"""How parameters and a body of bytes travel through a platform, one form for platforms with binary HTTP and one for JSON-only ones.

    seal(params, body)      -> bytes       u64 length, JSON, body           Google: the HTTP body, both ways
    seal_json(params, body) -> {"params": ..., "body": base64}              OpenWhisk, Lambda: event and answer

Standard library only: it travels in every zip, and `nodeinfo` runs without NumPy. Malformed input is CorruptData.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

from fedkeeper.errors import CorruptData
from fedkeeper.model import Json

_LENGTH = 8
_MAX_HEADER = 1 << 26


def seal(header: Json, body: bytes | memoryview = b"") -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, body])


def unseal(data: bytes | memoryview) -> tuple[Json, bytes]:
    view = memoryview(data)
    length = int.from_bytes(view[:_LENGTH], "little") if len(view) >= _LENGTH else _MAX_HEADER
    if length > _MAX_HEADER or _LENGTH + length > len(view):
        raise CorruptData("not an envelope: too short")
    try:
        header = json.loads(bytes(view[_LENGTH : _LENGTH + length]))
    except ValueError as exc:
        raise CorruptData(f"not an envelope: {exc}") from exc
    return header, bytes(view[_LENGTH + length :])


def seal_json(header: Json, body: bytes | memoryview = b"") -> dict[str, Json]:
    sealed: dict[str, Json] = {"params": header}
    if len(body):
        sealed["body"] = base64.b64encode(body).decode("ascii")
    return sealed


def unseal_json(data: Mapping[str, Json]) -> tuple[Json, bytes]:
    try:
        return data["params"], base64.b64decode(data.get("body", ""), validate=True)
    except (KeyError, TypeError, AttributeError, binascii.Error) as exc:
        raise CorruptData(f"not an envelope: {exc}") from exc
