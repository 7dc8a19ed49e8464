"""Files the spec names: they exist, can be used, and lie where those who need them can see them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from fedkeeper.errors import Problem
from fedkeeper.spec import builtin, resolve, taskfile
from fedkeeper.spec.checks import DATA, LEARNING, TRAINING, Check, Context, did_you_mean
from fedkeeper.spec.document import Path as KeyPath
from fedkeeper.spec.resolve import CLIENT, Place, absolute
from fedkeeper.spec.sections import Group, PathDataset, UrlDataset

_BRACES = re.compile(r"\{[^{}]*\}")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._, -]*\])?\s*((@\s*\S+)|([<>=!~]=?=?[^;]*))?(;.*)?")


def dataset(context: Context) -> Iterator[Problem]:
    """It is known, or a file that is there; some data exists for every client and for the evaluation."""
    section = context.learning.data
    if isinstance(section.dataset, str) and section.dataset not in builtin.DATASETS:
        yield context.problem((*DATA, "dataset"), f"there is no dataset `{section.dataset}`", _dataset_hint(section.dataset))
    if isinstance(section.dataset, PathDataset):
        yield from _npz(context, (*DATA, "dataset", "path"), section.dataset.path)
    if section.test:
        yield from _npz(context, (*DATA, "test"), section.test)
    if section.dataset is None:
        without = [resolve.group_name(group) for _, group, _ in context.groups() if group.file is None]
        if without:
            hint = "set data.dataset, for example mnist-sample, or a file for each group"
            yield context.problem(DATA, f"there is no dataset, and the clients of `{without[0]}` have no file", hint)
        elif section.test is None:
            yield context.problem(DATA, "there is nothing to evaluate on", "set data.test, an .npz with x and y, or data.dataset")


def remote_data(context: Context) -> Iterator[Problem]:
    """A file on this machine is seen only by functions that share it."""
    section = context.learning.data
    local = [((*DATA, "dataset", "path"), "the dataset")] if isinstance(section.dataset, PathDataset) else []
    hint = "give the dataset as {url: ..., sha256: ...}"
    for path, what in local:
        for _, group, place in context.groups():
            if place and not place.kind.shares_host and group.file is None:
                name = resolve.group_name(group)
                yield context.problem(
                    path, f"{what} is a file on this machine, the clients of `{name}` are on `{place.name}`", hint
                )
    if section.test:
        local.append(((*DATA, "test"), "the test data"))
        hint = "leave `test` out: the dataset's own test part is used"
    for path, what in local:
        if context.server and not context.server.kind.shares_host:
            yield context.problem(path, f"{what} is a file on this machine, the server is on `{context.server.name}`", hint)


def client_files(context: Context) -> Iterator[Problem]:
    """`file` is one per client, and there where it can be looked for."""
    for path, group, place in context.groups():
        if group.file is not None and place is not None:
            problem = _client_file(context, (*path, "file"), group, group.file, place)
            if problem:
                yield problem


def _client_file(context: Context, path: KeyPath, group: Group, file: str, place: Place) -> Problem | None:
    ids = resolve.client_ids(group)
    if wrong := [name for name in _BRACES.findall(file) if name != CLIENT]:
        return context.problem(path, f"`{wrong[0]}` is not known here", f"{CLIENT} stands for the client's id")
    if CLIENT not in file and len(ids) > 1:
        return context.problem(
            path, f"all {len(ids)} clients would train on one file", f"put {CLIENT} where the client's id belongs"
        )
    if not place.kind.shares_host:
        if not file.startswith("/"):
            return context.problem(path, f"`{place.name}` has other folders than this machine", "give the absolute path there")
        return None
    missing = [name for name in ids if not os.path.isfile(absolute(context.root, file.replace(CLIENT, name)))]
    if missing:
        shown = file.replace(CLIENT, missing[0])
        more = f", nor are those of {len(missing) - 1} more clients" if len(missing) > 1 else ""
        return context.problem(path, f"the file `{shown}` is not there{more}", _looked_in(shown))
    return None


def task(context: Context) -> Iterator[Problem]:
    name, path = context.learning.training.task, (*TRAINING, "task")
    if name in builtin.TASKS:
        return
    if not resolve.is_task_file(name):
        otherwise = "write the path of a Python file (tasks/my_task.py) or one of "
        yield context.problem(path, f"there is no task `{name}`", did_you_mean(name, builtin.TASKS, otherwise))
        return
    file = absolute(context.root, name)
    if not os.path.isfile(file):
        yield context.problem(path, f"the task file `{name}` is not there", _looked_in(name))
    elif error := taskfile.inspect(file).error:
        yield context.problem(
            path, f"the task file `{name}` cannot be used: {error}", "docs/tasks.md shows what a task file holds"
        )


def task_files(context: Context) -> Iterator[Problem]:
    section = context.learning.training
    for index, name in enumerate(section.files):
        if not os.path.exists(absolute(context.root, name)):
            yield context.problem((*TRAINING, "files", index), f"`{name}` is not there", _looked_in(name))
    for index, requirement in enumerate(section.requirements):
        if not _REQUIREMENT.fullmatch(requirement.strip()):
            hint = "write it as in a requirements file, for example scikit-learn>=1.3"
            yield context.problem((*TRAINING, "requirements", index), f"`{requirement}` is not a requirement", hint)


def start_from(context: Context) -> Iterator[Problem]:
    start, path = context.learning.training.start_from, (*TRAINING, "start_from")
    if start is None or resolve.is_ref(start):
        return
    if start.startswith("sha256:"):
        yield context.problem(path, f"`{start[:30]}` is not a model's id", "it is sha256: and 64 hexadecimal digits")
    elif not start.endswith(".safetensors"):
        yield context.problem(path, f"`{start}` is not a .safetensors file", "`fedkeeper export` writes one")
    elif not os.path.isfile(absolute(context.root, start)):
        yield context.problem(path, f"the checkpoint `{start}` is not there", _looked_in(start))


def function_paths(context: Context) -> Iterator[Problem]:
    for role in builtin.FUNCTIONS:
        name = context.learning.functions.of(role).path
        path = (*LEARNING, "functions", role.value, "path")
        if name and not os.path.isfile(os.path.join(absolute(context.root, name), "handler.py")):
            if os.path.isdir(absolute(context.root, name)):
                yield context.problem(
                    path, f"the folder `{name}` has no handler.py", f"functions/{role} in FedKeeper's source shows one"
                )
            else:
                yield context.problem(path, f"the folder `{name}` is not there", _looked_in(name))


def _npz(context: Context, path: KeyPath, name: str) -> Iterator[Problem]:
    if not name.endswith(".npz"):
        yield context.problem(path, f"`{name}` is not an .npz file", "numpy.savez writes one")
    elif not os.path.isfile(absolute(context.root, name)):
        yield context.problem(path, f"the file `{name}` is not there", _looked_in(name))


def _looked_in(name: str) -> str:
    """Paths are relative to the spec's folder, which people forget."""
    return "" if Path(name).is_absolute() or name.startswith("~") else "paths are relative to the folder of the spec"


def _dataset_hint(name: str) -> str:
    if name.startswith(("http://", "https://")):
        return "write dataset: {url: ..., sha256: ...}"
    if name.endswith(".npz") or "/" in name:
        return f"write dataset: {{path: {name}}}"
    return did_you_mean(name, builtin.DATASETS, "write {path: ...}, {url: ..., sha256: ...}, or one of ")


def mixed_dataset(context: Context) -> Iterator[Problem]:
    """A URL of a file that is no .npz is most likely a page, or one of the pickled arrays of version 0.1."""
    chosen = context.learning.data.dataset
    if isinstance(chosen, UrlDataset) and chosen.url.endswith((".obj", ".pkl", ".pickle")):
        yield context.problem(
            (*DATA, "dataset", "url"), "pickled data is not read", "convert it to .npz with numpy.savez, or use mnist"
        )


FILES: tuple[Check, ...] = (
    dataset, mixed_dataset, remote_data, client_files, task, task_files, start_from, function_paths,
)  # fmt: skip
