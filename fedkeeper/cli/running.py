"""Verbs that move a run: start, resume, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedkeeper.api import Fabric, Run


@click.command("start", short_help="Begin a run and watch it to its end.")
@click.option("--rounds", metavar="N", type=click.IntRange(1), help="At most N rounds (training.rounds).")
@click.option("--seed", metavar="S", type=int, help="The seed of every random choice (training.seed).")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Another value for a key of the spec; repeatable.")
@click.option("--run-id", metavar="ID", help="The name of the run; one is made up otherwise.")
@standard()
def start(session: Session, rounds: int | None, seed: int | None, settings: tuple[str, ...], run_id: str | None) -> None:
    """Begin a run and watch it to its end.

    Ctrl-C interrupts it between two steps; `fedkeeper resume` goes on. A KEY is written with dots, as in
    `--set training.clients_per_round=10`. The results are in logs/<run>/.
    """
    from fedkeeper.cli.watching import watching
    from fedkeeper.observe.cost import estimate

    fabric = session.fabric(overrides(rounds, seed, settings), online=True)
    cost = estimate(fabric.spec)
    if cost is not None:
        session.say(cost.line())
    run_id = run_id or fabric.new_run_id()
    with watching(_clusters(fabric), quiet=session.quiet) as watchers:
        run = fabric.start(run_id=run_id, observers=watchers)
    session.show(run.to_json() | ({"cost": cost.to_json()} if cost is not None else {}), lambda: result(run))


@click.command("resume", short_help="Go on with a run that was interrupted.")
@click.argument("run_id", metavar="[RUN]", required=False)
@standard(stored=True)
def resume(session: Session, run_id: str | None) -> None:
    """Go on with RUN (the latest unfinished one by default), with the spec it was started with."""
    from fedkeeper.cli.watching import watching

    fabric = session.fabric_of(run_id)
    with watching(_clusters(fabric), quiet=session.quiet) as watchers:
        run = fabric.resume(run_id, observers=watchers)
    session.show(run.to_json(), lambda: result(run))


@click.command("stop", short_help="Ask a run to end after the round it is in.")
@click.argument("run_id", metavar="[RUN]", required=False)
@standard(stored=True)
def stop(session: Session, run_id: str | None) -> None:
    """Ask RUN (the latest one by default) to end after the round it is in."""
    stopped = session.fabric_of(run_id).stop(run_id)
    session.show({"run": stopped}, lambda: f"run {stopped} will end after the round it is in")


def overrides(rounds: int | None, seed: int | None, settings: tuple[str, ...]) -> list[tuple[str, str]]:
    """Options as (key, value) pairs of the spec; --set comes last, so it wins."""
    named = {"training.rounds": rounds, "training.seed": seed}
    pairs = [(key, str(value)) for key, value in named.items() if value is not None]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {setting}: KEY=VALUE is expected", hint="for example --set training.epochs=5")
        pairs.append((key.strip(), value))
    return pairs


def result(run: Run) -> RenderableType:
    from fedkeeper.observe import tables

    return tables.result(
        run=run.run,
        stop_reason=run.stop_reason,
        rounds=run.rounds,
        seconds=run.seconds,
        accuracy=run.accuracy,
        loss=run.loss,
        model=run.model,
        activations=run.activations,
        table=run.table,
        folder=str(run.folder),
    )


def _clusters(fabric: Fabric) -> dict[str, str]:
    return {client.id: client.cluster for client in fabric.spec.clients}
