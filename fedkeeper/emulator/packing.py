"""A vendor's zip made into one for the local platform: its files as they are, and the runner as `shim.py`.

    zip, runner files --repack--> Packed(data, digest, requirements, waits)

Deterministic: equal inputs give equal bytes, so functions with equal zips share one unpacked folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files as resource_files

from fedkeeper.errors import PackageError
from fedkeeper.providers.local import requirements

_EPOCH = (1980, 1, 1, 0, 0, 0)
_HANDLER = b'raise ModuleNotFoundError("No module named \'handler\'", name="handler")\n'
"""The local platform wants a handler.py; where the zip has none, importing it must fail as it would in the cloud."""
_RUNNERS = "fedkeeper.emulator.runners"


@dataclass(frozen=True)
class Packed:
    data: bytes
    digest: str  # "sha256:..."
    requirements: tuple[str, ...]  # of its requirements.txt, those that are installed here: worth importing beforehand
    waits: bool  # its function mostly waits for others


def runner_files(kind: str, runtime: str) -> dict[str, bytes]:
    """What stands beside the vendor's files, by the names it travels under. `runtime`: "local" or "real"."""
    source = resource_files(_RUNNERS)
    names = {"shim.py": f"{kind}_runner.py", "fedkeeper_runner.py": "common.py"}
    if runtime == "real":
        names |= {"shim.py": f"{kind}_real.py", f"{kind}_runner.py": f"{kind}_runner.py", "fedkeeper_process.py": "process.py"}
    if runtime == "real" and kind == "openwhisk":
        names["fedkeeper_proxy.py"] = "openwhisk_proxy.py"
    return {travels: (source / file).read_bytes() for travels, file in names.items()}


def repack(package: bytes, runner: Mapping[str, bytes], own: Iterable[str] = ()) -> Packed:
    """PackageError when it is no zip, or uses a name that is the runner's. `own`: requirements of the runner itself."""
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            return _repack(archive, runner, own)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as exc:
        raise PackageError(f"the package is not a zip that can be read: {exc}") from exc


def _repack(source: zipfile.ZipFile, runner: Mapping[str, bytes], own: Iterable[str]) -> Packed:
    names = source.namelist()
    if taken := sorted(set(runner).intersection(names)):
        raise PackageError(f"the zip's {', '.join(taken)} stands where the emulator puts its runner: give it another name")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for info in source.infolist():
            target.writestr(_entry(info.filename, info.external_attr), source.read(info))
        extra = dict(runner) if "handler.py" in names else {**runner, "handler.py": _HANDLER}
        for name, data in extra.items():
            target.writestr(_entry(name, 0o644 << 16), data)
    data = buffer.getvalue()
    installed = tuple(line for line in [*_lines(source), *own] if not requirements.missing([line]))
    return Packed(data, "sha256:" + hashlib.sha256(data).hexdigest(), installed, _waits(source))


def _entry(name: str, attributes: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = attributes
    entry.create_system = 3
    return entry


def _lines(source: zipfile.ZipFile) -> list[str]:
    """Plain requirement lines; options and addresses are for pip alone."""
    if "requirements.txt" not in source.namelist():
        return []
    text = source.read("requirements.txt").decode(errors="replace")
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [
        line for line in lines if line and not line.startswith("-") and "://" not in line and " @" not in line and _parses(line)
    ]


def _parses(line: str) -> bool:
    try:
        requirements.missing([line])
    except ValueError:  # packaging's InvalidRequirement
        return False
    return True


def _waits(source: zipfile.ZipFile) -> bool:
    """FedKeeper's own zips say what they are; an invoker waits for clients, and must not keep them from running."""
    if "fedkeeper_function.json" not in source.namelist():
        return False
    try:
        manifest = json.loads(source.read("fedkeeper_function.json"))
    except ValueError:
        return False
    return isinstance(manifest, dict) and manifest.get("role") == "fl_invoker"
