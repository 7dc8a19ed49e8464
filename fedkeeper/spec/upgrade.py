"""A spec of version 0.1 -> version 1, with a warning for everything that does not mean the same any more.

    text -> Old -> name, store, clusters, groups, data, training, functions -> YAML text + warnings

What was hard-wired in version 0.1 becomes a key: the target 0.99, the 200 shards of 300 digits, relay through the invokers. Secrets
are replaced by ${env:...} and never repeated in the output. Broken input is a SpecError.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import yaml

from fedkeeper.jobs import MAX_PARAMS
from fedkeeper.model import Json
from fedkeeper.spec import builtin, old_clusters, old_functions
from fedkeeper.spec.old import Old, parse
from fedkeeper.spec.old_clusters import Clusters

LEARNING = ("scenarios", "federated_learning")
CLIENTS = (*LEARNING, "clients_info")
DATA = (*LEARNING, "training_test_data")
SAMPLING = (*LEARNING, "data_sampling")
MODEL = (*LEARNING, "model_params")
MONGO = (*LEARNING, "mongo_config")
ROUNDS = 100
"""Version 0.1 had no limit."""
MOST = builtin.EXAMPLES["mnist"] // 2
"""Clients that can have two shards of at least one digit each; version 0.1 stopped at 100."""

_NO_EFFECT = {
    "prometheus_config": "never had any effect",
    "configurations": "never had any effect",
    "server_manager_functions": "never had any effect; every function that is needed is deployed",
    "client_functions": "never had any effect; every function that is needed is deployed",
    "input_size": "the task knows its input",
    "input_shape_x": "the task knows its input",
    "input_shape_y": "the task knows its input",
    "params_file_path": "parameters are made by `deploy`, in params/",
    "blocking_cli": "never had any effect",
    "func_path": "the functions of version 0.1 do not fit; `functions.<name>.path` names a folder with a handler.py of your own",
    "entry-point": "the entry point is FedKeeper's own",
    "openfaas": "version 0.1 had no deployer for OpenFaaS, nor has this one",
    "ow_apigw_access_token": "never had any effect",
    "docker": "never had any effect",
    "auth": "a service account is a file, named by the environment variable GOOGLE_APPLICATION_CREDENTIALS",
}


@dataclass(frozen=True)
class Upgraded:
    text: str
    warnings: tuple[str, ...]


def upgrade(text: str, file: str) -> Upgraded:
    """SpecError when `text` is no spec of version 0.1."""
    document, mended = parse(text, file)
    old = Old(document, mended)
    _check_version(old)
    old.raise_problems()
    spec = _spec(old)
    for path in old.unread():
        reason = next((_NO_EFFECT[str(part)] for part in reversed(path) if part in _NO_EFFECT), "not a key of version 0.1")
        old.warn(path, f"dropped: {reason}")
    old.raise_problems()
    return Upgraded(_dump(spec, old.warnings), old.warnings)


def _spec(old: Old) -> dict[str, Json]:
    clusters = old_clusters.read(old)
    task, params = _task(old)
    functions = old_functions.read(old)
    groups = _groups(old, clusters)
    total = sum(group["count"] for group in groups)
    size = builtin.task_bytes(task, params) or 0
    old_clusters.set_limits(clusters, math.ceil(size * 4 / 3) + MAX_PARAMS, functions)
    old.warn(
        (),
        "weights are carried by the invokers (weights: relay), as in version 0.1; weights: store is faster, if clients may be trusted",
    )
    return {
        "version": 1,
        "name": _name(old),
        "store": _store(old),
        "providers": clusters.providers,
        "scenarios": {
            "federated_learning": {
                "server": {"cluster": clusters.server},
                "clients": {"per_round": _per_round(old, total), "groups": groups},
                "data": _data(old, total),
                "training": {"task": task, **_training(old), **({"params": params} if params else {})},
                "functions": functions,
            }
        },
    }


def _check_version(old: Old) -> None:
    version = old.get("version")
    if str(version) == "1":
        old.problem(("version",), "this file has the format of version 1 already: nothing to do")
    elif version is not None and str(version) != "0.1":
        old.problem(("version",), "only files of version 0.1 can be upgraded")
    elif "federated_learning" not in old.keys("scenarios"):
        old.problem((), "there is no `scenarios: federated_learning:`, so this is no spec of version 0.1")


def _name(old: Old) -> str:
    given = old.text("name")
    name = re.sub(r"[^a-z0-9]+", "-", given.lower()).lstrip("-0123456789")[:40].rstrip("-") or "fedkeeper"
    if name != given:
        old.warn(("name",), f"now {name!r}: lower-case letters, digits and -, 40 characters at most")
    return name


def _store(old: Old) -> str:
    """The collection of version 0.1 becomes the prefix of this version's collections: nothing of theirs is touched."""
    url, database, collection = (old.text(*MONGO, key) for key in ("url", "db", "collection"))
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,40}", collection):
        old.warn((*MONGO, "collection"), "left out: letters, digits, _ and -, 40 characters at most")
        collection = ""
    prefix = f"?fedkeeperPrefix={collection}" if collection else ""
    host = re.fullmatch(r"(?:mongodb://)?([A-Za-z0-9.-]+(?::\d{1,5})?)/?", url)
    if host is None or not re.fullmatch(r"[A-Za-z0-9_-]*", database):
        old.warn((*MONGO, "url"), f"now ${{env:MONGO_URL}}: set that variable to mongodb://HOST:PORT/DB{prefix}")
        return "${env:MONGO_URL}"
    return f"mongodb://{host[1]}/{database}{prefix}".removesuffix("/")


