"""What sections must know of each other: names that must exist, counts that must fit. Composes all checks of a valid tree.

    names and counts (here)   files (checks_files)   who can reach what, within which limits (checks_reach)

Each check yields problems at the line to change; none of them stops another.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from fedkeeper.errors import Problem
from fedkeeper.fields import env_name
from fedkeeper.model import Json
from fedkeeper.spec import builtin, resolve
from fedkeeper.spec.document import Document
from fedkeeper.spec.document import Path as KeyPath
from fedkeeper.spec.resolve import Place
from fedkeeper.spec.schema import Kind
from fedkeeper.spec.sections import FederatedLearning, Group, Spec

LEARNING: KeyPath = ("scenarios", "federated_learning")
GROUPS: KeyPath = (*LEARNING, "clients", "groups")
TRAINING: KeyPath = (*LEARNING, "training")
DATA: KeyPath = (*LEARNING, "data")


@dataclass(frozen=True)
class Context:
    """What every check may look at."""

    document: Document
    spec: Spec
    kinds: Mapping[str, Kind]
    root: Path

    @property
    def learning(self) -> FederatedLearning:
        return self.spec.scenarios.federated_learning

    @cached_property
    def places(self) -> Mapping[str, Place]:
        return {place.name: place for place in reversed([*resolve.places(self.spec, self.kinds)])}

    @property
    def server(self) -> Place | None:
        return self.places.get(self.learning.server.cluster)

    def groups(self) -> Iterator[tuple[KeyPath, Group, Place | None]]:
        for index, group in enumerate(self.learning.clients.groups):
            yield (*GROUPS, index), group, self.places.get(group.cluster)

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        return self.document.problem(path, message, hint)


Check = Callable[[Context], Iterator[Problem]]


def run(context: Context, checks: Iterable[Check]) -> list[Problem]:
    return [problem for check in checks for problem in check(context)]


def did_you_mean(word: str, choices: Iterable[str], otherwise: str) -> str:
    known = list(choices)
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean `{near[0]}`?" if near else otherwise + ", ".join(known)


def clusters(context: Context) -> Iterator[Problem]:
    """There are some, and their names are unique over all kinds."""
    seen: dict[str, Place] = {}
    for place in resolve.places(context.spec, context.kinds):
        if place.name in seen:
            kind = seen[place.name].cluster.provider
            yield context.document.problem(
                place.path,
                f"the cluster name `{place.name}` is taken by a {kind} cluster",
                "give one of them another name",
                key=True,
            )
        seen.setdefault(place.name, place)
    if not seen:
        yield context.problem(("providers",), "there is no cluster", "for example `providers: {local: {laptop: {}}}`")


def cluster_names(context: Context) -> Iterator[Problem]:
    """The server and every group stand on a cluster there is."""
    uses: list[tuple[KeyPath, str]] = [((*LEARNING, "server", "cluster"), context.learning.server.cluster)]
    uses += [((*path, "cluster"), group.cluster) for path, group, _ in context.groups()]
    for path, name in uses:
        if name not in context.places and context.places:
            yield context.problem(path, f"there is no cluster `{name}`", did_you_mean(name, context.places, "clusters: "))


def group_names(context: Context) -> Iterator[Problem]:
    seen: dict[str, KeyPath] = {}
    for path, group, _ in context.groups():
        name = resolve.group_name(group)
        if name in seen:
            place = (*path, "name" if group.name else "cluster")
            yield context.problem(place, f"two groups are called `{name}`", "give each group a `name` of its own")
        seen.setdefault(name, path)


def client_ids(context: Context) -> Iterator[Problem]:
    """Every group says who is in it, in one way, and no id is used twice."""
    seen: dict[str, str] = {}
    for path, group, _ in context.groups():
        name = resolve.group_name(group)
        if (group.count is None) == (group.ids is None):
            what = "neither count nor ids" if group.count is None else "both count and ids"
            yield context.problem(path, f"the group `{name}` has {what}", "give one of them")
            continue
        doubles = []
        for position, client in enumerate(resolve.client_ids(group)):
            if client in seen and (group.ids is not None or seen[client] != name):  # group_names speaks of the rest
                doubles.append((position, client))
            seen.setdefault(client, name)
        if doubles:
            position, client = doubles[0]
            where = (*path, "ids", position) if group.ids else (*path, "count")
            more = f", and {len(doubles) - 1} more" if len(doubles) > 1 else ""
            yield context.problem(
                where, f"the client id `{client}` is used twice (in group `{seen[client]}`){more}", "ids must be unique"
            )


def counts(context: Context) -> Iterator[Problem]:
    """per_round and quorum fit the number of clients."""
    total, per_round = resolve.client_count(context.learning), context.learning.clients.per_round
    if any((group.count is None) == (group.ids is None) for group in context.learning.clients.groups):
        return  # client_ids says why
    if per_round > total:
        message = f"`per_round` is {per_round}, and there {'is 1 client' if total == 1 else f'are {total} clients'}"
        yield context.problem((*LEARNING, "clients", "per_round"), message, f"write {total} or less, or all")
        return
    chosen, quorum = per_round or total, resolve.quorum(context.learning)
    if quorum > chosen:
        hint = f"write {chosen} or less, a percentage, or all"
        yield context.problem((*TRAINING, "quorum"), f"`quorum` is {quorum}, and {chosen} clients are chosen each round", hint)


def dealing(context: Context) -> Iterator[Problem]:
    """The dataset has enough examples for everyone, as far as its size is known."""
    section = context.learning.data
    shards = section.shards_per_client if section.partition == "shards" else 1
    if section.examples_per_client is not None and section.examples_per_client < shards:
        message = f"{section.examples_per_client} examples cannot come from {shards} shards"
        yield context.problem((*DATA, "examples_per_client"), message, f"write {shards} or more, or fewer shards_per_client")
    there = builtin.EXAMPLES.get(section.dataset) if isinstance(section.dataset, str) else None
    clients = sum(len(resolve.client_ids(group)) for _, group, _ in context.groups() if group.file is None)
    needed = clients * (section.examples_per_client or shards)
    if there is not None and needed > there:
        message = f"{clients} clients need {needed} examples, `{section.dataset}` has {there}"
        yield context.problem(
            (*DATA, "dataset"), message, "take fewer clients, a smaller examples_per_client, or another dataset"
        )


def training(context: Context) -> Iterator[Problem]:
    section = context.learning.training
    if section.backoff_max < section.backoff:
        at = "backoff_max" if context.document.has((*TRAINING, "backoff_max")) else "backoff"
        yield context.problem(
            (*TRAINING, at), f"`backoff_max` ({section.backoff_max:g} s) is less than `backoff` ({section.backoff:g} s)"
        )
    known = (("strategy", builtin.STRATEGIES), ("selector", builtin.SELECTORS))
    for key, names in known:
        if (name := getattr(section, key)) not in names:
            yield context.problem((*TRAINING, key), f"there is no {key} `{name}`", did_you_mean(name, names, "known: "))
    if section.task in builtin.TASKS and section.optimizer not in builtin.OPTIMIZERS:
        hint = did_you_mean(section.optimizer, builtin.OPTIMIZERS, "known: ")
        yield context.problem((*TRAINING, "optimizer"), f"there is no optimizer `{section.optimizer}`", hint)


def free_values(context: Context) -> Iterator[Problem]:
    """`params` and the like are handed on as they are; only a placeholder would be taken for its text."""
    free: list[tuple[KeyPath, Json]] = [
        ((*TRAINING, key), getattr(context.learning.training, key)) for key in ("params", "strategy_params")
    ]
    for path, value in free:
        for key, item in value.items():
            if isinstance(item, str) and "${env:" in item:
                yield context.problem(
                    (*path, key), "placeholders are not filled in here", "read the variable in your task file, or write the value"
                )


def store(context: Context) -> Iterator[Problem]:
    """The store's URLs are ones we can make sense of, of the same kind, and hold no secret."""
    url, theirs = context.spec.store, context.spec.functions_store
    yield from _store_url(context, "store", url)
    if theirs is None:
        return
    yield from _store_url(context, "functions_store", theirs)
    if any(given.startswith(("file:", "memory:")) for given in (url, theirs)):
        hint = "leave it out: functions on this machine open the store themselves"
        yield context.problem(("functions_store",), "only a MongoDB store has credentials of fewer rights", hint)


