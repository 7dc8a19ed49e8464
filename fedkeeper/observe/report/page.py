"""The whole page.

page(view, story, fabric) -> text;  write(target, ...) -> the file, all of it or none
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from fedkeeper.errors import UsageError
from fedkeeper.events import SERVER, Event
from fedkeeper.model import Fabric
from fedkeeper.observe import cost
from fedkeeper.observe.report import charts, figures, sections
from fedkeeper.observe.report.gantt import gantt
from fedkeeper.observe.report.markup import Child, Html, el
from fedkeeper.observe.report.sections import folded, section
from fedkeeper.observe.report.story import Story
from fedkeeper.observe.report.timeline import timeline
from fedkeeper.observe.rows import ActivationRow, RunView
from fedkeeper.observe.text import count, iso, one_line, task_name, took
from fedkeeper.version import __version__

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # whatever came in with a name or an error: it cannot run or call home
_STOPS = {
    "target_accuracy": "target accuracy reached", "rounds": "all rounds done", "time_budget": "time budget used up",
    "stopped": "stopped on request",
}  # fmt: skip
_FEW = 40  # clients: as many are listed at once


def story_of(events: Iterable[Event]) -> Story:
    story = Story()
    story.feed(events)
    return story


def page(view: RunView, story: Story, fabric: Fabric | None = None) -> str:
    """`fabric` adds the clients' own clusters and the cost."""
    homes = {client.id: client.cluster for client in fabric.clients} if fabric is not None else {}

    def cluster_of(row: ActivationRow) -> str:
        return homes.get(row.client, row.cluster)

    spent = cost.spent(view.activations, fabric) if fabric is not None else None
    body = [_header(view, story), sections.tiles(view, spent), *_sections(view, story, cluster_of, spent)]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", f"{view.fabric}: run {view.run}"),
        el("style", Html(resources.files(__package__).joinpath("style.css").read_text("utf-8"))),
    )
    made = (
        f"FedKeeper {__version__}, from the {count(story.events, 'event')} of the run's ledger. One file: no network, no script."
    )
    return "<!DOCTYPE html>\n" + el("html", head, el("body", el("main", body), el("footer", made)), lang="en") + "\n"


def write(target: Path, text: str) -> Path:
    """A reader sees the old file or the whole new one."""
    fresh = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8", errors="replace")
        os.replace(fresh, target)
    except OSError as exc:
        raise UsageError(f"cannot write {target}: {exc.strerror}") from exc
    return target


def _header(view: RunView, story: Story) -> Html:
    state = ("finished", _STOPS.get(view.stop_reason, view.stop_reason)) if view.finished else ("unfinished", view.phase)
    started = iso(view.started)[:19].replace("T", " ") + " UTC" if view.started else ""
    per_round, clients = story.facts.get("clients_per_round"), story.facts.get("clients")
    facts = {
        "task": task_name(view.task), "strategy": view.strategy, "started": started,
        "clients": f"{per_round} of {clients} per round" if per_round and per_round != clients else clients,
        "quorum": story.facts.get("quorum"), "seed": story.facts.get("seed"), "model": el("code", view.model) if view.model else None,
    }  # fmt: skip
    listed = [el("div", el("dt", name), el("dd", value)) for name, value in facts.items() if value not in (None, "")]
    return el(
        "header",
        el("p", "FedKeeper run report", class_="eyebrow"),
        el("h1", one_line(view.fabric), " ", el("span", one_line(view.run))),
        el("p", el("span", f"{state[0]}: {state[1]}" if state[1] else state[0], class_=f"pill {state[0]}")),
        el("dl", listed),
    )


def _sections(view: RunView, story: Story, cluster_of: figures.Cluster, spent: cost.Spent | None) -> list[Html | None]:
    found = figures.causes(view.activations)
    by_client = figures.by_client(view, cluster_of)
    clients = sections.groups(by_client, "client")
    return [
        section("What it learnt", _curves(view)),
        section("What happened", el("p", _summary(view, story), class_="lead"), sections.moments(story)),
        section("Where the time went", charts.phases(view.rounds), sections.rounds(view.rounds)),
        section("The run at a glance", timeline(view, story, cluster_of)),
        section("Failures and retries", sections.trouble(found)),
        section("Not counted", sections.left_out(story)),
        section("Activations", gantt(view, story.worked)),
        section("Clusters", sections.groups(figures.by_cluster(view, cluster_of), "cluster", story.peak_mb)),
        section("Clients", clients and folded(count(len(by_client), "client"), clients, opened=len(by_client) <= _FEW)),
        section("Cost", sections.cost(spent) if spent is not None else None),
    ]


def _curves(view: RunView) -> Html | None:
    both: list[Child] = [
        charts.curve("Accuracy", view.rounds, "accuracy", "accuracy", view.target_accuracy),
        charts.curve("Loss", view.rounds, "loss", "loss"),
    ]
    return el("div", both, class_="pair") if any(both) else None


def _summary(view: RunView, story: Story) -> str:
    """The story in two sentences."""
    counts = view.counts
    ended = f"finished in {took(view.seconds)}" if view.finished else f"has not finished; {took(view.seconds)} so far"
    dropped = sum(one.number for one in story.dropped)
    clients = len({row.client for row in view.activations if row.client != SERVER})
    went = [f"{counts.failed:,} failed"] if counts.failed else []
    went += [count(counts.retried, "retry", "retries")] if counts.retried else []
    went += [f"the work of {count(dropped, 'client')} was not counted"] if dropped else []
    went += [f"a new orchestrator went on {count(len(story.pauses), 'time')}"] if story.pauses else []
    calm = "every one of them succeeded at the first attempt" if view.finished else "nothing has gone wrong"
    return f"The run {ended}. {count(counts.requested, 'activation')} for {count(clients, 'client')}: {', '.join(went) or calm}."
