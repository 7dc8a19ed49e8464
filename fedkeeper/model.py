"""The nouns of a federated run: frozen data, no I/O, standard library only.

    spec text -> Fabric (Clusters, Clients, Functions, Data, Training, Strategy)
    Fabric    -> wanted FunctionSpecs -> deployed functions
    Run -> Round -> Step -> Activation ;  Step -> Receipt (names Refs of blobs)

Secrets never stand in these objects: a value like "${env:NAME}" stays a placeholder until the adapter that needs it is built.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NewType

Ref = NewType("Ref", str)
"""`sha256:<64 hex digits>` of a blob's bytes."""

Json = Any
"""What `json.loads` can return."""


class Role(str, Enum):
    """What a function is for. The value is its folder in `functions/` and the stem of its deployed name."""

    INIT = "fl_server_init"
    CLIENT = "fl_client"
    INVOKER = "fl_invoker"
    AGGREGATOR = "fl_server_aggregator"
    EVALUATOR = "fl_evaluator"
    NODEINFO = "nodeinfo"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Cluster:
    """One configured place of a provider. `settings` is the validated JSON of the provider's settings model, secrets as placeholders."""

    name: str
    provider: str  # "local", "openwhisk", "google", "aws"
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class FunctionConfig:
    """Limits and options of one role, as the spec gives them; `options` holds per-provider overrides (image, runtime, ...)."""

    memory_mb: int = 2048
    timeout_s: int = 300
    options: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # provider -> option -> value
    path: str | None = None  # a folder with handler.py replacing the packaged one; relative to the spec's folder


@dataclass(frozen=True)
class Client:
    """Who owns data. `index` is its position in the fabric (0-based): the partition is cut by it."""

    id: str
    index: int
    cluster: str
    group: str
    weights: str = "store"  # "store": reads and writes the store itself; "relay": the invoker carries the weights
    isolation: str = "shared"  # "shared": one function per cluster; "client": a function of its own
    file: str | None = None  # its own .npz ("clients/{client}.npz" already filled in), or None: a part of the dataset
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """Where examples come from and how they are dealt out. Exactly one of path, url, sample is set, or none when every client has a file."""

    name: str  # "mnist-sample", "mnist", "custom"
    path: str | None = None  # an .npz on this machine (absolute)
    url: str | None = None
    sha256: str | None = None  # of the file behind url
    sample: str | None = None  # name of a file that ships with the package
    partition: str = "shards"  # "shards" | "iid"
    shards_per_client: int = 2
    examples_per_client: int | None = None  # None: everything is dealt out
    test: str | None = None  # an .npz with x, y used for evaluation instead of the dataset's test part (absolute)


@dataclass(frozen=True)
class Training:
    """What `start` does. Everything here may change without a new deploy, except `task` and `requirements`."""

    task: str  # built-in name, or path of the task file (absolute)
    rounds: int = 10
    clients_per_round: int = 0  # 0: all
    quorum: int = 0  # updates needed to close a round; 0: all chosen clients
    round_deadline_s: float | None = None  # None: wait for the quorum as long as retries last
    target_accuracy: float | None = None
    time_budget_s: float | None = None
    evaluate_every: int = 1
    seed: int = 0
    epochs: int = 1
    batch_size: int = 10
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    params: Mapping[str, Json] = field(default_factory=dict)  # handed to the task as they are
    start_from: str | None = None  # a checkpoint (.safetensors, absolute path) or a Ref
    retries: int = 3  # further attempts after the first
    backoff_s: float = 0.5  # first delay; doubles, capped, jittered
    backoff_max_s: float = 30.0
    model_bytes: int | None = None  # declared size of the model; None: read from the task file


