"""Verbs that look at runs: status, runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.model import Json

if TYPE_CHECKING:
    from fedkeeper.api import Fabric


@click.command("status", short_help="Show where a run stands, or how it ended.")
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--watch", is_flag=True, help="Keep showing it until the run ends; Ctrl-C leaves the run alone.")
@standard(stored=True)
def status(session: Session, run_id: str | None, watch: bool) -> None:
    """Show where RUN (the latest one by default) stands: round, clients per cluster, scores, time left."""
    from fedkeeper.observe import tables
    from fedkeeper.observe.view import view_of

    fabric = session.fabric_of(run_id)
    run, events = fabric.events(run_id)
    if watch:
        _watch(session, fabric, run)
        run, events = fabric.events(run)
    state = next((one.state for one in fabric.runs() if one.run == run), "unfinished")
    view = view_of(events, now=time.time() if state == "running" else None)
    session.show({"run": run, "state": state} | view.to_json(), lambda: tables.status(view, state))


def _watch(session: Session, fabric: Fabric, run: str) -> None:
    """What `start` shows, of a run that goes on elsewhere."""
    from fedkeeper.cli.watching import watching

    clusters = {client.id: client.cluster for client in fabric.spec.clients}
    try:
        with watching(clusters, quiet=session.quiet) as watchers:
            for batch in fabric.follow(run):
                for watcher in watchers:
                    if batch:
                        watcher.on_events(batch)
                    watcher.on_tick("")
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None


@click.command("runs", short_help="List the runs of this fabric.")
@standard(stored=True)
def runs(session: Session) -> None:
    """List the runs of this fabric, oldest first."""
    from fedkeeper.observe import tables

    found = session.fabric_of(None).runs()
    names = ("run", "state", "created", "rounds", "accuracy", "stop_reason")
    data: Json = {"runs": [{name: getattr(one, name) for name in names} for one in found]}
    session.show(data, lambda: tables.runs(found) if found else "no runs yet; `fedkeeper start` begins one")
