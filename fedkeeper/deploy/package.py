"""A function's zip, byte for byte reproducible: the same sources give the same digest on every machine.

    shim (provider; named as its platform wants) + handler.py + fedkeeper/<closure> + requirements.txt + fedkeeper_function.json
    + task/<task file, helpers> + data/<sample>                        -> Package(data, digest)

Files are sorted, stored uncompressed (zlib's output differs between versions), dated 1980, with fixed permissions.
"""

from __future__ import annotations

import ast
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as resource_files
from pathlib import Path

from fedkeeper.deploy.closure import closure
from fedkeeper.errors import PackageError
from fedkeeper.model import Json, Role
from fedkeeper.refs import ref_of

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A zip and its digest ("sha256:...")."""

    data: bytes
    digest: str
    requirements: tuple[str, ...]


@dataclass(frozen=True)
class TaskFiles:
    """What of the user's task travels: the file, its helpers, its requirements. `main` is its path in the zip."""

    main: str
    contents: Mapping[str, bytes]
    requirements: tuple[str, ...]


def build(
    role: Role,
    provider: str,
    *,
    modules: Sequence[str] = (),
    task: TaskFiles | None = None,
    data: Mapping[str, bytes] | None = None,
    requirements: Sequence[str] = (),
    folder: Path | None = None,
) -> Package:
    """The zip of `role` for a provider's clusters. `modules` are those named only in strings; `folder` replaces the
    packaged handler; `data` maps paths in the zip to contents."""
    handler, own = _handler(role, folder)
    shim, entry = _shim(provider)
    wanted = tuple(dict.fromkeys([*own, *requirements, *(task.requirements if task else ())]))
    manifest: dict[str, Json] = {"role": role.value, "provider": provider, "task": task.main if task else None}
    contents: dict[str, bytes] = {
        **closure([handler, shim], modules),
        "handler.py": handler.encode(),
        entry: shim.encode(),
        "requirements.txt": "".join(f"{line}\n" for line in wanted).encode(),
        "fedkeeper_function.json": json.dumps(manifest, sort_keys=True).encode(),
        **(task.contents if task else {}),
        **(data or {}),
    }
    zipped = make_zip(contents)
    return Package(zipped, ref_of(zipped), wanted)


def make_zip(contents: Mapping[str, bytes]) -> bytes:
    """A zip whose bytes depend on `contents` alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, wherever it is made
            archive.writestr(entry, contents[name])
    return buffer.getvalue()


def task_files(task: str, helpers: Iterable[str] = (), requirements: Iterable[str] = ()) -> TaskFiles:
    """The files of a built-in task (by name) or of the user's own (by path). Requirements are the spec's and the file's."""
    main = task_path(task)
    contents = {f"task/{main.name}": _read(main)}
    for helper in map(Path, helpers):
        found = sorted(path for path in helper.rglob("*") if path.is_file()) if helper.is_dir() else [helper]
        for path in found:
            if "__pycache__" not in path.parts:
                contents[f"task/{path.relative_to(helper.parent).as_posix()}"] = _read(path)
    declared = constant(main, "REQUIREMENTS") or ()
    return TaskFiles(f"task/{main.name}", contents, tuple(dict.fromkeys([*requirements, *map(str, declared)])))


def task_path(task: str) -> Path:
    """Where a task's file is: packaged for a built-in name, else the path itself."""
    builtin = Path(str(resource_files("fedkeeper.tasks"))) / f"{task.replace('-', '_')}.py"
    return Path(task) if "/" in task or task.endswith(".py") else builtin


def constant(path: Path, name: str) -> Json:
    """A literal constant at a file's top level, without running the file; None when there is none."""
    try:
        tree = ast.parse(_read(path))
    except SyntaxError as exc:
        raise PackageError(f"{path}: {exc.msg} (line {exc.lineno})") from exc
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            try:
                return ast.literal_eval(node.value)
            except ValueError as exc:
                raise PackageError(f"{path}:{node.lineno}: {name} must be a plain literal") from exc
    return None


def sample_bytes(name: str) -> bytes:
    """A data file that ships with the package."""
    return (resource_files("fedkeeper.samples") / name).read_bytes()


def _handler(role: Role, folder: Path | None) -> tuple[str, list[str]]:
    base = folder or Path(str(resource_files("fedkeeper.functions"))) / role.value
    text = _read(base / "handler.py").decode()
    listed = (base / "requirements.txt").read_text() if (base / "requirements.txt").exists() else ""
    lines = (line.split("#")[0].strip() for line in listed.splitlines())
    return text, [line for line in lines if line]


def _shim(provider: str) -> tuple[str, str]:
    """The provider's shim, and the name its platform wants it to have (the shim's constant ENTRY)."""
    path = Path(str(resource_files(f"fedkeeper.providers.{provider}"))) / "shim.py"
    return _read(path).decode(), str(constant(path, "ENTRY") or "shim.py")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise PackageError(f"cannot read {path}: {exc.strerror}") from exc
