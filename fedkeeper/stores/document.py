"""JSON documents as stores keep them: every backend writes and reads the same text, and refuses the same values.

    value --dumps--> bytes --backend--> bytes --loads--> value

NaN, infinity and foreign objects never get in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from fedkeeper.errors import CorruptData, StoreError
from fedkeeper.model import Json, Receipt

CONFLICT_HINT = "the same work gave two results: look for unseeded randomness in the task, or for two fabrics using one run id"


def dumps(value: Json) -> bytes:
    """One line of UTF-8 JSON, keys in the order given."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        hint = "leave out metrics that are NaN or infinite, and turn NumPy numbers into plain ones"
        raise StoreError(f"a document cannot be written as JSON: {exc}", hint=hint) from exc


def loads(text: bytes, what: str) -> dict[str, Json]:
    """Inverse of `dumps` for an object. `what` names the document when its text is not one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise CorruptData(f"{what} is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise CorruptData(f"{what} is not a JSON object")
    return value


def numbered(first_seq: int, events: Sequence[Mapping[str, Json]]) -> list[bytes]:
    """One line per event, "seq" first."""
    fields = [{key: value for key, value in event.items() if key != "seq"} for event in events]
    return [dumps({"seq": seq, **rest}) for seq, rest in enumerate(fields, first_seq)]


def receipt_from(text: bytes, what: str) -> Receipt:
    try:
        return Receipt.from_json(loads(text, what))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise CorruptData(f"{what} is not a receipt: {exc!r}") from exc


def _plain(value: object) -> Json:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
