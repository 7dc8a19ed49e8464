"""The two kinds of charts per round: a curve, and stacked bars. The picture stretches with the page, its words do not.

<figure> caption, legend | y labels (HTML) | <svg preserveAspectRatio="none"> | x labels (HTML)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedkeeper.observe.report.figures import sample, ticks
from fedkeeper.observe.report.markup import Html, el
from fedkeeper.observe.rows import RoundRow
from fedkeeper.observe.text import took

_SIZE = 1000  # of a drawing in its own units, both ways
_POINTS = 500  # more are not told apart
_DOTS = 60
PHASES = (
    ("invoke", "invoke_s", "invoke"),
    ("train", "train_s", "train"),
    ("aggregate", "aggregate_s", "aggregate"),
    ("evaluate (may overlap the next round)", "evaluate_s", "evaluate"),
)


def curve(title: str, rows: Sequence[RoundRow], column: str, kind: str, target: float | None = None) -> Html | None:
    """One value per round; None when no round has one. `kind` is the class that colours it."""
    values = [(row.round, getattr(row, column)) for row in rows]
    points = [(number, float(value)) for number, value in values if value is not None and math.isfinite(value)]
    if not points:
        return None
    shown = sample(points, _POINTS)
    first, last = shown[0][0], shown[-1][0]
    scale = [value for _, value in shown] + ([target] if target is not None else [])
    low, high = _range(min(scale), max(scale))
    at = [(_part(number, first, last), 1 - _part(value, low, high)) for number, value in shown]
    marks = [el("path", d=_line(at), class_=f"curve {kind}")]
    if len(at) <= _DOTS:
        marks += [
            el("path", el("title", f"round {number}: {value:.4f}"), d=f"M{x * _SIZE:.1f} {y * _SIZE:.1f}h0", class_=f"dot {kind}")
            for (number, value), (x, y) in zip(shown, at, strict=True)
        ]
    if target is not None:
        marks.insert(0, el("path", el("title", f"target {target:g}"), d=f"M0 {_y(target, low, high)}H{_SIZE}", class_="target"))
    caption = el("figcaption", title, el("b", f"{points[-1][1]:.4f}", class_=kind), _goal(target))
    note = f"{len(points):,} rounds, {len(shown):,} of them drawn" if len(shown) < len(points) else None
    xs = [(f"{tick:g}", _part(tick, first, last)) for tick in whole(first, last)]
    return _figure(caption, marks, low, high, xs, note)


def phases(rows: Sequence[RoundRow], limit: int = 300) -> Html | None:
    """Where each round's time went, stacked."""
    timed = [row for row in rows if row.total_s is not None]
    if not timed:
        return None
    shown = sample(timed, limit)
    high = max(sum(getattr(row, column) or 0.0 for _, column, _ in PHASES) for row in shown) * 1.02 or 1.0
    width = _SIZE / len(shown)
    marks = [bar for index, row in enumerate(shown) for bar in _stack(row, index * width + width * 0.12, width * 0.76, high)]
    legend = el("figcaption", "Seconds per round", _legend())
    note = f"{len(timed):,} rounds, {len(shown):,} of them drawn; rounds.csv has them all" if len(shown) < len(timed) else None
    middles = sample(list(enumerate(shown)), 10)
    xs = [(str(row.round), (index + 0.5) / len(shown)) for index, row in middles]
    return _figure(legend, marks, 0.0, high, xs, note)


def axis(marks: Sequence[tuple[str, float]]) -> Html:
    """Words below a picture; `marks` are (text, part of the width)."""
    return el(
        "div",
        [el("span", text, style=f"left:{part:.2%}", class_="end" if part > 0.96 else None) for text, part in marks],
        class_="xs",
    )


def whole(first: int, last: int) -> list[int]:
    """Rounds that get a number under the chart."""
    return [int(tick) for tick in ticks(first, last, 5) if tick == int(tick)] or [first]


def _stack(row: RoundRow, x: float, width: float, high: float) -> list[Html]:
    bars, below = [], 0.0
    for label, column, kind in PHASES:
        seconds = getattr(row, column) or 0.0
        tall = seconds / high * _SIZE
        below += tall
        if tall > 0:
            tip = el("title", f"round {row.round}: {label} {took(seconds)}")
            box = {"x": f"{x:.2f}", "y": f"{_SIZE - below:.2f}", "width": f"{width:.2f}", "height": f"{tall:.2f}"}
            bars.append(el("rect", tip, class_=f"phase {kind}", **box))
    return bars


def _legend() -> Html:
    return el("span", [el("span", el("i", class_=f"key {kind}"), label) for label, _, kind in PHASES], class_="legend")


def _goal(target: float | None) -> Html | None:
    return None if target is None else el("small", f"target {target:g}")


def _figure(
    caption: Html, marks: Sequence[Html], low: float, high: float, xs: Sequence[tuple[str, float]], note: str | None
) -> Html:
    lines = ticks(low, high)
    grid = [el("path", d=f"M0 {_y(tick, low, high)}H{_SIZE}", class_="grid") for tick in lines]
    labels = [el("span", f"{tick:g}", style=f"bottom:{_part(tick, low, high):.2%}") for tick in lines]
    drawing = el("svg", grid, marks, view_box=f"0 0 {_SIZE} {_SIZE}", preserve="none", role="img")
    parts = (caption, el("div", el("div", labels, class_="ys"), drawing, class_="plot"), axis(xs))
    return el("figure", *parts, el("p", note, class_="note") if note else None)


def _range(low: float, high: float) -> tuple[float, float]:
    """A little room above and below; zero is not left for less than a tenth of the height."""
    room = (high - low) * 0.08 or abs(high) * 0.1 or 0.1
    bottom = low - room
    return (0.0 if low >= 0 and bottom < 0.1 * high else bottom), high + room


def _part(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _y(value: float, low: float, high: float) -> str:
    return f"{(1 - _part(value, low, high)) * _SIZE:.1f}"


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x * _SIZE:.1f} {y * _SIZE:.1f}" for x, y in points)
