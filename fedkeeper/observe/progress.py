"""The run on a terminal: a few lines that redraw themselves, and above them one line per finished round.

events, ticks --Live: O(1) each--> at most ten times a second: panel() -> rich

round 3/10  ━━━━━━━━━━╸━━━━  67/100 clients  elapsed 0:02:14  at most 0:05:40 left
cluster  done  running  queued  retrying  failed
edge       40       20       5         2       0
accuracy 0.9530 ▁▃▅▇█  loss 0.1530  3 retries
waiting for 27 clients
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fedkeeper.events import Event
from fedkeeper.observe import human
from fedkeeper.observe.live import STATES, Live
from fedkeeper.observe.news import News
from fedkeeper.observe.text import clock, count, one_line, score, sparkline

_REDRAW_S = 0.1
_CLUSTERS = 8  # shown one by one; the others in one line
_STYLES = {"done": "green", "running": "cyan", "retrying": "yellow", "failed": "red", "dropped": "magenta", "queued": "dim"}
_LEVEL_STYLES = {human.WARNING: "yellow", human.ERROR: "red"}


class Progress:
    """An Observer for a terminal. `cluster_of` names the clients' own clusters."""

    def __init__(
        self,
        console: Console,
        *,
        cluster_of: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._now, self._ticks = console, now, ticks
        self._news = News(Live(cluster_of), brief=True)
        self._waiting_for = ""
        self._drawn = float("-inf")
        self._screen: Screen | None = Screen(console=console, auto_refresh=False, transient=True)
        self._started = False

    def on_events(self, events: list[Event]) -> None:
        for line in self._news.take(events):
            self._console.print(Text(line.text, style=_LEVEL_STYLES.get(line.level, "")), soft_wrap=True)
        self._draw()

    def on_tick(self, waiting_for: str) -> None:
        self._waiting_for = waiting_for
        self._draw()

    def close(self) -> None:
        """Give the terminal back. Closing twice is harmless."""
        screen, self._screen = self._screen, None
        if screen is not None and self._started:
            screen.stop()

    def _draw(self) -> None:
        tick = self._ticks()
        if self._screen is None or tick - self._drawn < _REDRAW_S:
            return
        self._drawn = tick
        if not self._started:
            self._screen.start()
            self._started = True
        ascii_only = not self._console.encoding.lower().startswith("utf")
        self._screen.update(panel(self._news.live, self._now(), self._waiting_for, ascii_only=ascii_only), refresh=True)


def panel(live: Live, now: float, waiting_for: str, *, ascii_only: bool = False) -> RenderableType:
    """What the terminal shows now."""
    parts: list[RenderableType] = [_headline(live, now)]
    if live.clusters:
        parts.append(_clusters(live))
    if live.accuracy is not None or live.retries:
        parts.append(_scores(live, ascii_only=ascii_only))
    if waiting_for and live.phase != "finished":
        parts.append(Text(f"waiting for {one_line(waiting_for)}", style="dim"))
    return Group(*parts)


def _headline(live: Live, now: float) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    left = live.eta(now)
    remaining = "" if left is None else f"at most {clock(left)} left"
    tail = [Text(f"elapsed {clock(live.elapsed(now))}"), Text(remaining)]
    if live.in_round:
        title = Text(f"round {live.round}/{live.rounds_wanted}" if live.rounds_wanted else f"round {live.round}", style="bold")
        done = live.total("done")
        bar = ProgressBar(total=live.in_round, completed=done, width=30, complete_style="cyan", finished_style="green")
        what = "aggregating" if live.phase == "aggregating" else f"{done:,}/{count(live.in_round, 'client')}"
        grid.add_row(title, bar, Text(what), *tail)
    else:
        grid.add_row(Text(f"{live.phase} {one_line(live.run)}", style="bold"), *tail)
    return grid


def _clusters(live: Live) -> RenderableType:
    states = [state for state in STATES if state != "dropped" or live.total("dropped")]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("cluster")
    for state in states:
        table.add_column(state, justify="right")
    rows = list(live.clusters.items())
    for name, counts in rows[:_CLUSTERS]:
        table.add_row(Text(one_line(name)), *(_number(counts[state], state) for state in states))
    if others := rows[_CLUSTERS:]:
        sums = {state: sum(counts[state] for _, counts in others) for state in states}
        table.add_row(Text(f"{len(others)} more"), *(_number(sums[state], state) for state in states))
    return table


def _number(value: int, state: str) -> Text:
    return Text(f"{value:,}", style=_STYLES[state] if value else "dim")


def _scores(live: Live, *, ascii_only: bool) -> RenderableType:
    text = Text()
    if live.accuracy is not None:
        text.append(f"accuracy {score(live.accuracy)} ", style="bold")
        text.append(sparkline(live.accuracies, ascii_only=ascii_only), style="green")
        text.append(f"  loss {score(live.loss)}  ")
    if live.target_accuracy is not None:
        text.append(f"target {live.target_accuracy:g}  ", style="dim")
    if live.retries:
        text.append(count(live.retries, "retry", "retries"), style="yellow")
    return text
