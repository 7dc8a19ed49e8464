"""The pictures, and life without matplotlib."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fedkeeper.observe import plots
from fedkeeper.observe.view import view_of
from tests.observe.ledgers import Script, plain_run

_PNG = b"\x89PNG\r\n\x1a\n"


def size_of(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(_PNG)
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


@pytest.mark.parametrize("rounds", [1, 3, 80])
def test_two_pictures(tmp_path: Path, rounds: int) -> None:
    drawn = plots.draw(tmp_path / "run", view_of(plain_run(rounds, 2)))
    assert [path.name for path in drawn] == ["accuracy.png", "time.png"]
    assert [size_of(path) for path in drawn] == [(960, 720), (960, 576)]


def test_names_are_not_formulas(tmp_path: Path) -> None:
    script = Script(fabric="a$b$^_{").start(1, 1, run="r$\\frac$").whole_round(1, ["c0"], 0.5)
    assert len(plots.draw(tmp_path, view_of(script.events))) == 2


def test_a_run_without_evaluation_has_no_accuracy_picture(tmp_path: Path) -> None:
    script = Script().start(1, 1).open(1, ["c0"]).client(1, "c0").done(1, "c0").close(1, 1).commit(1)
    assert [path.name for path in plots.draw(tmp_path, view_of(script.events))] == ["time.png"]
    assert plots.draw(tmp_path, view_of(Script().start().events)) == ()


def test_the_bars_are_the_rounds_times(tmp_path: Path) -> None:
    """Looks at the figure itself, through the loader."""
    figures: list[Any] = []

    def load(name: str) -> Any:
        module = importlib.import_module(name)
        if name != "matplotlib.figure":
            return module
        spy = ModuleType("figure")

        class Figure(module.Figure):  # type: ignore[misc, name-defined]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                figures.append(self)

        spy.Figure = Figure  # type: ignore[attr-defined]
        return spy

    view = view_of(plain_run(3, 4))
    plots.draw(tmp_path, view, load=load)
    lines, bars = figures[0].axes[0], figures[1].axes[0]
    assert list(lines.lines[0].get_ydata()) == [row.accuracy for row in view.rounds]
    assert list(lines.lines[1].get_ydata()) == [0.9, 0.9]  # the target
    heights = [bar.get_height() for bar in bars.patches]
    assert heights[:3] == [row.invoke_s for row in view.rounds]
    assert sum(heights) == pytest.approx(sum((row.total_s or 0) + (row.evaluate_s or 0) for row in view.rounds))
    assert bars.get_xlabel() == "round"
    assert bars.get_ylabel() == "time (seconds)"


def test_without_matplotlib_there_is_one_line(tmp_path: Path) -> None:
    def load(name: str) -> Any:
        raise ImportError(name)

    stderr = io.StringIO()
    assert plots.draw(tmp_path, view_of(plain_run(1, 1)), complain=stderr, load=load) == ()
    assert stderr.getvalue() == "no plots: matplotlib is not installed; pip install 'fedkeeper[plots]'\n"
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_is_imported_only_to_draw_and_never_pyplot() -> None:
    code = (
        "import sys, pathlib, tempfile\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.observe.ledgers import plain_run\n"
        "from fedkeeper.observe import folder, live, plain, plots, progress, tables, view\n"
        "assert 'matplotlib' not in sys.modules and 'numpy' not in sys.modules\n"
        "plots.draw(pathlib.Path(tempfile.mkdtemp()), view.view_of(plain_run(1, 1)))\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
