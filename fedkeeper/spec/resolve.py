"""A valid spec -> Fabric: defaults filled in, clients numbered, paths absolute, sizes and times as plain numbers.

The functions here that give parts of the result are also what the checks look at, so that both mean the same.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fedkeeper.model import Client, Cluster, Data, Fabric, FunctionConfig, Role, StrategyConfig, Training
from fedkeeper.spec import builtin, taskfile
from fedkeeper.spec.document import Path as KeyPath
from fedkeeper.spec.schema import Kind
from fedkeeper.spec.sections import FederatedLearning, Group, PathDataset, Spec, UrlDataset

CLIENT = "{client}"
"""Stands for the id in a group's `file`."""

_REF = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Place:
    """A cluster, with what its kind means for the spec."""

    cluster: Cluster
    path: KeyPath
    kind: Kind

    @property
    def name(self) -> str:
        return self.cluster.name

    def limit(self, name: str) -> float | None:
        """A limit its settings give, in bytes, MB or seconds."""
        value = self.cluster.settings.get(name)
        return value if isinstance(value, int | float) else None


def places(spec: Spec, kinds: Mapping[str, Kind]) -> Iterator[Place]:
    """Every cluster of the spec, in its order."""
    for provider, kind in kinds.items():
        for name, settings in getattr(spec.providers, provider).items():
            yield Place(Cluster(name, provider, settings.model_dump(mode="json")), ("providers", provider, name), kind)


def group_name(group: Group) -> str:
    return group.name or group.cluster


def client_ids(group: Group) -> list[str]:
    return group.ids if group.ids is not None else [f"{group_name(group)}-{number}" for number in range(group.count or 0)]


def client_count(learning: FederatedLearning) -> int:
    return sum(len(group.ids) if group.ids is not None else group.count or 0 for group in learning.clients.groups)


def absolute(root: Path, path: str) -> Path:
    """A path of the spec, from the spec's folder."""
    return Path(os.path.normpath(root / os.path.expanduser(path)))


def is_ref(text: str) -> bool:
    return _REF.fullmatch(text) is not None


def is_task_file(task: str) -> bool:
    return task.endswith(".py") or "/" in task


def model_bytes(learning: FederatedLearning, root: Path) -> int | None:
    """Size of the model as far as it can be known without running the task."""
    training = learning.training
    if training.model_size is not None:
        return training.model_size
    if training.task in builtin.TASKS:
        return builtin.task_bytes(training.task, training.params)
    parameters = taskfile.inspect(absolute(root, training.task)).parameters
    return parameters * builtin.BYTES_PER_PARAMETER if parameters else None


def functions(learning: FederatedLearning, root: Path, used: Mapping[str, Kind]) -> dict[Role, FunctionConfig]:
    """Every role's limits and options; `used` are the kinds that have clusters."""
    made = {}
    for role, default in builtin.FUNCTIONS.items():
        section = learning.functions.of(role)
        options = {kind: getattr(section, kind).model_dump(mode="json") for kind in used}
        made[role] = FunctionConfig(
            memory_mb=section.memory or default.memory_mb,
            timeout_s=math.ceil(section.timeout or default.timeout_s),
            options={kind: values for kind, values in options.items() if values},
            path=str(absolute(root, section.path)) if section.path else None,
        )
    if learning.functions.fl_invoker.timeout is None:
        timeout = made[Role.CLIENT].timeout_s + builtin.INVOKER_MARGIN_S
        made[Role.INVOKER] = replace(made[Role.INVOKER], timeout_s=timeout)
    return made


def fabric(spec: Spec, kinds: Mapping[str, Kind], spec_file: Path) -> Fabric:
    root, learning = spec_file.parent, spec.scenarios.federated_learning
    clusters = {place.name: place.cluster for place in places(spec, kinds)}
    used = {name: kind for name, kind in kinds.items() if any(c.provider == name for c in clusters.values())}
    training = learning.training
    return Fabric(
        name=spec.name,
        root=root,
        store=_store(spec.store, root),
        clusters=clusters,
        server_cluster=learning.server.cluster,
        clients=tuple(_clients(learning, root)),
        functions=functions(learning, root, used),
        data=data(learning, root),
        training=_training(learning, root),
        strategy=StrategyConfig(training.strategy, training.selector, training.strategy_params),
        requirements=tuple(training.requirements),
        task_files=tuple(str(absolute(root, file)) for file in training.files),
        spec_file=spec_file,
        functions_store=spec.functions_store and _store(spec.functions_store, root),
        keep=spec.keep,
    )


def quorum(learning: FederatedLearning) -> int:
    """Updates needed, 0 for all. A share is of the clients chosen in a round, rounded up."""
    wanted = learning.training.quorum
    if isinstance(wanted, float):
        chosen = learning.clients.per_round or client_count(learning)
        return max(1, math.ceil(round(wanted * chosen, 9)))
    return wanted


def _clients(learning: FederatedLearning, root: Path) -> Iterator[Client]:
    index = 0
    for group in learning.clients.groups:
        for name in client_ids(group):
            file = str(absolute(root, group.file.replace(CLIENT, name))) if group.file else None
            yield Client(
                id=name, index=index, cluster=group.cluster, group=group_name(group), weights=group.weights,
                isolation=group.isolation, file=file, attributes=group.attributes,
            )  # fmt: skip
            index += 1


def data(learning: FederatedLearning, root: Path) -> Data:
    section, dataset = learning.data, learning.data.dataset
    if isinstance(dataset, PathDataset):
        data = Data(name="custom", path=str(absolute(root, dataset.path)))
    elif isinstance(dataset, UrlDataset):
        data = Data(name="custom", url=dataset.url, sha256=dataset.sha256)
    else:
        data = builtin.DATASETS[dataset] if dataset else Data(name="custom")
    return replace(
        data,
        partition=section.partition,
        shards_per_client=section.shards_per_client,
        examples_per_client=section.examples_per_client,
        test=str(absolute(root, section.test)) if section.test else None,
    )


def _training(learning: FederatedLearning, root: Path) -> Training:
    section, start = learning.training, learning.training.start_from
    return Training(
        task=str(absolute(root, section.task)) if is_task_file(section.task) else section.task,
        rounds=section.rounds,
        clients_per_round=learning.clients.per_round,
        quorum=quorum(learning),
        round_deadline_s=section.round_deadline,
        target_accuracy=section.target_accuracy,
        time_budget_s=section.time_budget,
        evaluate_every=section.evaluate_every,
        seed=section.seed,
        epochs=section.local_epochs,
        batch_size=section.batch_size,
        optimizer=section.optimizer,
        learning_rate=section.learning_rate,
        params=section.params,
        start_from=start if start is None or is_ref(start) else str(absolute(root, start)),
        retries=section.retries,
        backoff_s=section.backoff,
        backoff_max_s=section.backoff_max,
        model_bytes=model_bytes(learning, root),
    )


def _store(url: str, root: Path) -> str:
    """A file store's folder, from the spec's folder. `file:///abs` is the long way of writing `file:/abs`."""
    if not url.startswith("file:"):
        return url
    rest = url.removeprefix("file:")
    return f"file:{absolute(root, rest.removeprefix('//') if rest.startswith('///') else rest)}"
