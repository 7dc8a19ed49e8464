"""The benchmarks' common parts do what they say, every script starts, and the quick ones run."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _report as report
from benchmarks import reference_round, run_all
from benchmarks._project import Round
from tests.house.tree import ROOT

FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(file.stem for file in FOLDER.glob("[a-z]*.py"))
LINE = re.compile(r"^\S+ ratio=\S+ goal=(<=|>=)\S+ (met|missed)$")


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(FOLDER / f"{name}.py"), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("goal", "line"),
    [
        (report.Goal("wall", 1.05, at_most=1.05), "wall ratio=1.05 goal=<=1.05 met"),
        (report.Goal("wall", 1.06, at_most=1.05), "wall ratio=1.06 goal=<=1.05 missed"),
        (report.Goal("start", 0.25, at_most=0.2, unit="s"), "start ratio=0.25s goal=<=0.2s missed"),
        (report.Goal("rate", 9.99, at_least=10), "rate ratio=9.99 goal=>=10 missed"),
        (report.Goal("rate", 10.0, at_least=10), "rate ratio=10 goal=>=10 met"),
        (report.Goal("never", float("inf"), at_most=1), "never ratio=inf goal=<=1 missed"),
        (report.Goal("unknown", float("nan"), at_most=1), "unknown ratio=nan goal=<=1 missed"),
    ],
)
def test_a_goal_is_one_line(goal: report.Goal, line: str) -> None:
    assert str(goal) == line
    assert LINE.match(line)


def test_check_fails_when_a_goal_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    met, missed = report.Goal("a", 1, at_most=2), report.Goal("b", 3, at_most=2)
    report.finish([met, missed], check=False)
    report.finish([met], check=True)
    with pytest.raises(SystemExit) as end:
        report.finish([missed, met], check=True)
    assert end.value.code == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [str(missed), str(met)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_says_the_goal(name: str) -> None:
    shown = script(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert {"--quick", "--check"} <= set(re.findall(r"--[a-z]+", shown.stdout))
    assert "goal" in shown.stdout.lower()


def test_all_of_them_are_run_but_the_long_one() -> None:
    assert {*run_all.NAMES, "run_all", "reference_long"} == set(SCRIPTS)


@pytest.mark.parametrize(("name", "goals"), [("startup", 2), ("ten_thousand", 2)])
def test_a_quick_one_ends_with_its_goals(name: str, goals: int) -> None:
    done = script(name, "--quick")
    assert done.returncode == 0, done.stderr
    assert [bool(LINE.match(line)) for line in done.stdout.splitlines()[-goals - 1 :]] == [False, *[True] * goals]


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        ("print('table'); print('x ratio=1 goal=<=2 met')", ["x ratio=1 goal=<=2 met"]),
        ("print('x ratio=3 goal=<=2 missed'); raise SystemExit(1)", ["x ratio=3 goal=<=2 missed", "one failed (exit code 1)"]),
        ("print('no goal')", ["one failed (exit code 0)"]),
    ],
)
def test_the_last_lines_are_collected_and_a_failure_is_one(tmp_path: Path, program: str, lines: list[str]) -> None:
    file = tmp_path / "one.py"
    file.write_text(program)
    results = io.StringIO()
    assert run_all.run([sys.executable, str(file)], results) == lines
    assert results.getvalue().splitlines()[2] == program.split("'")[1]


PARENT = """
import sys, time
from benchmarks._process import measured
left = "import os, time; os.setsid(); kept = b'x' * 100_000_000\\nwhile time.process_time() < 1: pass"
usage = measured([sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {left!r}], stdout=2)"])
print(usage.peak_pss_mb > 95, usage.cpu_s > 0.9, time.time() - usage.ended > 0.5)
"""


def test_what_a_command_leaves_behind_is_measured_too() -> None:
    """Its memory and processor time count; its wall time does not: the command itself has ended."""
    done = subprocess.run([sys.executable, "-c", PARENT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True True True\n", done.stderr


def test_a_round_is_divided_into_its_shares() -> None:
    """Two workers: the second waits 4 s for the last client; the evaluation of round 1 is taken out of round 2."""

    def train(started: float, finished: float) -> dict[str, Any]:
        return {"started": started, "finished": finished, "notes": {"train_s": finished - started - 1}}

    first = Round(
        1, opened=0.0, committed=20.0, trains=[train(1, 9), train(1, 9), train(10, 18), train(9, 14)], evaluate_s=3.0, accuracy=0
    )
    second = Round(2, opened=20.0, committed=30.0, trains=[train(21, 29), train(21, 29)], evaluate_s=3.0, accuracy=0)
    shares = reference_round.shares_of([first, second], workers=2)
    assert [(one.total, one.training, one.evaluation, one.last_client) for one in shares] == [(20, 12.5, 0, 2), (10, 7, 1.5, 0)]
    assert [one.rest for one in shares] == [5.5, 1.5]
