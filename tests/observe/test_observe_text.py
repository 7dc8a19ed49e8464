"""Words about numbers, and long tables."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from fedkeeper.events import EVENT_TYPES
from fedkeeper.observe import human, tables
from fedkeeper.observe.text import clock, count, iso, one_line, score, sparkline, task_name, took
from fedkeeper.observe.view import view_of
from tests.observe.ledgers import plain_run


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0123, "0.012 s"),
        (12.34, "12.3 s"),
        (99.96, "1 min 40 s"),
        (134, "2 min 14 s"),
        (3599.6, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_took(seconds: float | None, text: str) -> None:
    assert took(seconds) == text


def test_clock_iso_count_score() -> None:
    assert clock(3725.9) == "1:02:05"
    assert iso(1_700_000_000.9996) == "2023-11-14T22:13:21.000Z"
    assert iso(None) == ""
    assert [count(n, "client") for n in (0, 1, 10_000)] == ["0 clients", "1 client", "10,000 clients"]
    assert [score(value) for value in (None, 0.98765)] == ["-", "0.9877"]


@given(st.text())
def test_one_line_is_one_printable_line(text: str) -> None:
    line = one_line(text, 50)
    assert len(line) <= 50
    assert line.isprintable()


@example([1.7e308, -1.7e308])
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)))
def test_a_sparkline_is_as_wide_as_its_values_at_most(values: list[float]) -> None:
    assert len(sparkline(values, 24)) <= min(24, len(values))


def test_a_task_goes_by_its_files_name() -> None:
    assert [task_name(task) for task in ("mnist_cnn", "/home/me/tasks/digits.py")] == ["mnist_cnn", "digits.py"]


def test_sparkline() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([1, 1]) == "▄▄"
    assert sparkline([]) == ""


def test_a_long_run_shows_its_last_rounds() -> None:
    rows = [row.to_json() for row in view_of(plain_run(50, 1)).rounds]
    console = Console(file=io.StringIO(), width=200)
    console.print(tables.rounds_table(rows))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "(30 earlier rounds not shown; rounds.csv has them all)"
    assert len(lines) == 2 + 20
    assert lines[-1].split()[0] == "50"


def test_every_event_has_a_line_or_is_known_to_fill_tables_only() -> None:
    named = {"round": 1, "step": "r0001/train", "subject": "c0", "attempt": 1, "state": "failed"}
    silent = {type_ for type_ in EVENT_TYPES if human.line_of({"type": type_, "time": 0.0, **named}) is None}
    assert silent == {"requested", "accepted"}
