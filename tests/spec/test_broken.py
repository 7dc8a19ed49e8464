"""Every kind of mistake, as its writer sees it: tests/spec/broken/<case>.yaml must render to <case>.txt, to the letter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedkeeper import spec
from fedkeeper.errors import OldSpecError, SpecError
from fedkeeper.providers.registry import settings_models
from fedkeeper.spec.reach import probe
from fedkeeper.spec.render import render_problems

BROKEN = Path(__file__).parent / "broken"
CASES = sorted(BROKEN.glob("*.yaml"))


def _load(case: Path, monkeypatch: pytest.MonkeyPatch) -> SpecError:
    monkeypatch.chdir(case.parent)  # the file's name in the text must not depend on where the tests are
    with pytest.raises(SpecError) as caught:
        spec.load(Path(case.name), providers=settings_models(), probe=probe if case.stem == "url-unreachable" else None)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_broken(case: Path, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    golden(case.with_suffix(".txt"), render_problems(_load(case, monkeypatch)))


def test_there_are_many_cases_and_no_stray_text() -> None:
    assert len(CASES) >= 36
    assert {text.stem for text in BROKEN.glob("*.txt")} == {case.stem for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_problems_point_into_the_file(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = _load(case, monkeypatch)
    lines = case.read_text(encoding="utf-8").splitlines()
    assert error.problems
    assert error.file == case.name
    for problem in error.problems:
        if problem.line is None:
            assert case.stem == "empty"
            continue
        assert 1 <= problem.line <= len(lines)
        assert 1 <= (problem.column or 1) <= len(lines[problem.line - 1]) + 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_library_speaks(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = render_problems(_load(case, monkeypatch))
    assert not any(
        word in text for word in ("pydantic", "Input should", "type=", "Traceback", "NoneType", "<class", "dict", "\x1b")
    )


def test_old_files_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("version-0.1", "version-0.1-not-yaml"):
        error = _load(BROKEN / f"{name}.yaml", monkeypatch)
        assert isinstance(error, OldSpecError)
        assert "fedkeeper upgrade" in error.hint


def test_secrets_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in (("clear-text-secret", "123zO3xZCLrMN6v2"), ("store-password", "secret@"), ("url-password", "hunter2")):
        case = BROKEN / f"{name}.yaml"
        assert secret in case.read_text(encoding="utf-8")
        assert secret not in render_problems(_load(case, monkeypatch))


def test_color_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    error = _load(BROKEN / "unknown-key.yaml", monkeypatch)
    colored = render_problems(error, color=True)
    assert "\x1b[31m^\x1b[0m" in colored
    plain = colored
    for code in ("\x1b[1m", "\x1b[31m", "\x1b[36m", "\x1b[0m"):
        plain = plain.replace(code, "")
    assert plain == render_problems(error)
