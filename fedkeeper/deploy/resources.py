"""Which functions a fabric wants, and on which cluster: pure, but for reading the files that go into the zips.

server cluster:   fl_server_init, fl_server_aggregator, fl_evaluator, fl_invoker-<cluster> for every cluster with relay clients
client clusters:  fl_client (weights: store), fl_client_relay (weights: relay), or one each with isolation: client
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fedkeeper.deploy import package
from fedkeeper.deploy.package import Package
from fedkeeper.errors import DeployError
from fedkeeper.model import Cluster, Fabric, FunctionConfig, FunctionSpec, Json, Role
from fedkeeper.naming import client_function, function_name, invoker_function
from fedkeeper.providers.base import Capabilities
from fedkeeper.providers.secrets import PLACEHOLDER, variables


@dataclass(frozen=True)
class CallerModule:
    """What an invoker's zip calls a platform's functions with ("module:Class"), and what that needs."""

    target: str
    requirements: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()  # of the vendor's standard credential chain; bound where the operator has set them


@dataclass(frozen=True)
class Modules:
    """Modules that are named only in strings, which the packager adds: store, strategy, callers by provider.

    `variables` are those the operator has set: an invoker is bound to what its callee names of them. One that is missing and
    needed has been told of before, when the callee's adapter was made.
    """

    store: str
    strategy: Sequence[str]
    callers: Mapping[str, CallerModule]
    variables: frozenset[str] = frozenset()
    store_requirements: tuple[str, ...] = ()  # what a function installs to open the store


@dataclass(frozen=True)
class Wanted:
    """One function and the zip it is made of."""

    spec: FunctionSpec
    package: Package


class Resources:
    """Makes the wanted functions of one fabric; zips are built once per (role, provider, weights)."""

    def __init__(self, fabric: Fabric, capabilities: Mapping[str, Capabilities], modules: Modules) -> None:
        self.fabric = fabric
        self.capabilities = capabilities
        self.modules = modules
        self._packages: dict[tuple[Role, str, str], Package] = {}

    def wanted(self) -> list[Wanted]:
        return [*self._server(), *self._clients()]

    def nodeinfo(self, cluster: Cluster, role: Role = Role.NODEINFO) -> Wanted:
        """The test function of `check --deploy`; never part of `wanted`."""
        return self._make(
            f"{self.fabric.name}-check-{role}", cluster, role, self._package(role, cluster.provider, "none"), store=False
        )

    def _server(self) -> Iterator[Wanted]:
        cluster = self.fabric.clusters[self.fabric.server_cluster]
        for role in (Role.INIT, Role.AGGREGATOR, Role.EVALUATOR):
            name = function_name(self.fabric.name, role)
            yield self._make(name, cluster, role, self._package(role, cluster.provider, "store"), store=True)
        relayed = dict.fromkeys(client.cluster for client in self.fabric.clients if client.weights == "relay")
        for name in relayed:
            yield self._invoker(cluster, self.fabric.clusters[name])

    def _clients(self) -> Iterator[Wanted]:
        seen = set()
        for client in self.fabric.clients:
            name, cluster = client_function(self.fabric.name, client), self.fabric.clusters[client.cluster]
            if (name, cluster.name) in seen:
                continue
            seen.add((name, cluster.name))
            yield self._make(
                name,
                cluster,
                Role.CLIENT,
                self._package(Role.CLIENT, cluster.provider, client.weights),
                store=client.weights == "store",
            )

    def _invoker(self, server: Cluster, callee: Cluster) -> Wanted:
        caller = self.modules.callers[callee.provider]
        made = self._package(Role.INVOKER, server.provider, callee.provider)
        described = {"caller": caller.target, "settings": dict(callee.settings)}
        return self._make(
            invoker_function(self.fabric.name, callee.name),
            server,
            Role.INVOKER,
            made,
            store=True,
            environment={"FEDKEEPER_CALLEE": json.dumps(described, sort_keys=True)},
            variables=[name for name in (*variables(callee.settings), *caller.variables) if name in self.modules.variables],
        )

    def _make(
        self,
        name: str,
        cluster: Cluster,
        role: Role,
        made: Package,
        *,
        store: bool,
        environment: Mapping[str, str] | None = None,
        variables: Sequence[str] = (),
    ) -> Wanted:
        config = self.fabric.functions.get(role, FunctionConfig())
        plain, secrets = self._store_binding() if store else ({}, {})
        secrets |= {name: name for name in variables}  # the caller looks them up under the operator's own names
        if self.capabilities[cluster.name].shares_host:
            plain["FEDKEEPER_CACHE"] = str(self.fabric.root / ".fedkeeper" / "cache")
        spec = FunctionSpec(
            name=name, fabric=self.fabric.name, cluster=cluster.name, role=role, package=made.digest,
            memory_mb=config.memory_mb, timeout_s=config.timeout_s, environment={**plain, **(environment or {})},
            secrets=secrets, options=_options(config, cluster.provider, role), requirements=made.requirements,
        )  # fmt: skip
        return Wanted(spec, made)

    def _store_binding(self) -> tuple[dict[str, str], dict[str, str]]:
        """The store's URL as functions get it: a secret when the spec names it by a variable."""
        url = self.fabric.functions_store or self.fabric.store
        if match := PLACEHOLDER.fullmatch(url):
            return {}, {"FEDKEEPER_STORE": match.group(1)}
        if PLACEHOLDER.search(url):
            raise DeployError("store: the whole URL must be one ${env:NAME}", hint="put the complete URL into one variable")
        return {"FEDKEEPER_STORE": url}, {}

    def _package(self, role: Role, provider: str, variant: str) -> Package:
        key = (role, provider, variant)
        if key not in self._packages:
            self._packages[key] = self._build(role, provider, variant)
        return self._packages[key]

    def _build(self, role: Role, provider: str, variant: str) -> Package:
        config = self.fabric.functions.get(role, FunctionConfig())
        with_task = role in (Role.INIT, Role.CLIENT, Role.EVALUATOR)
        with_store = variant not in ("none", "relay")
        modules = [self.modules.store] if with_store else []
        requirements = list(self.modules.store_requirements) if with_store else []
        if role is Role.AGGREGATOR:
            modules += self.modules.strategy
        if role is Role.INVOKER:
            modules.append(self.modules.callers[variant].target.split(":")[0])
            requirements += self.modules.callers[variant].requirements
        sample = self.fabric.data.sample if with_task else None
        return package.build(
            role,
            provider,
            modules=modules,
            task=self._task if with_task else None,
            data={f"data/{sample}": package.sample_bytes(sample)} if sample else None,
            requirements=requirements,
            folder=Path(config.path) if config.path else None,
        )

    @cached_property
    def _task(self) -> package.TaskFiles:
        return package.task_files(self.fabric.training.task, self.fabric.task_files, self.fabric.requirements)


def _options(config: FunctionConfig, provider: str, role: Role) -> dict[str, Json]:
    """The spec's, with what is left open decided by the role: an invoker waits for its client."""
    options = dict(config.options.get(provider, {}))
    if "waits" in options and options["waits"] is None:
        options["waits"] = role is Role.INVOKER
    return options
