"""What an invoker carries: the caller of its callee's platform, its requirements, and that cluster's credential alone."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from fedkeeper.deploy.resources import CallerModule, Modules, Resources
from fedkeeper.model import Client, Cluster
from tests.fabrics import CAPABILITIES, make_fabric


def test_each_invoker_gets_the_variables_of_its_own_cluster(tmp_path: Path) -> None:
    clusters = {
        "here": Cluster("here", "local"),
        "one": Cluster("one", "local", {"auth": "${env:KEY_ONE}", "host": "https://${env:HOST}"}),
        "two": Cluster("two", "local", {"auth": "${env:KEY_TWO}"}),
    }
    clients = tuple(Client(f"c-{n}", n, name, name, weights="relay") for n, name in enumerate(["one", "two"]))
    caller = CallerModule("fedkeeper.providers.local.caller:LocalCaller", ("requests",), ("CHAIN_A", "CHAIN_B"))
    modules = Modules(
        "fedkeeper.stores.file",
        ["fedkeeper.strategies.registry"],
        {"local": caller},
        frozenset({"CHAIN_B", "OTHER", "KEY_ONE", "HOST", "KEY_TWO"}),
    )
    fabric = make_fabric(tmp_path, clusters=clusters, clients=clients)
    made = {w.spec.name: w for w in Resources(fabric, dict.fromkeys(clusters, CAPABILITIES), modules).wanted()}
    one, two = made["tiny-fl_invoker-one"], made["tiny-fl_invoker-two"]
    assert set(one.spec.secrets) == {"KEY_ONE", "HOST", "CHAIN_B"}
    assert set(two.spec.secrets) == {"KEY_TWO", "CHAIN_B"}
    assert one.spec.cluster == two.spec.cluster == "here"
    assert json.loads(one.spec.environment["FEDKEEPER_CALLEE"])["settings"]["auth"] == "${env:KEY_ONE}"
    assert one.spec.requirements == ("numpy", "requests")
    assert "fedkeeper/providers/local/caller.py" in zipfile.ZipFile(io.BytesIO(one.package.data)).namelist()
