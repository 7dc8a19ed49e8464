"""Small files that are either old or new, never half: written beside their place and renamed, for this user's eyes only."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fedkeeper.model import digest_of

LONGEST = 150


def write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, indent=1, sort_keys=True).encode())


def folder(path: Path) -> Path:
    """Make it, for this user alone."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def key_of(*parts: str) -> str:
    """A name for a file that belongs to these parts; readable unless it would be too long."""
    name = quote("/".join(parts), safe="")
    return name if len(name) <= LONGEST else digest_of(list(parts)).removeprefix("sha256:")
