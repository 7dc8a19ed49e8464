"""What a function of ours is called on Lambda, and how it is recognised there.

FunctionSpec.name --platform_name--> [a-zA-Z0-9-_]{1,64}        the original stays in the tag `fedkeeper:function`

A name that has to be changed ends with a hash of the original, so two different names never become one.
"""

from __future__ import annotations

import hashlib
import re

TAG_FABRIC = "fedkeeper:fabric"
TAG_FUNCTION = "fedkeeper:function"
TAG_ROLE = "fedkeeper:role"
TAG_DIGEST = "fedkeeper:digest"  # written last: a function without it is not finished

_LONGEST = 64
_HASH = 10
_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")


def platform_name(name: str) -> str:
    """`name` itself where Lambda takes it."""
    safe = _REFUSED.sub("-", name)
    if safe == name and 0 < len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{safe[: _LONGEST - _HASH - 1]}-{digest}"


def fabric_prefix(fabric: str) -> str:
    """What the platform names of a fabric's functions begin with, as far as shortening leaves it."""
    return _REFUSED.sub("-", fabric)[: _LONGEST - _HASH - 1]
