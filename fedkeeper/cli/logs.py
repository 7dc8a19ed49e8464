"""The verb `logs`: the run's story from its ledger, and what its functions printed from their platforms.

no filter            the lines of run.log
--round, --client    the lines about them; with --client also what that client's latest activation printed
--activation         what that one activation printed
--follow             the lines so far, and those to come
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.errors import UsageError
from fedkeeper.events import Event

if TYPE_CHECKING:
    from fedkeeper.api import Fabric
    from fedkeeper.observe.rows import ActivationRow, RunView


@click.command("logs", short_help="Show what happened in a run, or what a function printed.")
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--client", metavar="ID", help="Only this client, and what its function printed.")
@click.option("--round", "round_", metavar="N", type=int, help="Only this round.")
@click.option("--activation", metavar="ID", help="What this activation printed.")
@click.option("--tail", metavar="N", type=click.IntRange(1), help="Only the last N lines.")
@click.option("--follow", is_flag=True, help="Go on with new lines until the run ends; Ctrl-C leaves the run alone.")
@standard(stored=True)
def logs(
    session: Session,
    run_id: str | None,
    *,
    client: str | None,
    round_: int | None,
    activation: str | None,
    tail: int | None,
    follow: bool,
) -> None:
    """Show what happened in RUN (the latest one by default), or what a function printed."""
    from fedkeeper.observe.view import view_of

    if follow and (session.json or activation is not None):
        raise UsageError("--follow prints lines as they come: it does not go with --json or --activation")
    fabric = session.fabric_of(run_id)
    if follow:
        _follow(fabric, run_id, Story(client=client, round_=round_), tail)
        return
    run, events = fabric.events(run_id)
    view = view_of(events)
    if activation is not None:
        lines = _printed(fabric, _find(view, activation), activation)
    else:
        lines = Story(client=client, round_=round_).lines(events)
        if client is not None:
            lines += _output(fabric, view, client, round_)
    shown = lines if tail is None else lines[-tail:]
    session.show({"run": run, "lines": shown}, lambda: "\n".join(shown) or "nothing")


def _follow(fabric: Fabric, run_id: str | None, story: Story, tail: int | None) -> None:
    """`tail` cuts what was there before."""
    try:
        for number, batch in enumerate(fabric.follow(run_id)):
            lines = story.lines(batch)
            for line in lines[-tail:] if tail is not None and number == 0 else lines:
                click.echo(line)
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None


class Story:
    """The lines of run.log, or those about a client, a round, or both, batch by batch."""

    def __init__(self, *, client: str | None = None, round_: int | None = None) -> None:
        self._client, self._round = client, round_
        self._clusters: dict[tuple[str, str, int], str] = {}
        self._rounds = 0

    def lines(self, events: Iterable[Event]) -> list[str]:
        from fedkeeper.observe import human

        found = []
        for event in events:
            cluster = self._cluster(event)
            if self._round is not None and event.get("round") != self._round:
                continue
            if self._client is not None and event.get("subject") != self._client:
                continue
            line = human.line_of(event, cluster=cluster, rounds=self._rounds)
            if line is not None:
                found.append(human.stamped(event, line))
        return found

    def _cluster(self, event: Event) -> str:
        """Where the attempt ran that an event ends."""
        from fedkeeper.observe.view import key_of

        if event["type"] == "run_started":
            self._rounds = int(event.get("rounds") or 0)
        elif event["type"] == "requested":
            self._clusters[key_of(event)] = str(event.get("cluster") or "")
        return self._clusters.get(key_of(event), "") if event["type"] == "ended" else ""


def _output(fabric: Fabric, view: RunView, client: str, round_: int | None) -> list[str]:
    """What the client's latest activation (of that round) printed."""
    rows = [row for row in view.activations if row.client == client and round_ in (None, row.round)]
    if not rows:
        raise UsageError(f"client {client} has no activation in {view.run}" + (f", round {round_}" if round_ is not None else ""))
    row = rows[-1]
    activation = row.client_activation_id or row.activation_id
    if not activation:
        return [f"--- round {row.round}, attempt {row.attempt}: its platform gave no activation id ---"]
    return [f"--- round {row.round}, attempt {row.attempt}, activation {activation} ---", *_printed(fabric, row, activation)]


def _find(view: RunView, activation: str) -> ActivationRow:
    for row in reversed(view.activations):
        if activation in (row.activation_id, row.client_activation_id):
            return row
    raise UsageError(f"run {view.run} has no activation {activation}", hint="logs/<run>/activations.csv lists them")


def _printed(fabric: Fabric, row: ActivationRow, activation: str) -> Sequence[str]:
    """A relayed client's own activation is on the client's cluster, the invoker's on the ledger's."""
    relayed = activation == row.client_activation_id and activation != row.activation_id
    cluster = fabric.spec.client(row.client).cluster if relayed else row.cluster
    text = fabric.activation_log(cluster, activation)
    return text.splitlines() or [f"(nothing was printed, or {cluster} keeps nothing)"]
