"""Verbs that look at runs: status, runs."""

from __future__ import annotations

import time

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.model import Json


@click.command("status", short_help="Show where a run stands, or how it ended.")
@click.argument("run_id", metavar="[RUN]", required=False)
@standard()
def status(session: Session, run_id: str | None) -> None:
    """Show where RUN (the latest one by default) stands: round, clients per cluster, scores, time left."""
    from fedkeeper.observe import tables
    from fedkeeper.observe.view import view_of

    fabric = session.fabric()
    run, events = fabric.events(run_id)
    state = next((one.state for one in fabric.runs() if one.run == run), "unfinished")
    view = view_of(events, now=time.time() if state == "running" else None)
    session.show({"run": run, "state": state} | view.to_json(), lambda: tables.status(view, state))


@click.command("runs", short_help="List the runs of this fabric.")
@standard()
def runs(session: Session) -> None:
    """List the runs of this fabric, oldest first."""
    from fedkeeper.observe import tables

    found = session.fabric().runs()
    names = ("run", "state", "created", "rounds", "accuracy", "stop_reason")
    data: Json = {"runs": [{name: getattr(one, name) for name in names} for one in found]}
    session.show(data, lambda: tables.runs(found) if found else "no runs yet; `fedkeeper start` begins one")
