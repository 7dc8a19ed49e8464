"""The pictures are there when the painter's context has been left, and it is never in the way."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from fedkeeper.observe import plots
from fedkeeper.observe.painter import Painter
from fedkeeper.observe.painting import view_from
from fedkeeper.observe.rows import RunView
from fedkeeper.observe.view import view_of
from tests.observe.ledgers import plain_run


@pytest.fixture
def view() -> RunView:
    return view_of(plain_run(2, 2))


@pytest.mark.parametrize("early", [True, False])
def test_the_pictures_are_there_in_the_end(tmp_path: Path, view: RunView, early: bool) -> None:
    with Painter() as painter:
        if early:
            painter.begin()
        painter.draw(tmp_path / "run", view)
    plots.draw(tmp_path / "direct", view)
    for name in plots.NAMES:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "direct" / name).read_bytes()


def test_the_process_draws_what_it_was_sent(view: RunView) -> None:
    sent = view_from(view.to_json())
    assert (sent.rounds, sent.counts, sent.fabric, sent.seconds) == (view.rounds, view.counts, view.fabric, view.seconds)


def test_without_a_request_nothing_is_drawn(tmp_path: Path) -> None:
    with Painter() as painter:
        painter.begin()
    with Painter():
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_does_not_wait_for_pictures(tmp_path: Path, view: RunView) -> None:
    def failing_run() -> None:
        with Painter() as painter:
            painter.draw(tmp_path / "run", view)
            raise ValueError("the run failed")

    began = time.monotonic()
    with pytest.raises(ValueError, match="the run failed"):
        failing_run()
    assert time.monotonic() - began < 2


def test_what_is_missing_is_said_once(
    tmp_path: Path, view: RunView, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Painter() as painter:
        painter.draw(tmp_path / "run", view)
    assert capsys.readouterr().err == plots.HINT + "\n"


def test_a_python_that_cannot_be_started_is_no_error(tmp_path: Path, view: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with Painter() as painter:
        painter.begin()
        painter.draw(tmp_path / "run", view)
    assert not (tmp_path / "run").exists()
