"""The whole run at a glance: for each cluster, what ended when, and what went wrong; with the moments that explain it.

cluster | columns over time: succeeded, not counted, failed | worst moments below
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fedkeeper.observe.report.charts import axis
from fedkeeper.observe.report.figures import GAVE_UP, Cluster, ticks
from fedkeeper.observe.report.markup import Html, el
from fedkeeper.observe.report.story import Moment, Story
from fedkeeper.observe.rows import ActivationRow, RunView
from fedkeeper.observe.text import clock, count, one_line

_BINS = 120
_CLUSTERS = 30
_KINDS = ("succeeded", "cancelled", "failed")  # from the bottom up


def timeline(view: RunView, story: Story, cluster_of: Cluster) -> list[Html]:
    ended = [row for row in view.activations if row.end is not None]
    if not ended:
        return []
    span = max(1e-6, *(story.worked(row.end or 0.0) for row in ended), story.worked(view.updated))
    bins: dict[str, dict[str, list[int]]] = defaultdict(lambda: {kind: [0] * _BINS for kind in _KINDS})
    for row in ended:
        place = min(_BINS - 1, int(story.worked(row.end or 0.0) / span * _BINS))
        bins[cluster_of(row)][_kind(row)][place] += 1
    high = _height([sum(column) for kinds in bins.values() for column in zip(*kinds.values(), strict=True) if any(column)])
    shown = list(bins.items())[:_CLUSTERS]
    marks = _marks(story, span)
    parts = [_legend(high)] + [_row(name, kinds, high, marks) for name, kinds in shown]
    if len(bins) > len(shown):
        parts.append(el("p", f"{count(len(bins), 'cluster')}, the first {len(shown)} shown.", class_="note"))
    below = axis([(clock(tick) if span >= 60 else f"{tick:g} s", tick / span) for tick in ticks(0, span)])
    return [el("div", parts, el("div", el("span"), below, class_="lane"), class_="timeline")]


def _height(columns: Sequence[int]) -> int:
    """What fills a row: one burst must not flatten the rest."""
    ranked = sorted(columns)
    return min(ranked[-1], 2 * ranked[int(0.9 * (len(ranked) - 1))])


def _kind(row: ActivationRow) -> str:
    return "failed" if row.state in GAVE_UP else "cancelled" if row.state == "cancelled" else "succeeded"


def _legend(high: int) -> Html:
    labels = {"succeeded": "succeeded", "cancelled": "not counted", "failed": "failed, timed out or lost"}
    keys = [el("span", el("i", class_=f"key {kind}"), labels[kind]) for kind in _KINDS]
    scale = el("span", f"full height: {count(high, 'activation')} or more")
    return el("p", keys, el("span", el("i", class_="key moment"), "interruption, repair or warning"), scale, class_="legend")


def _row(name: str, kinds: dict[str, list[int]], high: int, marks: Sequence[Html]) -> Html:
    bars = []
    for place in range(_BINS):
        below = 0.0
        for kind in _KINDS:
            tall = min(kinds[kind][place] / high * 100, 100 - below)
            if tall > 0:
                below += tall
                bars.append(el("rect", x=place + 0.1, y=f"{100 - below:.1f}", width=0.8, height=f"{tall:.1f}", class_=kind))
    drawing = el("svg", bars, view_box=f"0 0 {_BINS} 100", preserve="none", role="img")
    return el("div", el("span", one_line(name, 60)), el("div", drawing, marks), class_="lane tall")


def _marks(story: Story, span: float) -> list[Html]:
    """One mark per place and text: a thousand warnings at once are one line."""
    found: dict[str, Moment] = {}
    for moment in story.moments:
        found.setdefault(f"{min(1.0, story.worked(moment.time) / span):.2%}", moment)
    return [el("i", class_="moment", style=f"left:{left}", title=moment.text) for left, moment in found.items()]