def _store_url(context: Context, key: str, url: str) -> Iterator[Problem]:
    path = (key,)
    hint = "write file:FOLDER, mongodb://HOST:PORT/DB, or ${env:NAME} that holds the whole URL"
    if env_name(url) or url == "memory:":
        return
    if "${" in url:
        yield context.problem(
            path, "a placeholder must be the whole URL", "put the complete URL into one variable: ${env:MONGO_URL}"
        )
        return
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in ("file", "memory", "mongodb", "mongodb+srv"):
        shown = f"`{url}`" if "@" not in url else "this"
        yield context.document.problem(path, f"{shown} is not a store", hint, secret="@" in url)
    elif scheme == "file" and (not rest or (rest.startswith("//") and not rest.startswith("///"))):
        yield context.problem(
            path, f"`{url}` names no folder", "write file:FOLDER, relative to this file, or file:/absolute/folder"
        )
    elif scheme == "memory":
        yield context.problem(path, f"`{url}`: a memory store has no name", "write memory:")
    elif scheme.startswith("mongodb"):
        yield from _mongodb(context, key, url, hint)


def _mongodb(context: Context, key: str, url: str, hint: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url.partition(",")[0])
        credentials, host = parts.password or parts.username or "@" in url, parts.hostname
    except ValueError:
        credentials, host = "@" in url, None
    if credentials:
        secret = f"put the complete URL into an environment variable and write {key}: ${{env:MONGO_URL}}"
        message = "a user name or password must not stand here in clear text"
        yield context.document.problem((key,), message, secret, secret=True)
    elif not host:
        yield context.problem((key,), f"`{url}` names no host", hint)


CONSISTENCY: tuple[Check, ...] = (clusters, cluster_names, group_names, client_ids, counts, dealing, training, free_values, store)