def _groups(old: Old, clusters: Clusters) -> list[dict[str, Json]]:
    """Version 0.1 numbered clients edge first, then OpenWhisk, then Google up to the total, whatever gcf_clients_count said."""
    edge, openwhisk, google = (old.whole((*CLIENTS, f"{kind}_clients_count"), 0, 0, MOST) for kind in ("edge", "ow", "gcf"))
    total = old.whole((*CLIENTS, "total_num_clients"), edge + openwhisk + google, 1, MOST)
    if not 0 < total <= MOST:
        old.problem(CLIENTS, f"there are {total} clients; there must be from 1 to {MOST}")
    if total != edge + openwhisk + google:
        old.warn((*CLIENTS, "total_num_clients"), f"the counts below do not add up to {total}; the total was kept")
    edge = min(edge, total)
    openwhisk = min(openwhisk, total - edge) if clusters.google else total - edge
    google = total - edge - openwhisk
    if edge:
        message = f"version 0.1 deployed nothing to edge devices; the group `edge` is on `{clusters.server}` until you name their cluster"
        old.warn((*CLIENTS, "edge_clients_count"), message)
    where = (("edge", clusters.server, edge), ("openwhisk", clusters.openwhisk, openwhisk), ("google", clusters.google, google))
    return [
        {"name": name, "cluster": cluster or clusters.server, "count": n, "weights": "relay"} for name, cluster, n in where if n
    ]


def _per_round(old: Old, total: int) -> int:
    path = (*CLIENTS, "num_clients_per_round")
    wanted = old.whole(path, total, 1, MOST)
    if wanted > total:
        old.warn(path, f"now {total}: there are no more clients")
    return min(wanted, total)


def _data(old: Old, total: int) -> dict[str, Json]:
    for key in old.keys(*DATA):
        old.get(*DATA, key)
    old.warn(
        DATA, "now dataset: mnist. Pickled arrays are not read any more; if these were no MNIST digits, make an .npz of them"
    )
    data: dict[str, Json] = {"dataset": "mnist", "partition": "shards", "shards_per_client": 2}
    if total > 100:
        old.warn(
            (*CLIENTS, "total_num_clients"), "version 0.1 had 600 digits for each of 100 clients at most; now all are dealt out"
        )
        return data
    return {**data, "examples_per_client": 600}


def _task(old: Old) -> tuple[str, dict[str, Json]]:
    model = old.text(*SAMPLING, "model")
    if model not in ("cnn", "mnistnn"):
        old.warn((*SAMPLING, "model"), "now mnist-mlp: version 0.1 knew cnn and mnistnn")
    task = "mnist-cnn" if model == "cnn" else "mnist-mlp"
    hidden = old.whole((*SAMPLING, "hidden_size"), 500, 1, 10**6)
    output = old.whole((*SAMPLING, "output_size"), 10, 1, 10**4)
    params = {} if output == 10 else {"output_size": output}
    if task == "mnist-mlp" and hidden != 500:
        params["hidden_size"] = hidden
    return task, params


def _training(old: Old) -> dict[str, Json]:
    optimizer = old.text(*MODEL, "optim").lower() or "adam"
    if optimizer == "ndam":
        old.warn((*MODEL, "optim"), "now nadam, which is what version 0.1 meant by ndam")
        optimizer = "nadam"
    if optimizer not in ("adam", "nadam", "sgd"):
        old.problem((*MODEL, "optim"), f"version 0.1 knew the optimizers adam, ndam and sgd, not {optimizer[:40]!r}")
    rate = old.number((*MODEL, "lr"), 0.001)
    if not rate > 0 or math.isinf(rate):
        old.problem((*MODEL, "lr"), "`lr` must be more than 0")
    old.warn(
        (),
        f"version 0.1 trained until the accuracy was 0.99, for ever if need be; now target_accuracy: 0.99 and rounds: {ROUNDS}",
    )
    old.warn((), "version 0.1 tried failed clients again without end; now retries: 3")
    return {
        "optimizer": optimizer,
        "learning_rate": rate,
        "local_epochs": old.whole((*MODEL, "local_epochs"), 5, 1, 100_000),
        "batch_size": old.whole((*SAMPLING, "batch_size"), 10, 1, 10**6),
        "rounds": ROUNDS,
        "target_accuracy": 0.99,
    }


def _dump(spec: dict[str, Json], warnings: tuple[str, ...]) -> str:
    notes = "".join(f"# - {warning}\n" for warning in warnings)
    body = yaml.safe_dump(spec, sort_keys=False, default_flow_style=False, width=120)
    return f"# Made by `fedkeeper upgrade` from a spec of version 0.1. What to know about it:\n{notes}\n{body}"
