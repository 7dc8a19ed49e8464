"""Verbs about what is on the clusters: plan, deploy, remove.

Plan -> one line per function and a summary on stdout; how far it is, on stderr
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from fedkeeper.cli.session import Session, console, standard
from fedkeeper.model import Json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedkeeper.deploy.plan import Action, Kind, Plan
    from fedkeeper.observe.cost import Estimate

_LISTED = 20  # with more functions than this, those that stay as they are get no line
_MARKS = {"create": ("+", "green"), "update": ("~", "yellow"), "keep": ("=", "dim"), "delete": ("-", "red")}
_DONE: Mapping[Kind, str] = {"create": "created", "update": "updated", "delete": "deleted", "keep": "up to date"}
_TO_DO: Mapping[Kind, str] = {"create": "to create", "update": "to update", "delete": "to delete", "keep": "up to date"}
Progress = Callable[["Action", int, int], None]


@click.command("plan", short_help="Show what deploy would do; change nothing.")
@standard()
def plan(session: Session) -> None:
    """Show what `fedkeeper deploy` would do, function by function, and why. Nothing is changed."""
    from fedkeeper.observe.cost import estimate

    fabric = session.fabric()
    _show(session, fabric.name, fabric.plan(), _TO_DO, estimate(fabric.spec))


@click.command("deploy", short_help="Create or update the functions on every cluster.")
@standard()
def deploy(session: Session) -> None:
    """Make the clusters hold what the spec says.

    Repeatable: only what differs is touched, and a deploy that was interrupted goes on where it stopped.
    """
    fabric = session.fabric()
    with _progress(session, "deploying") as progress:
        done = fabric.deploy(progress=progress)
    _show(session, fabric.name, done, _DONE)


@click.command("remove", short_help="Delete every function; runs and models stay.")
@standard()
def remove(session: Session) -> None:
    """Delete every function of this fabric from every cluster. Runs, models and logs stay."""
    fabric = session.fabric()
    with _progress(session, "removing") as progress:
        done = fabric.remove(progress=progress)
    _show(session, fabric.name, done, _DONE)


def _show(session: Session, fabric: str, plan: Plan, words: Mapping[Kind, str], cost: Estimate | None = None) -> None:
    names = ("kind", "function", "cluster", "reason")
    data: Json = {
        "fabric": fabric,
        "actions": [{name: getattr(action, name) for name in names} for action in plan.actions],
        "changes": plan.changes,
        "warnings": list(plan.warnings),
    }
    if cost is not None:
        data["cost"] = cost.to_json()
    session.show(data, lambda: lines(plan, words, everything=session.verbose, cost=cost))
    for warning in plan.warnings:
        session.say(f"warning: {warning}")


def lines(plan: Plan, words: Mapping[Kind, str], *, everything: bool = False, cost: Estimate | None = None) -> RenderableType:
    """One aligned line per function, the summary, and what a run would cost."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for action in plan.actions:
        if action.kind != "keep" or everything or len(plan.actions) <= _LISTED:
            mark, style = _MARKS[action.kind]
            texts = (f"{mark} {words[action.kind]}", action.function, action.cluster, action.reason)
            grid.add_row(*(Text(text, style=style if index == 0 else "") for index, text in enumerate(texts)))
    parts: list[RenderableType] = [grid] if grid.row_count else []
    return Group(*parts, Text(summary(plan, words)), *([Text(cost.line())] if cost is not None else []))


def summary(plan: Plan, words: Mapping[Kind, str]) -> str:
    from fedkeeper.observe.text import count

    kinds = Counter(action.kind for action in plan.actions)
    if plan.changes:
        return ", ".join(f"{kinds[kind]:,} {word}" for kind, word in words.items() if kinds[kind])
    if not kinds["keep"]:
        return "nothing to change: there are no functions"
    return f"nothing to change: {count(kinds['keep'], 'function')} {'is' if kinds['keep'] == 1 else 'are'} up to date"


@contextmanager
def _progress(session: Session, verb: str) -> Iterator[Progress | None]:
    """On a terminal a line that redraws itself, in a pipe one line per function."""
    if session.quiet:
        yield None
    elif sys.stderr.isatty():
        from rich.text import Text

        with console(sys.stderr).status(Text(f"{verb} ...")) as line:
            yield lambda action, done, total: line.update(Text(f"{verb} {done}/{total}: {_place(action)}"))
    else:
        yield lambda action, done, total: session.say(f"{verb} {done}/{total}: {_place(action)}")


def _place(action: Action) -> str:
    return f"{action.function} on {action.cluster}"
