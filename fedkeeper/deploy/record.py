"""The deployment record: which clusters hold functions of a fabric, and what each was made from. One document in the store.

    {"fabric", "clusters": {name: {"provider", "settings"}}, "functions": {"cluster/name": made or null}, "digest", "updated"}
    made -> blob {"spec": FunctionSpec, "package": ref of the zip}: any function can be made again exactly as it was

A function's entry is null before it is touched and a ref after it is made: after a crash, null means "perhaps".
`digest` is the deploy digest of a finished deploy, null while one is under way. Settings hold placeholders, never secrets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedkeeper.deploy.resources import Wanted
from fedkeeper.errors import FunctionNotFound
from fedkeeper.model import Cluster, FunctionSpec, Json, Ref, canonical_json
from fedkeeper.stores.base import Store

_KIND = "deployment"


@dataclass
class DeploymentRecord:
    """In memory; `save` writes it whole (about a hundred bytes per function)."""

    fabric: str
    clusters: dict[str, Cluster] = field(default_factory=dict)
    functions: dict[str, Ref | None] = field(default_factory=dict)
    digest: str | None = None

    @staticmethod
    def load(store: Store, fabric: str) -> DeploymentRecord | None:
        data = store.get_record(_KIND, fabric)
        if data is None:
            return None
        clusters = {name: Cluster(name, c["provider"], c["settings"]) for name, c in data["clusters"].items()}
        return DeploymentRecord(fabric, clusters, dict(data["functions"]), data["digest"])

    def save(self, store: Store) -> None:
        clusters: Mapping[str, Json] = {
            name: {"provider": cluster.provider, "settings": dict(cluster.settings)} for name, cluster in self.clusters.items()
        }
        head = {"fabric": self.fabric, "clusters": clusters, "digest": self.digest, "updated": time.time()}
        store.put_record(_KIND, self.fabric, {**head, "functions": self.functions})

    def delete(self, store: Store) -> None:
        store.delete_record(_KIND, self.fabric)

    def names_on(self, cluster: str) -> list[str]:
        return [name for place, name in map(split_key, self.functions) if place == cluster]

    def made_from(self, store: Store, cluster: str, function: str) -> tuple[FunctionSpec, bytes]:
        """What a deployed function was made from. FunctionNotFound when the record does not know it."""
        ref = self.functions.get(key_of(cluster, function))
        if ref is None:
            raise FunctionNotFound(f"function {function} is gone from {cluster}, and no finished deploy describes it")
        made = json.loads(store.get_blob(ref))
        return FunctionSpec.from_json(made["spec"]), store.get_blob(made["package"])


def keep(store: Store, wanted: Wanted) -> Ref:
    """Put what a function is made from into the store; equal zips are one blob."""
    package = store.put_blob(wanted.package.data)
    return store.put_blob(canonical_json({"spec": wanted.spec.to_json(), "package": package}))


def key_of(cluster: str, function: str) -> str:
    return f"{cluster}/{function}"


def split_key(key: str) -> tuple[str, str]:
    cluster, _, name = key.partition("/")
    return cluster, name
