"""Who can reach what, and within which limits: the store, the relayed weights, memory and time.

These are the mistakes that would otherwise show in the first round, in a function's log on somebody's platform.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from fedkeeper.errors import Problem
from fedkeeper.jobs import MAX_PARAMS
from fedkeeper.model import FunctionConfig, Role
from fedkeeper.spec import resolve
from fedkeeper.spec.checks import LEARNING, Check, Context
from fedkeeper.spec.document import Path as KeyPath
from fedkeeper.spec.resolve import Place

_SERVER_ROLES = (Role.INIT, Role.AGGREGATOR, Role.EVALUATOR)
_LIMITS = {"memory": ("max_memory", "MB"), "timeout": ("max_timeout", "s")}


def store(context: Context) -> Iterator[Problem]:
    """A store on this machine serves only functions that share it."""
    if not context.spec.store.startswith(("file:", "memory:")):
        return
    hint = "use a store that all of them reach, such as mongodb://... or ${env:MONGO_URL}"
    if context.server and not context.server.kind.shares_host:
        path = (*LEARNING, "server", "cluster")
        yield context.problem(path, f"`{context.spec.store}` is on this machine, the server is on `{context.server.name}`", hint)
    for path, group, place in context.groups():
        if place and not place.kind.shares_host and group.weights == "store":
            at = (*path, "weights") if context.document.has((*path, "weights")) else (*path, "cluster")
            message = (
                f"`{context.spec.store}` is on this machine, the clients of `{resolve.group_name(group)}` are on `{place.name}`"
            )
            yield context.problem(at, message, f"let them be served with weights: relay, or {hint}")


def relay_direction(context: Context) -> Iterator[Problem]:
    """An invoker far away cannot call functions on this machine; on this machine it reaches its own cluster only."""
    if context.server is None:
        return
    for path, group, place in context.groups():
        if place is None or not place.kind.shares_host or group.weights != "relay" or place.name == context.server.name:
            continue
        if context.server.kind.shares_host:
            message = f"the invoker on `{context.server.name}` cannot call functions on `{place.name}`, another local cluster"
            hint = f"use weights: store, or put these clients on `{context.server.name}`"
        else:
            message = f"the invoker on `{context.server.name}` cannot call functions on `{place.name}`, which is this machine"
            hint = "use weights: store, or put the server on this machine"
        yield context.problem((*path, "weights"), message, hint)


def relay_payload(context: Context) -> Iterator[Problem]:
    """The model fits in a request and in a response of every cluster it is carried to."""
    size = resolve.model_bytes(context.learning, context.root)
    if size is None:
        return
    for path, group, place in context.groups():
        if place is None or group.weights != "relay":
            continue
        needed = math.ceil(size * place.kind.body_factor) + MAX_PARAMS
        limits = {name: place.limit(name) for name in ("max_request", "max_response")}
        small = {name: limit for name, limit in limits.items() if limit is not None and limit < needed}
        if small:
            taken = _megabytes(min(small.values()))
            message = f"the model takes {_megabytes(needed)} on its way, `{place.name}` takes {taken}"
            hint = f"raise the platform's limit, then {' and '.join(small)} of `{place.name}`; or use weights: store"
            yield context.problem((*path, "weights"), message, hint)


def function_limits(context: Context) -> Iterator[Problem]:
    """No function asks for more than its cluster gives."""
    made = resolve.functions(context.learning, context.root, {})
    for place, roles in _deployments(context).items():
        for key, (setting, unit) in _LIMITS.items():
            limit = context.places[place].limit(setting)
            over = [role for role in roles if limit is not None and _asked(made[role], key) > limit]
            given = [role for role in over if getattr(context.learning.functions.of(role), key) is not None]
            for role in given:
                message = f"{role} asks for {_asked(made[role], key):g} {unit}, `{place}` gives {limit:g} {unit} at most"
                yield context.problem((*LEARNING, "functions", role.value, key), message, _limit_hint(setting, key))
            if unsaid := [role for role in over if role not in given]:
                yield _default_limit(context, context.places[place], key, unsaid, made)


def invoker_timeout(context: Context) -> Iterator[Problem]:
    """An invoker waits for its client: it must live at least as long."""
    if not any(group.weights == "relay" for group in context.learning.clients.groups):
        return
    made = resolve.functions(context.learning, context.root, {})
    invoker, client = made[Role.INVOKER].timeout_s, made[Role.CLIENT].timeout_s
    if invoker < client:
        path = (*LEARNING, "functions", Role.INVOKER.value, "timeout")
        message = f"fl_invoker ends after {invoker} s, the client it waits for after {client} s"
        yield context.problem(path, message, f"give it more than {client} s, or leave it out")


def _deployments(context: Context) -> Mapping[str, list[Role]]:
    """Cluster name -> the roles that run there."""
    found: dict[str, list[Role]] = {}
    relay = any(group.weights == "relay" for group in context.learning.clients.groups)
    if context.server:
        found[context.server.name] = [*_SERVER_ROLES, *([Role.INVOKER] if relay else [])]
    for _, _, place in context.groups():
        roles = found.setdefault(place.name, []) if place else []
        if Role.CLIENT not in roles:
            roles.append(Role.CLIENT)
    return found


def _default_limit(context: Context, place: Place, key: str, roles: list[Role], made: Mapping[Role, FunctionConfig]) -> Problem:
    """One problem for all functions that say nothing themselves."""
    setting, unit = _LIMITS[key]
    amounts = sorted({_asked(made[role], key) for role in roles})
    asked = "; ".join(
        f"{amount:g} {unit}: {', '.join(role for role in roles if _asked(made[role], key) == amount)}" for amount in amounts
    )
    message = f"`{place.name}` gives functions {place.limit(setting):g} {unit} at most, less than these have by default ({asked})"
    path: KeyPath = (*place.path, setting) if context.document.has((*place.path, setting)) else place.path
    return context.document.problem(path, message, _limit_hint(setting, key), key=True)


def _asked(config: FunctionConfig, key: str) -> float:
    return config.memory_mb if key == "memory" else config.timeout_s


def _limit_hint(setting: str, key: str) -> str:
    return f"set `{key}` of the function lower, or `{setting}` of the cluster as high as its operator allows"


def _megabytes(size: float) -> str:
    return f"{size / 1024**2:.1f} MB"


REACH: tuple[Check, ...] = (store, relay_direction, relay_payload, function_limits, invoker_timeout)
