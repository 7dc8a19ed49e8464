"""The composition root: which store, providers, strategies and callers a fabric means, opened on first use.

spec file --load--> Fabric ; House(Fabric) = store + providers + resources, closed together
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

from fedkeeper import model
from fedkeeper.deploy.digest import deploy_digest
from fedkeeper.deploy.record import DeploymentRecord
from fedkeeper.deploy.resources import CallerModule, Modules, Resources, Wanted
from fedkeeper.errors import SpecError
from fedkeeper.model import Cluster, Fabric, Json
from fedkeeper.providers import registry as provider_registry
from fedkeeper.providers.base import Provider
from fedkeeper.providers.secrets import PLACEHOLDER
from fedkeeper.stores import registry as store_registry
from fedkeeper.stores.base import Store
from fedkeeper.strategies import registry as strategy_registry
from fedkeeper.train.runs import RunRecord

CALLERS = {
    "local": CallerModule("fedkeeper.providers.local.caller:LocalCaller"),
    "openwhisk": CallerModule("fedkeeper.providers.openwhisk.caller:OpenWhiskCaller", ("requests",)),
    "google": CallerModule(
        "fedkeeper.providers.google.caller:GoogleCaller",
        ("google-auth", "requests"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_FUNCTIONS_ENDPOINT", "GOOGLE_OAUTH_ACCESS_TOKEN"),
    ),
    "aws": CallerModule(
        "fedkeeper.providers.aws.caller:AwsCaller",
        ("boto3",),
        (
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL_LAMBDA",
            "AWS_ENDPOINT_URL",
            "AWS_PROFILE",
        ),
    ),
}
"""Provider -> what the invoker's zip calls its functions with."""


def load_fabric(
    path: Path, overrides: Sequence[tuple[str, str]] = (), text: str | None = None, *, online: bool = False, stored: bool = False
) -> Fabric:
    """The resolved spec, with the provider settings this version knows. `online`: the addresses it names must answer; `stored`:
    the text is a run record's."""
    from fedkeeper import spec
    from fedkeeper.spec.reach import probe

    models = provider_registry.settings_models()
    return spec.load(path, providers=models, overrides=overrides, text=text, probe=probe if online else None, stored=stored)


def stored_fabric(record: RunRecord, store: str) -> Fabric:
    """The fabric of a run, from the spec its record holds, with its folders in the current one.

    Relative paths in it are still those of the machine and the folder where the run began.
    """
    fabric = load_fabric(Path(record.spec_file), record.overrides, record.spec_text, stored=True)
    root = Path.cwd()
    if store.startswith("file:"):
        store = f"file:{root / store.removeprefix('file:')}"
    return replace(fabric, root=root, store=store)


def schema() -> dict[str, Json]:
    """The JSON Schema of the spec, with every provider's settings."""
    from fedkeeper.spec.schema import json_schema

    return json_schema(provider_registry.settings_models())


def resolve(text: str, key: str, environ: Mapping[str, str]) -> str:
    """Replace ${env:NAME} by the operator's variable; a missing one is a SpecError that names both."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if not environ.get(name):
            raise SpecError(f"{key} needs the environment variable {name}, which is not set", hint=f"export {name}=...")
        return environ[name]

    return PLACEHOLDER.sub(value, text)


def open_store(url: str, environ: Mapping[str, str]) -> Store:
    """The store a spec's `store` names."""
    return store_registry.open_store(resolve(url, "store", environ))


class House:
    """Everything one command works with. Use as a context manager: leaving it ends embedded platforms."""

    def __init__(self, fabric: Fabric, environ: Mapping[str, str] | None = None) -> None:
        self.fabric = fabric
        self.environ = os.environ if environ is None else environ
        self._providers: dict[str, Provider] = {}

    def __enter__(self) -> House:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @cached_property
    def store(self) -> Store:
        return open_store(self.fabric.store, self.environ)

    @cached_property
    def resources(self) -> Resources:
        capabilities = {name: self.provider(cluster).capabilities for name, cluster in self.fabric.clusters.items()}
        return Resources(self.fabric, capabilities, self._modules())

    @cached_property
    def wanted(self) -> list[Wanted]:
        return self.resources.wanted()

    @cached_property
    def deploy_digest(self) -> str:
        return deploy_digest(self.fabric)

    def record(self) -> DeploymentRecord | None:
        return DeploymentRecord.load(self.store, self.fabric.name)

    def provider(self, cluster: Cluster) -> Provider:
        """The cluster's adapter, made once. Secrets are put in here and nowhere else."""
        if cluster.name not in self._providers:
            self._providers[cluster.name] = self._open(cluster)
        return self._providers[cluster.name]

    def providers(self, clusters: Iterable[Cluster] | None = None) -> dict[str, Provider]:
        wanted = self.fabric.clusters.values() if clusters is None else clusters
        return {cluster.name: self.provider(cluster) for cluster in wanted}

    def close(self) -> None:
        for provider in self._providers.values():
            provider.close()
        self._providers.clear()
        if "store" in self.__dict__:
            self.store.close()

    def _open(self, cluster: Cluster) -> Provider:
        made = provider_registry.provider_class(cluster.provider)
        home = self.fabric.root / ".fedkeeper" / cluster.provider / cluster.name
        return made(cluster, home=home, environ=self.environ)  # type: ignore[call-arg]

    def _modules(self) -> Modules:
        key = "functions_store" if self.fabric.functions_store else "store"
        url = resolve(self.fabric.functions_store or self.fabric.store, key, self.environ)
        strategy = ["fedkeeper.strategies.registry", strategy_registry.module_of(self.fabric.strategy.name)]
        needs = store_registry.requirements_of(url)
        return Modules(store_registry.module_of(url), strategy, CALLERS, frozenset(self.environ), needs)


def model_path(fabric: model.Fabric, run: str) -> Path:
    """The folder of a run's results."""
    return fabric.root / "logs" / run
