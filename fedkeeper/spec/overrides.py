"""`start --rounds 5 --set training.learning_rate=0.01` -> changes of the tree, before it is validated.

Only what concerns a run may be changed this way; the rest decides what is deployed, and needs an edit and a new deploy.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from fedkeeper.errors import Problem
from fedkeeper.model import Json
from fedkeeper.spec import tree
from fedkeeper.spec.document import Document, Path

LEARNING: Path = ("scenarios", "federated_learning")
_ROOTS = ("version", "name", "store", "functions_store", "keep", "providers", "scenarios")
_SECTION = 3
"""Parts in the path of a section such as `training`."""
_EDIT = "edit the file, then run `fedkeeper deploy`"
_DEPLOYED = ("task", "requirements", "files")


def apply(document: Document, overrides: Sequence[tuple[str, str]]) -> None:
    """Set each override in the document's data, and remember the flag that did; what is wrong goes to its problems."""
    if overrides:
        document.data = copy.deepcopy(document.data)
    for key, text in overrides:
        flag = f"--set {key}={text}"
        path = _absolute(key)
        if reason := _refusal(path):
            document.problems.append(Problem(f"{flag}: {reason[0]}", key, hint=reason[1]))
            continue
        try:
            value = tree.read_value(text)
        except ValueError as exc:
            document.problems.append(Problem(f"{flag}: {exc}", key))
            continue
        changed = _set(document.data, path, value)
        document.flags[changed] = flag


def _absolute(key: str) -> Path:
    parts = tuple(key.split("."))
    return parts if parts[0] in _ROOTS else (*LEARNING, *parts)


def _refusal(path: Path) -> tuple[str, str] | None:
    """Why `path` may not be overridden, and what to do; None when it may."""
    if path[:2] != LEARNING:
        return "only what concerns a run can be set for one `start`", _EDIT
    section, *keys = path[2:] or ("",)
    if section in ("training", "data") and not keys:
        return "name one of its keys", f"for example {section}.{'rounds' if section == 'training' else 'partition'}=..."
    if (section == "training" and keys[0] not in _DEPLOYED) or section == "data" or path[2:] == ("clients", "per_round"):
        return None
    if section in ("training", "server", "clients", "functions"):
        return "this is part of what is deployed", _EDIT
    return "there is no such key", "keys that can be set: training.*, data.*, clients.per_round"


def _set(data: Json, path: Path, value: Json) -> Path:
    """Mappings on the way are made, or take the place of what is none (`dataset: mnist` gives way to `data.dataset.path=...`).
    Returns the highest path below a section that is the flag's doing."""
    changed = path
    for depth, part in enumerate(path[:-1], start=1):
        below = data.get(part)
        if not isinstance(below, dict):
            below = data[part] = {}
            changed = min(changed, path[:depth], key=len) if depth > _SECTION else changed
        data = below
    data[path[-1]] = value
    return changed
