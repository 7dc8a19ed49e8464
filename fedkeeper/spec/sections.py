"""The spec as pydantic models: what may stand where, of which type, and what it means.

    Spec -> providers.<kind>.<cluster>, scenarios.federated_learning -> server, clients, data, training, functions

These classes hold the static part; `fedkeeper.spec.schema` adds one entry per provider kind. Descriptions end up in the JSON
Schema and in docs/spec.md. What one section must know of another is checked in `fedkeeper.spec.checks`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from fedkeeper.fields import Bytes, HttpUrl, Megabytes, PositiveSeconds, Seconds, Section, complaint, describe
from fedkeeper.model import Role

NAME = r"^[a-z][a-z0-9-]{0,39}$"
ID = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
MAX_CLIENTS = 100_000
MAX_ROUNDS = 1_000_000

ALL = 0
"""What "all" becomes in counts: the model's own word for it."""


def _per_round(value: object) -> object:
    if value == "all":
        return ALL
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise complaint(f"must be a whole number from 1, or all, not {describe(value)}")
    return value


def parse_quorum(value: object) -> int | float:
    """0 for "all", a count as int, a share of the chosen clients as float in (0, 1]."""
    hint = "write all, a number of updates (8), or a share of the chosen clients (80%)"
    if isinstance(value, str):
        if value == "all":
            return ALL
        number = value.removesuffix("%").strip()
        if value.endswith("%") and number.replace(".", "", 1).isascii() and number.replace(".", "", 1).isdigit():
            share = float(number) / 100
            if 0 < share <= 1:
                return share
            raise complaint(f"{value!r} is not between 0% and 100%", hint)
        raise complaint(f"{value!r} is not a quorum", hint)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise complaint(f"must be all, a whole number from 1, or a percentage, not {describe(value)}", hint)
    return value


def _keep(value: object) -> object:
    """Rounds whose weights stay, 0 for all."""
    if value == "all":
        return ALL
    rounds = value.removeprefix("last ").strip() if isinstance(value, str) and value.startswith("last ") else ""
    if rounds.isascii() and rounds.isdigit() and 0 < int(rounds) <= MAX_ROUNDS:
        return int(rounds)
    raise complaint(f"must be all, or the last rounds by number, not {describe(value)}", "write keep: last 2, or keep: all")


