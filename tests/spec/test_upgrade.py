"""0.1 -> 1: the old format's own sample, and a file with every key it ever read, to the letter; what comes out loads."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedkeeper import spec
from fedkeeper.errors import OldSpecError, SpecError
from fedkeeper.model import Fabric, Role
from fedkeeper.providers.registry import settings_models
from fedkeeper.spec.upgrade import Upgraded, upgrade

HERE = Path(__file__).parent / "upgrade"
CASES = ("sample", "everything")
EVERYTHING: dict[str, Any] = yaml.safe_load((HERE / "everything.yaml").read_text(encoding="utf-8"))
LEARNING = ("scenarios", "federated_learning")


def load(upgraded: Upgraded) -> Fabric:
    return spec.load(HERE / "new.yaml", providers=settings_models(), text=upgraded.text)


def upgraded(changes: dict[tuple[str, ...], Any]) -> Upgraded:
    """The file with every key, changed; None takes a key out."""
    data = copy.deepcopy(EVERYTHING)
    for path, value in changes.items():
        here = data
        for part in path[:-1]:
            here = here[part]
        if value is None:
            here.pop(path[-1], None)
        else:
            here[path[-1]] = value
    return upgrade(yaml.safe_dump(data, sort_keys=False), "old.yaml")


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, golden: Callable[[Path, str], None]) -> None:
    made = upgrade((HERE / f"{case}.yaml").read_text(encoding="utf-8"), f"{case}.yaml")
    golden(HERE / f"{case}.upgraded.txt", made.text)
    assert all(f"# - {warning}\n" in made.text for warning in made.warnings)


@pytest.mark.parametrize("case", CASES)
def test_the_result_loads_and_the_original_says_so(case: str) -> None:
    text = (HERE / f"{case}.yaml").read_text(encoding="utf-8")
    load(upgrade(text, "old.yaml"))
    with pytest.raises(OldSpecError, match=r"0\.1"):
        spec.load(HERE / f"{case}.yaml", providers=settings_models())


def test_no_secret_survives() -> None:
    made = upgraded({})
    assert "s3cr3t" in (HERE / "everything.yaml").read_text(encoding="utf-8")
    assert "s3cr3t" not in made.text + "".join(made.warnings)


def test_meaning() -> None:
    fabric = load(upgraded({}))
    assert len(fabric.clients) == 12
    assert {group: sum(c.group == group for c in fabric.clients) for group in ("edge", "openwhisk", "google")} == {
        "edge": 2,
        "openwhisk": 4,
        "google": 6,
    }
    assert {client.weights for client in fabric.clients} == {"relay"}
    assert fabric.store == "mongodb://10.0.0.7:27017/flweights?fedkeeperPrefix=mnist_weights"
    training = fabric.training
    assert (training.optimizer, training.learning_rate, training.epochs, training.batch_size) == ("nadam", 0.001, 5, 32)
    assert (training.target_accuracy, training.rounds, training.clients_per_round) == (0.99, 100, 12)
    assert training.task == "mnist-mlp"
    assert training.params == {"hidden_size": 200}
    assert (fabric.data.name, fabric.data.partition, fabric.data.examples_per_client) == ("mnist", "shards", 600)
    assert (fabric.functions[Role.CLIENT].memory_mb, fabric.functions[Role.CLIENT].timeout_s) == (4096, 540)
    assert fabric.functions[Role.INVOKER].timeout_s == 540
    assert fabric.functions[Role.NODEINFO].memory_mb == 256
    assert fabric.functions[Role.CLIENT].options["openwhisk"]["image"] == "kkyfury/tensorflow"
    assert fabric.clusters["invasic_cluster"].settings["api_host"] == "https://10.0.0.7:31001"
    assert fabric.clusters["invasic_cluster"].settings["namespace"] == "research"
    assert fabric.clusters["second-cluster"].settings["auth"] == "${env:OW_AUTH_2}"
    assert fabric.clusters["gcf_cluster"].settings["project"] == "my-project"


@pytest.mark.parametrize(
    "key",
    [
        "ow_apigw_access_token", "prometheus_config", "configurations", "server_manager_functions", "client_functions", "input_size",
        "input_shape_x", "input_shape_y", "func_path", "params_file_path", "blocking_cli", "entry-point", "docker",
        "novel_key", "openfaas", "runtime",
    ],
)  # fmt: skip
def test_what_has_no_effect_is_dropped_with_its_line(key: str) -> None:
    warnings = upgrade((HERE / "everything.yaml").read_text(encoding="utf-8"), "old.yaml").warnings
    lines = (HERE / "everything.yaml").read_text(encoding="utf-8").splitlines()
    found = [warning for warning in warnings if f"{key}: dropped" in warning]
    assert found
    for warning in found:
        assert lines[int(warning.split(":")[0].removeprefix("line ")) - 1].strip().startswith(f"{key}:")


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ((2, 0, 1, 1), {"openwhisk": 1, "google": 1}),
        ((10, 3, 3, 4), {"edge": 3, "openwhisk": 3, "google": 4}),
        ((10, 0, 3, 0), {"openwhisk": 3, "google": 7}),
        ((5, 10, 10, 10), {"edge": 5}),
        ((5, 0, 10, 0), {"openwhisk": 5}),
        ((150, 0, 150, 0), {"openwhisk": 150}),
    ],
)
def test_the_total_stays_right(counts: tuple[int, int, int, int], groups: dict[str, int]) -> None:
    keys = ("total_num_clients", "edge_clients_count", "ow_clients_count", "gcf_clients_count")
    fabric = load(upgraded({(*LEARNING, "clients_info", key): count for key, count in zip(keys, counts, strict=True)}))
    assert len(fabric.clients) == counts[0]
    assert {group: sum(c.group == group for c in fabric.clients) for group in groups} == groups


def test_without_google_all_go_to_openwhisk() -> None:
    fabric = load(upgraded({("providers", "google"): None}))
    assert {client.cluster for client in fabric.clients} == {"invasic_cluster"}
    assert len(fabric.clients) == 12


def test_without_openwhisk_all_go_to_google() -> None:
    fabric = load(upgraded({("providers", "openwhisk"): None}))
    assert {client.cluster for client in fabric.clients} == {"gcf_cluster"}
    assert fabric.server_cluster == "gcf_cluster"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({("version",): 1}, "already"),
        ({("version",): 0.2}, "only files of version 0.1"),
        ({("version",): None, ("scenarios",): None}, "no spec of version 0.1"),
        ({("providers",): None}, "no OpenWhisk or Google cluster"),
        ({(*LEARNING, "clients_info", "total_num_clients"): "many"}, "must be a number"),
        ({(*LEARNING, "clients_info", "total_num_clients"): 0}, "whole number from 1"),
        ({(*LEARNING, "clients_info"): None}, "there are 0 clients"),
        ({(*LEARNING, "model_params", "optim"): "lion"}, "adam, ndam and sgd"),
        ({(*LEARNING, "model_params", "lr"): "-1"}, "more than 0"),
        ({(*LEARNING, "functions", "fl_client", "openwhisk", "memory"): "lots"}, "not an amount of memory"),
        ({(*LEARNING, "functions", "fl_client", "openwhisk", "timeout"): "0"}, "must be from 1"),
        ({("providers", "openwhisk"): [1]}, "must be a mapping"),
    ],
)
def test_broken_input(changes: dict[tuple[str, ...], Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        upgraded(changes)
    assert any(message in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "version: 0.1", "version: 0.1\nscenarios: 3", " scenarios: {\nversion: 0.1"])
def test_broken_text(text: str) -> None:
    with pytest.raises(SpecError):
        upgrade(text, "old.yaml")


def _paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path] if path else []
    for key, item in value.items() if isinstance(value, dict) else ():
        found += _paths(item, (*path, key))
    return found


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 200), st.floats(allow_nan=False), st.text(max_size=12), st.just([]), st.just({}),
    st.sampled_from(["<ADD it>", "1e-3", "100", "300000", "mongodb://u:p@h:1/x", "\x85# - x", "a\nb: c"]),
    st.just("https://a:b@c.d/api/v1/namespaces/n/"),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(_paths(EVERYTHING)), VALUES, max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_comes_in_what_comes_out_loads(changes: dict[tuple[str, ...], Any]) -> None:
    try:
        made = upgraded(dict(sorted(changes.items(), key=lambda item: -len(item[0]))))
    except SpecError as error:
        assert error.problems  # noqa: PT017 - either way is right
        return
    load(made)


@given(st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_text(text: str) -> None:
    with pytest.raises(SpecError):
        upgrade("version: 0.1\n" + text, "old.yaml")
