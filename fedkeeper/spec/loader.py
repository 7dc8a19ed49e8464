"""Spec file -> Fabric, or one SpecError with every problem found.

    text --tree.read--> Document --overrides.apply--> data --schema--> Spec --checks--> --resolve.fabric--> Fabric

When the schema finds mistakes, the checks still run on what is left of the tree without them, so that nobody has to mend a file
one error at a time.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from fedkeeper.errors import OldSpecError, Problem, SpecError
from fedkeeper.model import Fabric, Json
from fedkeeper.spec import checks, messages, overrides, resolve, tree
from fedkeeper.spec.checks_files import FILES
from fedkeeper.spec.checks_reach import REACH
from fedkeeper.spec.document import Document, dotted_path, spec_error, split_lines
from fedkeeper.spec.document import Path as KeyPath
from fedkeeper.spec.reach import Probe, dataset_answers
from fedkeeper.spec.schema import build, json_schema, kinds
from fedkeeper.spec.sections import Spec

_OLD = re.compile(r"""version:\s*["']?0\.1["']?\s*(#.*)?""")
ALL_CHECKS = (*checks.CONSISTENCY, *FILES, *REACH)


def load(
    path: Path,
    *,
    providers: Mapping[str, type[BaseModel]],
    overrides: Sequence[tuple[str, str]] = (),
    text: str | None = None,
    probe: Probe | None = None,
    stored: bool = False,
) -> Fabric:
    """The fabric that the spec in `path` describes. `text` stands for the file's content when it is given; with `probe`,
    the addresses it names must answer; what is `stored` passed the checks before."""
    file = str(path)
    document = _read(read_text(Path(path)) if text is None else text, file)
    spec_file = Path(os.path.abspath(path))
    spec, problems = _validate(document, spec_file.parent, overrides, providers, probe, () if stored else ALL_CHECKS)
    if problems or spec is None:
        raise spec_error(document, problems)
    return resolve.fabric(spec, kinds(providers), spec_file)


def read_text(path: Path) -> str:
    """The file's text; SpecError says what to do when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise SpecError("the file is not there", file=str(path), hint="`fedkeeper init` writes a spec to start from") from exc
    except UnicodeDecodeError as exc:
        raise SpecError(f"the file is not UTF-8 text (byte {exc.start + 1})", file=str(path), hint="save it as UTF-8") from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise SpecError(f"the file cannot be read: {reason}", file=str(path)) from exc


def is_old(text: str) -> int | None:
    """The line of `version: 0.1`, even in a file that is not quite YAML; None when there is none."""
    for number, line in enumerate(split_lines(text), start=1):
        if _OLD.fullmatch(line.strip()) and line.startswith("version"):
            return number
    return None


def _read(text: str, file: str) -> Document:
    if line := is_old(text):
        hint = OldSpecError.default_hint
        problem = Problem("this file has the format of version 0.1", "version", line, 1, hint)
        raise OldSpecError(problem.message, problems=[problem], file=file, text=text)
    return tree.read(text, file)


@lru_cache(maxsize=8)
def _model(providers: tuple[tuple[str, type[BaseModel]], ...]) -> type[Spec]:
    return build(dict(providers))


@lru_cache(maxsize=8)
def _schema(providers: tuple[tuple[str, type[BaseModel]], ...]) -> dict[str, Json]:
    return json_schema(dict(providers))


def _validate(
    document: Document,
    root: Path,
    changes: Sequence[tuple[str, str]],
    providers: Mapping[str, type[BaseModel]],
    probe: Probe | None,
    wanted: Sequence[checks.Check],
) -> tuple[Spec | None, list[Problem]]:
    overrides.apply(document, changes)
    key, problems, spec = tuple(providers.items()), list(document.problems), None
    wrong: list[KeyPath] = []
    try:
        spec = _model(key).model_validate(document.data)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        problems += messages.problems_of(errors, document, _schema(key))
        wrong = [messages.place(error["loc"], document.data) for error in errors]
        spec = _salvage(document.data, wrong, _model(key))
    if spec is not None:
        context = checks.Context(document, spec, kinds(providers), root)
        found = checks.run(context, wanted)
        if probe is not None and not found and not problems:
            found = [*dataset_answers(context, probe)]
        problems += [problem for problem in found if not any(_under(problem, path) for path in wrong)]
    return spec, problems


def _salvage(data: Json, wrong: Sequence[KeyPath], model: type[Spec]) -> Spec | None:
    """The spec without its wrong values, when that is one. Wrong list items are not taken out: the rest would change places."""
    data = copy.deepcopy(data)
    for path in wrong:
        here = data
        for part in path[:-1]:
            known = (
                part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int) and part < len(here)
            )
            here = here[part] if known else None
        if isinstance(here, dict) and path:
            here.pop(path[-1], None)
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _under(problem: Problem, path: KeyPath) -> bool:
    """Whether a check complains of a value that was taken out, or of what lacks it."""
    wrong, named = dotted_path(path), problem.path
    return named == wrong or named.startswith((wrong + ".", wrong + "[")) or wrong.startswith((named + ".", named + "["))