_COUNT = {"type": "integer", "minimum": 1}
PerRound = Annotated[
    int, BeforeValidator(_per_round), WithJsonSchema({"x-kind": 'number or "all"', "anyOf": [_COUNT, {"const": "all"}]})
]
Quorum = Annotated[
    int | float,
    PlainValidator(parse_quorum),
    WithJsonSchema(
        {
            "x-kind": 'number, percentage or "all"',
            "anyOf": [_COUNT, {"const": "all"}, {"type": "string", "pattern": r"^\d+(\.\d+)?%$"}],
        }
    ),
]
Keep = Annotated[
    int,
    PlainValidator(_keep),
    WithJsonSchema(
        {"x-kind": '"last N" or "all"', "anyOf": [{"type": "string", "pattern": r"^last +[1-9]\d{0,5}$"}, {"const": "all"}]}
    ),
]
ClusterName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
ClientId = Annotated[str, Field(pattern=ID, max_length=60)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", max_length=100)]
Free = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kind": "mapping"})]


class Server(Section):
    """Where the server's functions run: init, aggregator, evaluator, invokers."""

    cluster: Name = Field(description="Name of a cluster from `providers`")


class Group(Section):
    """Clients that are alike. Their ids are `<name>-0`, `<name>-1`, ... unless `ids` gives them."""

    name: Annotated[str, Field(pattern=ID, max_length=50)] | None = Field(
        default=None, description="Stem of the client ids; default: the cluster's name"
    )
    cluster: Name = Field(description="Name of the cluster whose function trains for these clients")
    count: int | None = Field(default=None, ge=1, le=MAX_CLIENTS, description="How many clients; instead of `ids`")
    ids: list[ClientId] | None = Field(
        default=None, min_length=1, max_length=MAX_CLIENTS, description="The clients' ids; instead of `count`"
    )
    weights: Literal["store", "relay"] = Field(
        default="store",
        description="How weights reach a client. store: its function uses the store itself (fastest; these clients trust each "
        "other). relay: the invoker carries them, the client holds no store credential",
    )
    isolation: Literal["shared", "client"] = Field(
        default="shared", description="shared: one function for all clients of a cluster. client: a function for each client"
    )
    file: Name | None = Field(
        default=None,
        description="The client's own data, an .npz with x and y; `{client}` becomes the id. Default: a part of the dataset",
    )
    attributes: Free = Field(default={}, description="Anything you want to note about these clients")


class Clients(Section):
    """Who trains."""

    per_round: PerRound = Field(default=ALL, description="How many clients are chosen each round")
    groups: list[Group] = Field(min_length=1, max_length=1000, description="At least one")


class PathDataset(Section):
    """A dataset on this machine."""

    path: Name = Field(description="An .npz with x_train, y_train, x_test, y_test; relative to the spec's folder")


class UrlDataset(Section):
    """A dataset that functions download."""

    url: HttpUrl = Field(description="http(s) address of an .npz with x_train, y_train, x_test, y_test")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, in hex: other bytes are refused")


def _dataset_form(value: object) -> str:
    if not isinstance(value, dict):
        return "<name>"
    return "<url>" if "url" in value or ("sha256" in value and "path" not in value) else "<path>"


Dataset = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[PathDataset, Tag("<path>")] | Annotated[UrlDataset, Tag("<url>")],
    Discriminator(_dataset_form),
]


class DataSection(Section):
    """What is trained on, and how it is dealt out to the clients that bring no file."""

    dataset: Dataset | None = Field(
        default=None,
        description="`mnist-sample` (7,000 digits, shipped), `mnist` (70,000, downloaded), `{path}` or `{url, sha256}`",
    )
    partition: Literal["shards", "iid"] = Field(
        default="shards", description="shards: sorted by label, so that a client sees few classes. iid: shuffled"
    )
    shards_per_client: int = Field(
        default=2, ge=1, le=10_000, description="With shards: pieces, of one label mostly, that each client gets"
    )
    examples_per_client: int | None = Field(
        default=None, ge=1, description="Examples each client gets; null: everything is dealt out"
    )
    test: Name | None = Field(default=None, description="An .npz with x and y to evaluate on, instead of the dataset's test part")


class TrainingSection(Section):
    """What `start` does. All of it, except task, requirements and files, may change without a new deploy."""

    task: Name = Field(description="mnist-cnn, mnist-mlp, or the path of a Python task file")
    requirements: list[Name] = Field(default=[], description="pip requirements of the task file, beyond what it declares itself")
    files: list[Name] = Field(default=[], description="Helper files and folders that travel with the task file")
    rounds: int = Field(default=10, ge=1, le=1_000_000, description="Rounds at most")
    target_accuracy: float | None = Field(default=None, gt=0, le=1, description="Stop when an evaluation reaches it; null: never")
    time_budget: PositiveSeconds | None = Field(default=None, description="Start no round after this time; null: no limit")
    optimizer: Word = Field(default="adam", description="adam, nadam, sgd, ... (Keras' names)")
    learning_rate: float = Field(default=0.001, gt=0, description="The optimizer's step size")
    local_epochs: int = Field(default=1, ge=1, le=100_000, description="Passes over its data that a client makes in a round")
    batch_size: int = Field(default=10, ge=1, description="Examples per training step")
    params: Free = Field(
        default={}, description="Handed to the task as it is (the built-in tasks know hidden_size and output_size)"
    )
    quorum: Quorum = Field(default=ALL, description="Updates that close a round")
    round_deadline: PositiveSeconds | None = Field(
        default=None,
        description="A round closes at this age with what it has, if that is the quorum; null: as long as retries last",
    )
    evaluate_every: int = Field(default=1, ge=1, description="Evaluate after every this many rounds, and after the last")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Source of every random choice")
    start_from: Name | None = Field(
        default=None, description="A checkpoint: path of a .safetensors file, or the sha256:... of a stored model"
    )
    retries: int = Field(default=3, ge=0, le=1000, description="Further attempts at a client's work after the first")
    backoff: Seconds = Field(default=0.5, description="Wait before the first retry; doubles with each")
    backoff_max: Seconds = Field(default=30.0, description="Longest wait before a retry")
    strategy: Word = Field(default="fedavg", description="How updates become the next model")
    selector: Word = Field(default="random", description="How the clients of a round are chosen")
    strategy_params: Free = Field(default={}, description="Parameters of the strategy")
    model_size: Bytes | None = Field(
        default=None, description="Size of the model, for the payload check of relay; null: read from the task file"
    )


