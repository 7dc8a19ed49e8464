"""Errors -> exit codes, lines and JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fedkeeper import errors
from fedkeeper.cli.failures import BROKEN_PIPE

TROUBLE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


def family(kind: type[errors.FedKeeperError]) -> list[type[errors.FedKeeperError]]:
    return [kind, *(child for direct in kind.__subclasses__() for child in family(direct))]


KINDS = [kind for kind in family(errors.FedKeeperError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (errors.MissingExtra,)])
def test_every_error_has_its_exit_code_and_its_line(fedkeeper, kind) -> None:
    fedkeeper.fails = kind("it went wrong")
    done = fedkeeper("plan")
    assert done.exit_code == kind.exit_code
    assert done.stdout == ""
    assert done.stderr.startswith("error: it went wrong\n")
    assert ("hint: " in done.stderr) == bool(kind.default_hint)


def test_a_missing_extra_prints_the_pip_line(fedkeeper) -> None:
    fedkeeper.fails = errors.MissingExtra("tensorflow", "tensorflow", "mnist_cnn")
    done = fedkeeper("start")
    assert done.exit_code == 8
    assert done.stderr == (
        "error: mnist_cnn needs tensorflow, which is not installed\nhint: pip install 'fedkeeper[tensorflow]'\n"
    )


def test_json_errors_are_one_document_on_stdout(fedkeeper) -> None:
    problem = errors.Problem("rounds must be at least 1", path="training.rounds", line=3, column=11, hint="rounds: 10")
    fedkeeper.fails = errors.SpecError("1 problem", problems=[problem], file="config.yaml", text="a\nb\n  rounds: 0\n")
    done = fedkeeper("check", "--json")
    assert (done.exit_code, done.stderr) == (3, "")
    assert json.loads(done.stdout) == {
        "error": {
            "type": "SpecError",
            "exit_code": 3,
            "message": "1 problem",
            "where": "config.yaml",
            "hint": None,
            "problems": [
                {
                    "message": "rounds must be at least 1",
                    "path": "training.rounds",
                    "line": 3,
                    "column": 11,
                    "hint": "rounds: 10",
                }
            ],
        }
    }


def test_spec_problems_are_shown_with_their_lines(fedkeeper) -> None:
    problems = [
        errors.Problem("no such key", path="a", line=1, column=1),
        errors.Problem("not a number", path="b", line=2, column=4),
    ]
    fedkeeper.fails = errors.SpecError("2 problems", problems=problems, file="config.yaml", text="a: 1\nb: x\n")
    done = fedkeeper("check")
    assert done.exit_code == 3
    assert "config.yaml:1:1: no such key" in done.stderr
    assert "config.yaml:2:4: not a number" in done.stderr


def test_an_unforeseen_error_leaves_its_traceback_in_a_file(fedkeeper) -> None:
    fedkeeper.fails = KeyError("surprise")
    done = fedkeeper("plan")
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr
    found = re.search(r"unexpected KeyError: 'surprise' \(traceback in (.+)\)", done.stderr)
    assert found is not None
    report = Path(found.group(1))
    assert "KeyError: 'surprise'" in report.read_text()
    report.unlink()


def test_verbose_shows_the_traceback(fedkeeper) -> None:
    fedkeeper.fails = KeyError("surprise")
    done = fedkeeper("plan", "-v")
    assert "Traceback (most recent call last)" in done.stderr
    assert "traceback in" not in done.stderr


def test_ctrl_c_is_130(fedkeeper) -> None:
    fedkeeper.fabric.raises = KeyboardInterrupt()  # type: ignore[assignment]
    done = fedkeeper("start")
    assert done.exit_code == 130
    assert "`fedkeeper resume` goes on from here" in done.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["strat"], "error: there is no verb 'strat'; did you mean start?"),
        (["xyzzy"], "error: there is no verb 'xyzzy'"),
        (["start", "--sed", "3"], "--seed"),
        (["start", "--rounds", "0"], "error: invalid value for '--rounds'"),
        (["export"], "error: missing option '--to'"),
    ],
)
def test_usage_errors(fedkeeper, words: list[str], line: str) -> None:
    done = fedkeeper.bare(*words)
    assert done.exit_code == 2
    assert line in done.stderr
    assert "--help` shows what there is" in done.stderr


def test_usage_errors_as_json(fedkeeper) -> None:
    done = fedkeeper.bare("start", "--json", "--nonsense")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["exit_code"] == 2
    assert done.stderr == ""


def test_every_exit_code_has_a_section_that_names_its_errors() -> None:
    sections = dict(re.findall(r"^## (\d+): [^\n]+\n(.*?)(?=^## |\Z)", TROUBLE.read_text(), re.MULTILINE | re.DOTALL))
    assert set(sections) == {str(code) for code in {kind.exit_code for kind in KINDS} | {0, BROKEN_PIPE}}
    for kind in KINDS:
        assert f"`{kind.__name__}`" in sections[str(kind.exit_code)], kind
