"""Two pictures of a run: `accuracy.png` (accuracy and loss per round) and `time.png` (where each round's time went).

    RunView --draw--> logs/<run>/*.png        matplotlib's Figure objects and the Agg renderer only: no pyplot, no global state

`painting.py` calls it, in a process of its own. matplotlib is optional. Without it there is one line on stderr and no picture.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from fedkeeper.observe.rows import RoundRow, RunView
from fedkeeper.observe.text import count, task_name, took

ACCURACY, TIME = NAMES = ("accuracy.png", "time.png")
HINT = "no plots: matplotlib is not installed; pip install 'fedkeeper[plots]'"
# Okabe and Ito's palette: told apart with every kind of colour vision, and in grey.
_BLUE, _SKY, _GREEN, _ORANGE, _RED, _PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
_INK, _FAINT = "#333333", "#DDDDDD"
_PHASES = (
    ("invoke", "invoke_s", _ORANGE),
    ("train", "train_s", _BLUE),
    ("aggregate", "aggregate_s", _GREEN),
    ("evaluate (may overlap the next round)", "evaluate_s", _PURPLE),
)
_MARKED = 60  # beyond so many rounds, points and gaps between bars only clutter


def draw(
    folder: Path,
    view: RunView,
    names: Sequence[str] = NAMES,
    *,
    complain: TextIO | None = None,
    load: Callable[[str], Any] = importlib.import_module,
) -> tuple[Path, ...]:
    """Write what there is to show of the pictures called `names`; returns the files."""
    try:
        figure = load("matplotlib.figure").Figure
        ticker = load("matplotlib.ticker")
    except ImportError:
        print(HINT, file=complain or sys.stderr)
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    scored = [row for row in view.rounds if row.accuracy is not None or row.loss is not None]
    if scored and ACCURACY in names:
        drawn.append(_save(_accuracy(figure, ticker, view, scored), folder / ACCURACY))
    timed = [row for row in view.rounds if row.total_s is not None]
    if timed and TIME in names:
        drawn.append(_save(_time(figure, ticker, view, timed), folder / TIME))
    return tuple(drawn)


def load_early() -> bool:
    """Import what `draw` and saving will need; False when it is not installed."""
    try:
        for name in ("matplotlib.figure", "matplotlib.ticker", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"):
            importlib.import_module(name)
    except ImportError:
        return False
    return True


def _accuracy(figure: Any, ticker: Any, view: RunView, rows: Sequence[RoundRow]) -> Any:
    canvas = figure(figsize=(8, 6), dpi=120, layout="constrained")
    top, bottom = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _title(canvas, view, "accuracy and loss")
    _curve(top, rows, "accuracy", _BLUE)
    _curve(bottom, rows, "loss", _RED)
    if view.target_accuracy is not None:
        top.axhline(view.target_accuracy, color=_INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=2)
        top.annotate(
            f"target {view.target_accuracy:g}", (0.01, view.target_accuracy), xycoords=("axes fraction", "data"),
            xytext=(0, 4), textcoords="offset points", color=_INK, fontsize=9,
        )  # fmt: skip
    top.set_ylabel("accuracy (share of test examples)")
    bottom.set_ylabel("loss")
    bottom.set_ylim(bottom=0)
    _axes(ticker, top, bottom)
    return canvas


def _curve(axes: Any, rows: Sequence[RoundRow], column: str, colour: str) -> None:
    points = [(row.round, getattr(row, column)) for row in rows if getattr(row, column) is not None]
    if not points:
        return
    rounds, values = zip(*points, strict=True)
    axes.plot(rounds, values, color=colour, linewidth=2, marker="o" if len(points) <= _MARKED else "", markersize=4, zorder=3)
    axes.annotate(
        f"{values[-1]:.4f}", (rounds[-1], values[-1]), xytext=(6, 0), textcoords="offset points",
        color=colour, fontsize=10, fontweight="bold", va="center", annotation_clip=False,
    )  # fmt: skip
    axes.margins(x=0.06, y=0.12)


def _time(figure: Any, ticker: Any, view: RunView, rows: Sequence[RoundRow]) -> Any:
    canvas = figure(figsize=(8, 4.8), dpi=120, layout="constrained")
    axes = canvas.subplots()
    _title(canvas, view, "where the time went")
    rounds = [row.round for row in rows]
    few = len(rows) <= _MARKED
    below = [0.0] * len(rows)
    for label, column, colour in _PHASES:
        heights = [getattr(row, column) or 0.0 for row in rows]
        overlaps = {"alpha": 0.6, "hatch": "///"} if column == "evaluate_s" else {}
        edge = {"edgecolor": "white", "linewidth": 0.5 if few else 0, "width": 0.8 if few else 1.0}
        axes.bar(rounds, heights, bottom=below, color=colour, label=label, zorder=3, **edge, **overlaps)
        below = [base + height for base, height in zip(below, heights, strict=True)]
    axes.set_ylabel("time (seconds)")
    axes.margins(x=0.02, y=0.08)
    _axes(ticker, axes)
    canvas.legend(loc="outside lower center", ncols=len(_PHASES), frameon=False, fontsize=9, labelcolor=_INK)
    return canvas


def _title(canvas: Any, view: RunView, what: str) -> None:
    """Names come from the user: they are never read as formulas."""
    rounds = count(sum(row.total_s is not None for row in view.rounds), "round")
    canvas.get_layout_engine().set(w_pad=0.1, h_pad=0.12)
    text = f"fabric {view.fabric}, run {view.run}: {what}\n{task_name(view.task)} with {view.strategy}, {rounds} in {took(view.seconds)}"
    title = canvas.suptitle(text, x=0.02, ha="left", fontsize=11, color=_INK)
    title.set_parse_math(False)


def _axes(ticker: Any, *panels: Any) -> None:
    for axes in panels:
        axes.grid(visible=True, axis="y", color=_FAINT, linewidth=0.8, zorder=0)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_INK, length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_FAINT)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
    panels[-1].set_xlabel("round", color=_INK)


def _save(canvas: Any, path: Path) -> Path:
    canvas.savefig(path, format="png", pil_kwargs={"compress_level": 1})  # quickly: the pictures are small
    return path
