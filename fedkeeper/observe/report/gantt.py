"""Who worked when: one picture per round, a row per client, a bar per attempt.

round > row (client, or the server's steps) > [waiting....][ran = state's colour, | = cold start] [retry ...]

Rows are HTML, so they stay readable at any width. What is too much to show is sampled, trouble first, and the page says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from fedkeeper.events import SERVER
from fedkeeper.observe.report.charts import axis
from fedkeeper.observe.report.figures import GAVE_UP, sample, ticks
from fedkeeper.observe.report.markup import Html, el
from fedkeeper.observe.rows import ActivationRow, RunView
from fedkeeper.observe.text import count, one_line, took

_ROUNDS, _ROWS, _ATTEMPTS = 60, 100, 40
_KEYS = (
    ("succeeded", "succeeded"), ("failed", "failed"), ("timed_out", "timed out"), ("lost", "lost"), ("cancelled", "not counted"),
    ("open", "under way"), ("cold", "cold start"), ("wait", "waiting"),
)  # fmt: skip
Lane = list[ActivationRow]
Clock = Callable[[float], float]  # a moment -> seconds of the run


def gantt(view: RunView, worked: Clock) -> list[Html]:
    """The legend, a note where something is left out, and a block per round; the round with most trouble is open."""
    rounds: dict[int, list[ActivationRow]] = defaultdict(list)
    for row in view.activations:
        rounds[row.round].append(row)
    if not rounds:
        return []
    numbers = sorted(rounds)
    shown = sample(numbers, _ROUNDS, lambda number: _trouble(rounds[number]))
    open_one = max(shown, key=lambda number: (_trouble(rounds[number]), number == shown[-1]))
    parts = [_legend()]
    if len(shown) < len(numbers):
        parts.append(_left_out(count(len(numbers), "round"), len(shown), " activations.csv has every attempt."))
    return parts + [_round(number, rounds[number], view, worked, opened=number == open_one) for number in shown]


def _legend() -> Html:
    return el("p", [el("span", el("i", class_=f"key {kind}"), label) for kind, label in _KEYS], class_="legend")


def _left_out(there: str, shown: int, more: str = "") -> Html:
    return el("p", f"{there}, {shown} of them shown: those with trouble, and an even spread of the others.{more}", class_="note")


def _trouble(rows: Sequence[ActivationRow]) -> int:
    return sum(row.state in GAVE_UP for row in rows)


def _round(number: int, rows: Sequence[ActivationRow], view: RunView, worked: Clock, *, opened: bool) -> Html:
    lanes: dict[str, Lane] = defaultdict(list)
    for row in rows:
        lanes[row.step if row.client == SERVER else row.client].append(row)
    clients = [lane for lane in lanes.values() if lane[0].client != SERVER]
    server = [lane for lane in lanes.values() if lane[0].client == SERVER]
    shown = sample(clients, _ROWS, _trouble)
    start = min(worked(row.requested) for row in rows)
    end = max(worked(_end(row, view)) for row in rows)
    span = max(end - start, 1e-6)
    body = [_lane(lane, view, worked, start, span) for lane in shown + server]
    if len(shown) < len(clients):
        body.insert(0, _left_out(count(len(clients), "client"), len(shown)))
    title = f"Round {number}" if number else "Start"
    facts = [count(len(rows), "activation"), took(end - start)]
    bad = _trouble(rows)
    summary = el("summary", el("b", title), " ", ", ".join(facts), el("em", f"{bad} gave trouble") if bad else None)
    return el("details", summary, el("div", body, _axis(span), class_="gantt"), open=opened)


def _axis(span: float) -> Html:
    return el("div", el("span"), axis([(f"{tick:g} s", tick / span) for tick in ticks(0, span)]), class_="lane")


def _lane(lane: Lane, view: RunView, worked: Clock, start: float, span: float) -> Html:
    first = lane[0]
    name = one_line(first.step.rpartition("/")[2] if first.client == SERVER else first.client, 60)
    attempts = sample(lane, _ATTEMPTS)
    bars = [bar for row in attempts for bar in _bars(row, view, worked, start, span)]
    more = f" ({len(lane)} attempts, {len(attempts)} shown)" if len(attempts) < len(lane) else ""
    return el("div", el("span", name + more, title=f"{name} on {first.cluster}{more}"), el("div", bars), class_="lane")


def _bars(row: ActivationRow, view: RunView, worked: Clock, start: float, span: float) -> list[Html]:
    asked, end = worked(row.requested) - start, worked(_end(row, view)) - start
    began = max(asked, worked(row.start) - start) if row.start is not None else asked
    state = row.state if row.end is not None else "open"
    what = [f"attempt {row.attempt}", state.replace("_", " "), took(max(0.0, end - began))]
    what += ["cold start"] if row.cold_start else []
    what += [one_line(row.error, 200)] if row.error else []
    bars = [el("i", class_="wait", style=_box(asked, began, span))] if began - asked > span * 0.004 else []
    bars.append(el("i", class_=f"{state} cold" if row.cold_start else state, style=_box(began, end, span), title=", ".join(what)))
    return bars


def _box(start: float, end: float, span: float) -> str:
    return f"left:{start / span:.2%};width:{max(0.0, end - start) / span:.2%}"


def _end(row: ActivationRow, view: RunView) -> float:
    return row.end if row.end is not None else max(view.updated, row.requested)
