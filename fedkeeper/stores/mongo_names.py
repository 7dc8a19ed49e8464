"""Names from outside as parts of an `_id`, and all `_id`s that begin alike.

    "r0001/train" -> "r0001/train"      "lone \\ud800" -> "lone \\\\ud800"      any string, reversible, plain ASCII

An `_id` is a small document. MongoDB orders documents field by field, so one range of the `_id` index holds all those with the same
first fields: no other index is needed, and nobody needs the right to make one.
"""

from __future__ import annotations

from typing import Any

from bson.max_key import MaxKey
from bson.min_key import MinKey


def encoded(name: str) -> str:
    return name.encode("unicode_escape").decode("ascii")


def decoded(name: str) -> str:
    return name.encode("ascii").decode("unicode_escape")


def beginning(**first: Any) -> dict[str, Any]:
    """The condition for every `_id` whose first fields are these and which has one more."""
    return {"$gte": {**first, "": MinKey()}, "$lte": {**first, "": MaxKey()}}