@dataclass(frozen=True)
class StrategyConfig:
    """Which strategy, by name, with its parameters."""

    name: str = "fedavg"
    selector: str = "random"
    params: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Fabric:
    """The resolved spec. Paths in it are absolute; the order of clusters and clients is the spec's."""

    name: str
    root: Path  # the spec's folder
    store: str  # URL: "file:/abs/path", "memory:", "mongodb://..." or a "${env:NAME}" placeholder
    clusters: Mapping[str, Cluster]
    server_cluster: str
    clients: tuple[Client, ...]
    functions: Mapping[Role, FunctionConfig]
    data: Data
    training: Training
    strategy: StrategyConfig = StrategyConfig()
    requirements: tuple[str, ...] = ()  # of the task, beyond the role's own
    task_files: tuple[str, ...] = ()  # helper files and folders of the task (absolute)
    spec_file: Path | None = None
    functions_store: str | None = None  # the store's URL as the functions get it; None: the same
    keep: int = 2  # rounds of a run whose weights stay in the store; 0: all

    def client(self, client_id: str) -> Client:
        return self._by_id[client_id]

    @property
    def _by_id(self) -> Mapping[str, Client]:
        cached: Mapping[str, Client] | None = self.__dict__.get("_clients_by_id")
        if cached is None:
            cached = {client.id: client for client in self.clients}
            object.__setattr__(self, "_clients_by_id", cached)
        return cached

    def run_digest(self) -> str:
        """Digest of what training does (not of where it runs)."""
        return digest_of({"training": asdict(self.training), "strategy": asdict(self.strategy), "data": asdict(self.data)})


@dataclass(frozen=True)
class FunctionSpec:
    """One deployable on one cluster, wanted by the plan. Equal digests mean: nothing to do.

    `environment` is plain text; `secrets` maps a variable of the function to the name of the operator's environment variable.
    """

    name: str  # unique on its cluster: "<fabric>-<role>[-<client>]"
    fabric: str
    cluster: str
    role: Role
    package: str  # "sha256:..." of the zip
    memory_mb: int
    timeout_s: int
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of everything that would make a deployed function differ."""
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "role": self.role.value, "requirements": list(self.requirements)}

    @staticmethod
    def from_json(data: Mapping[str, Json]) -> FunctionSpec:
        return FunctionSpec(**{**data, "role": Role(data["role"]), "requirements": tuple(data["requirements"])})


@dataclass(frozen=True)
class StepKey:
    """Identity of a unit of work inside a run: step ("init", "r0003/train") and subject (client id or "server")."""

    step: str
    subject: str

    @property
    def kind(self) -> str:
        """ "init", "train", "aggregate" or "evaluate": the step's name without its round."""
        return self.step.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.step}/{self.subject}"


@dataclass(frozen=True)
class Receipt:
    """Write-once record of a step: the truth about success.

    `inputs`, `outputs`, `examples`, `metrics` make up the body: a repeat with the same body is harmless, another body is a
    `ReceiptConflict`. `notes` (timings, host) differ between attempts and are kept from the first writer only.
    """

    key: StepKey
    inputs: Mapping[str, Json]
    outputs: Mapping[str, Ref]
    examples: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Json] = field(default_factory=dict)

    def body(self) -> dict[str, Json]:
        return {
            "step": self.key.step,
            "subject": self.key.subject,
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
            "examples": self.examples,
            "metrics": dict(self.metrics),
        }

    @property
    def digest(self) -> str:
        return digest_of(self.body())

    def to_json(self) -> dict[str, Json]:
        return {**self.body(), "notes": dict(self.notes)}

    @staticmethod
    def from_json(data: Mapping[str, Json]) -> Receipt:
        return Receipt(
            key=StepKey(data["step"], data["subject"]),
            inputs=data["inputs"],
            outputs={name: Ref(ref) for name, ref in data["outputs"].items()},
            examples=int(data["examples"]),
            metrics=data["metrics"],
            notes=data.get("notes", {}),
        )


def canonical_json(value: Json) -> bytes:
    """The one byte form used for digests: sorted keys, no spaces, UTF-8, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain).encode()


def digest_of(value: Json) -> str:
    """`sha256:...` of the canonical JSON of `value`."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()


def _plain(value: object) -> Json:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def seeded(seed: int, purpose: str, *parts: object) -> int:
    """H(seed, purpose, parts): 63 random-looking bits that depend on nothing else. Source of every random choice in a run."""
    text = "\x1f".join([str(seed), purpose, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
