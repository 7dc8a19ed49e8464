"""The mixed example, made small, through an emulator in the test's process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fedkeeper.api import Fabric
from fedkeeper.emulator.limits import AwsLimits, GoogleLimits, Limits, OpenWhiskLimits
from fedkeeper.testing.emulated import Emulated, emulated

EXAMPLES = Path(__file__).parents[2] / "examples"
RAISED: Mapping[str, Limits] = {
    "openwhisk": OpenWhiskLimits(invocations_per_minute=6000, max_concurrency=200),
    "google": GoogleLimits(writes_per_minute=6000),
    "aws": AwsLimits(control_per_second=1000),
}


def mixed_spec(each: int = 2, rounds: int = 3) -> dict[str, Any]:
    """The example with `each` clients on every platform, all of them in every round."""
    spec: dict[str, Any] = yaml.safe_load((EXAMPLES / "mixed-fabric.yaml").read_text())
    spec["providers"]["google"]["gcf"]["writes_per_minute"] = 6000  # as RAISED has it: these tests deploy more than once a minute
    learning = spec["scenarios"]["federated_learning"]
    for group in learning["clients"]["groups"]:
        group["count"] = each
    learning["clients"]["per_round"] = "all"
    learning["training"] |= {"rounds": rounds, "local_epochs": 1, "backoff": "100ms"}
    return spec


def all_local(spec: dict[str, Any]) -> dict[str, Any]:
    """The same clients, every one on the server's cluster."""
    for group in spec["scenarios"]["federated_learning"]["clients"]["groups"]:
        group["cluster"] = "campus"
    return {**spec, "providers": {"local": {"campus": {}}}}


def project(folder: Path, spec: dict[str, Any], environ: Mapping[str, str] | None = None) -> Fabric:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(EXAMPLES / "numpy", folder / "numpy", dirs_exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return Fabric.load(folder / "config.yaml", environ={**os.environ, **(environ or {})})


@contextmanager
def fabric(folder: Path, spec: dict[str, Any], limits: Mapping[str, Limits] = RAISED) -> Iterator[tuple[Fabric, Emulated]]:
    """A deployed fabric and its emulator; removed at the end."""
    with emulated(folder / "emulator", limits=limits) as emulator:
        made = project(folder / "project", spec, emulator.environ)
        made.deploy()
        yield made, emulator
        made.remove()
