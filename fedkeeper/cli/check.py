"""The verb `check`: is the spec right, and (with --deploy) does every cluster take, run and give up a function?"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.errors import ProviderError, UsageError
from fedkeeper.model import Json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedkeeper.api import Fabric, NodeInfo

_COLUMNS = ("cluster", "provider", "answer", "host", "platform", "CPUs", "memory", "cold start", "warm call")


@click.command("check", short_help="Validate the spec; with --deploy, try every cluster.")
@click.option("--deploy", is_flag=True, help="Deploy a small function to every cluster, call it, and remove it again.")
@click.option("--cluster", "clusters", metavar="NAME", multiple=True, help="With --deploy: only this cluster; repeatable.")
@click.option(
    "--provider", "providers", metavar="KIND", multiple=True, help="With --deploy: only clusters of this kind; repeatable."
)
@click.option(
    "--function", "functions", metavar="ROLE", multiple=True, help="With --deploy: which function [nodeinfo]; repeatable."
)
@standard()
def check(
    session: Session, deploy: bool, clusters: tuple[str, ...], providers: tuple[str, ...], functions: tuple[str, ...]
) -> None:
    """Validate the spec: every mistake is shown, with its line.

    With --deploy, also try every cluster with a small function. The exit code is 5 when one does not answer.
    """
    if not deploy and (clusters or providers or functions):
        raise UsageError("--cluster, --provider and --function need --deploy")
    fabric = session.fabric(online=True)
    if not deploy:
        session.show(_facts(fabric), lambda: _sentence(session, fabric))
        return
    nodes = []
    for function in functions or ("nodeinfo",):
        nodes += fabric.check_nodes(
            clusters=clusters, providers=providers, function=function, progress=lambda name: _say(session, name)
        )
    session.show({**_facts(fabric), "nodes": [asdict(node) for node in nodes]}, lambda: table(nodes))
    _judge(session, nodes)


def _say(session: Session, cluster: str) -> None:
    if session.verbose or not sys.stderr.isatty():
        session.say(f"trying {cluster}")


def _judge(session: Session, nodes: Sequence[NodeInfo]) -> None:
    """The table is on stdout already: with --json, the exit code alone says that a cluster failed."""
    silent = dict.fromkeys(node.cluster for node in nodes if not node.ok)
    if not silent:
        return
    if session.json:
        raise click.exceptions.Exit(ProviderError.exit_code)
    raise ProviderError(f"{len(silent)} of {len({node.cluster for node in nodes})} clusters failed: {', '.join(silent)}")


def _facts(fabric: Fabric) -> dict[str, Json]:
    spec = fabric.spec
    return {
        "valid": True,
        "fabric": spec.name,
        "clusters": {name: cluster.provider for name, cluster in spec.clusters.items()},
        "clients": len(spec.clients),
        "rounds": spec.training.rounds,
        "strategy": spec.strategy.name,
    }


def _sentence(session: Session, fabric: Fabric) -> str:
    from fedkeeper.observe.text import count

    spec = fabric.spec
    homes = Counter(client.cluster for client in spec.clients)
    places = [f"{name} ({cluster.provider}, {count(homes[name], 'client')})" for name, cluster in spec.clusters.items()]
    training = f"{count(spec.training.rounds, 'round')} of {spec.strategy.name}"
    return f"{session.config} is valid: fabric {spec.name}, {count(len(spec.clients), 'client')}, {training}; clusters {', '.join(places)}"


def table(nodes: Sequence[NodeInfo]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    from fedkeeper.observe.text import one_line

    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in _COLUMNS:
        grid.add_column(name, justify="right" if name in _COLUMNS[5:] else "left")
    for node in nodes:
        answer = Text("ok", style="green") if node.ok else Text(one_line(node.error or "failed"), style="red")
        facts = [_or_dash(node.host), _or_dash(node.platform), _or_dash(node.cpus), _or_dash(node.memory_mb, " MB")]
        times = [_or_dash(node.cold_start_ms, " ms"), _or_dash(node.latency_ms, " ms")]
        grid.add_row(Text(node.cluster), node.provider, answer, *(Text(text) for text in (*facts, *times)))
    return grid


def _or_dash(value: Json, unit: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}{unit}" if isinstance(value, float) else f"{value}{unit}"
