"""Unpacked zips by digest, `<home>/packages/<sha256>/`: functions with equal packages share one folder.

bytes --digest checked--> temporary folder --rename--> packages/<sha256>
"""

from __future__ import annotations

import hashlib
import io
import shutil
import stat
import uuid
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from fedkeeper.errors import PackageError

NEEDED = ("shim.py", "handler.py")


def folder_of(packages: Path, digest: str) -> Path:
    return packages / digest.removeprefix("sha256:")


def unpack(packages: Path, digest: str, data: bytes) -> None:
    """Nothing is left behind on error; doing it twice, also at once, is doing it once."""
    target = folder_of(packages, digest)
    if target.is_dir():
        return
    if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
        raise PackageError(f"the zip is not the one its digest names ({digest})")
    temporary = packages / f".new-{uuid.uuid4().hex}"
    temporary.mkdir(parents=True)
    try:
        _extract(data, temporary)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def collect(packages: Path, used: Collection[str]) -> None:
    """Delete every package but the used ones. A folder is renamed away first, so that nobody finds half of it."""
    keep = {folder_of(packages, digest).name for digest in used}
    for folder in [path for path in packages.glob("*") if path.name not in keep]:
        doomed = folder if folder.name.startswith(".") else folder.rename(packages / f".old-{uuid.uuid4().hex}")
        shutil.rmtree(doomed, ignore_errors=True)


def _extract(data: bytes, target: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                _check(entry)
            absent = [name for name in NEEDED if name not in archive.namelist()]
            if absent:
                raise PackageError(f"the zip has no {' and no '.join(absent)} at its root")
            archive.extractall(target)
    except zipfile.BadZipFile as exc:
        raise PackageError(f"the package is not a zip: {exc}") from exc


def _check(entry: zipfile.ZipInfo) -> None:
    """`extractall` would quietly write such entries elsewhere inside the folder: refuse them loudly."""
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
        raise PackageError(f"the zip's entry {entry.filename!r} leaves its folder")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise PackageError(f"the zip's entry {entry.filename!r} is a link")
