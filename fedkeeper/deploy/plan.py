"""What must be done so that the clusters hold what the fabric wants: a pure function, and the data it returns.

wanted FunctionSpecs, what each cluster holds now --plan--> Plan(actions) --> printed (dry run) or applied
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fedkeeper.model import FunctionSpec
from fedkeeper.providers.base import DeployedFunction

Kind = Literal["create", "update", "keep", "delete"]


@dataclass(frozen=True)
class Action:
    """One step, and why."""

    kind: Kind
    function: str
    cluster: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Creates and updates in the order wanted, then deletes."""

    actions: tuple[Action, ...]
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> int:
        return sum(action.kind != "keep" for action in self.actions)


def plan(
    wanted: Sequence[FunctionSpec],
    deployed: Mapping[str, Mapping[str, DeployedFunction]],
    warnings: Iterable[str] = (),
    *,
    why_delete: str = "no longer in the spec",
) -> Plan:
    """`deployed` maps cluster -> function name -> what is there, and also lists clusters that are no longer wanted."""
    actions = [_action(spec, deployed.get(spec.cluster, {}).get(spec.name)) for spec in wanted]
    names = {(spec.cluster, spec.name) for spec in wanted}
    actions += [
        Action("delete", name, cluster, why_delete)
        for cluster, functions in deployed.items()
        for name in functions
        if (cluster, name) not in names
    ]
    return Plan(tuple(actions), tuple(warnings))


def _action(spec: FunctionSpec, there: DeployedFunction | None) -> Action:
    if there is None:
        return Action("create", spec.name, spec.cluster, "not there yet")
    if there.digest == spec.digest:
        return Action("keep", spec.name, spec.cluster, "up to date")
    reason = "code or settings changed" if there.digest else "made by an unfinished deploy"
    return Action("update", spec.name, spec.cluster, reason)