class FunctionSection(Section):
    """Limits and options of one function; besides these, one mapping of options per provider."""

    memory: Megabytes | None = Field(default=None, description="Memory of the function")
    timeout: Annotated[Seconds, Field(ge=1)] | None = Field(default=None, description="Longest time one activation may take")
    path: Name | None = Field(default=None, description="A folder with a handler.py of your own, relative to the spec's folder")


class Functions(Section):
    """The functions, by role. All of it is optional."""

    fl_server_init: FunctionSection = Field(default=FunctionSection(), description="Makes the first model and deals out the data")
    fl_client: FunctionSection = Field(default=FunctionSection(), description="Trains on one client's data")
    fl_invoker: FunctionSection = Field(
        default=FunctionSection(), description="Carries weights to clients with `weights: relay` and back"
    )
    fl_server_aggregator: FunctionSection = Field(default=FunctionSection(), description="Makes one model of a round's updates")
    fl_evaluator: FunctionSection = Field(default=FunctionSection(), description="Loss and accuracy on the test data")
    nodeinfo: FunctionSection = Field(default=FunctionSection(), description="Tells where it runs: a smoke test of a cluster")

    def of(self, role: Role) -> FunctionSection:
        section: FunctionSection = getattr(self, role.value)
        return section


class FederatedLearning(Section):
    """A federated learning scenario."""

    server: Server = Field(description="Where the server's functions run")
    clients: Clients = Field(description="Who trains, and where")
    data: DataSection = Field(default=DataSection(), description="What is trained on")
    training: TrainingSection = Field(description="How")
    functions: Functions = Field(default=Functions(), description="Limits and options of the functions")


class Scenarios(Section):
    """What is done on the fabric."""

    federated_learning: FederatedLearning = Field(description="Federated learning")


class Spec(Section):
    """A FedKeeper fabric: clusters of FaaS platforms, and the federated learning that runs on them."""

    version: Literal[1] = Field(description="Version of this format")
    name: Annotated[str, Field(pattern=NAME)] = Field(description="Name of the fabric; every function's name starts with it")
    store: Annotated[str, Field(min_length=1)] = Field(
        default="file:.fedkeeper/store",
        description="Where models, receipts and the ledger are kept: `file:FOLDER` (this machine only), `mongodb://HOST:PORT/DB` "
        "or `${env:NAME}` that holds such a URL",
    )
    functions_store: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="The same store by another URL, with a credential of fewer rights: the functions get this one, and only "
        "the orchestrator the other",
    )
    keep: Keep = Field(
        default=2,
        description="Weights that stay in the store: those of the `last N` rounds of each run, or `all`. The final model, "
        "receipts and ledgers always stay",
    )
    providers: Any = Field(description="The clusters: kind of platform, then a name of yours, then its settings")
    scenarios: Scenarios = Field(description="What is done on the fabric")
