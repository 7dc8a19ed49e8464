"""Names of functions -> names of actions. OpenWhisk takes letters, digits, `_@.-` and inner spaces, 256 characters at most.

What FedKeeper names itself passes unchanged. Any other name keeps a readable stem and gets a hash of the whole, so that two
functions never share an action. The original stands in the annotation `fedkeeper-name`.
"""

from __future__ import annotations

import hashlib
import re

MAX_LENGTH = 256
_LEGAL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_@.\- ]*[A-Za-z0-9_@.\-])?", re.ASCII)
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.\-]+", re.ASCII)
_HASH = 10


def platform_name(name: str) -> str:
    """The action that serves the function `name`."""
    if len(name) <= MAX_LENGTH and _LEGAL.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    stem = _ILLEGAL.sub("-", name).lstrip("-.")[: MAX_LENGTH - _HASH - 1] or "f"
    return f"{stem}-{digest}"
