"""Refs: the names of blobs, made from their bytes. Apart from the codec, so that who only names blobs needs no NumPy.

parts --ref_of--> "sha256:..." ;  text from outside --parse_ref--> Ref
"""

from __future__ import annotations

import hashlib
import re

from fedkeeper.errors import CorruptData
from fedkeeper.model import Ref

_REF = re.compile(r"sha256:[0-9a-f]{64}\Z")


def ref_of(*parts: bytes | bytearray | memoryview) -> Ref:
    """`sha256:...` of the concatenation of `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return Ref("sha256:" + digest.hexdigest())


def parse_ref(text: object) -> Ref:
    """Check the form of a ref that came from outside."""
    if not isinstance(text, str) or not _REF.match(text):
        raise CorruptData(f"not a ref: {str(text)[:80]!r}")
    return Ref(text)
