"""The exception tree: what its docstring draws is what there is, and every error can be shown to a person."""

from __future__ import annotations

import inspect
import re

import pytest

from fedkeeper import errors
from fedkeeper.errors import FedKeeperError, MissingExtra, Problem, SpecError, StoreError, Throttled


def tree(root: type[FedKeeperError] = FedKeeperError) -> list[type[FedKeeperError]]:
    return [root, *(found for child in root.__subclasses__() if child.__module__ == errors.__name__ for found in tree(child))]


CLASSES = tree()
DRAWN = re.findall(r"^( *(?:\|  )?(?:[|`]- )?)(\w+) \.+ +(\d+)", errors.__doc__ or "", re.MULTILINE)


def make(kind: type[FedKeeperError]) -> FedKeeperError:
    return MissingExtra("matplotlib", "plots", "plotting") if kind is MissingExtra else kind("it broke")


def test_the_drawing_names_every_class_with_its_exit_code() -> None:
    assert {name: int(code) for _indent, name, code in DRAWN} == {kind.__name__: kind.exit_code for kind in CLASSES}


def test_the_drawing_shows_who_is_whose_child() -> None:
    parents: dict[str, str] = {}
    path: list[str] = []
    for indent, name, _code in DRAWN:
        depth = (len(indent) - 4) // 3
        path[depth:] = [name]
        parents[name] = path[depth - 1] if depth else "Exception"
    assert parents == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}


def test_nothing_stands_outside_the_tree() -> None:
    found = {kind for _name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BaseException)}
    assert found == set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_one_line_with_a_code_and_a_hint(kind: type[FedKeeperError]) -> None:
    error = make(kind)
    assert 1 <= kind.exit_code <= 255
    assert str(error)
    assert "\n" not in str(error)
    assert error.hint == (kind.default_hint or error.hint)
    assert not error.hint.endswith(".")


def test_families_share_an_exit_code_and_families_differ() -> None:
    families = FedKeeperError.__subclasses__()
    codes = [family.exit_code for family in families if family.__module__ == errors.__name__]
    assert len(set(codes)) == len(codes)
    for family in families:
        assert {kind.exit_code for kind in tree(family)} == {family.exit_code}


def test_what_may_be_tried_again() -> None:
    assert {kind.__name__ for kind in CLASSES if kind.retryable} == {
        "Unreachable",
        "Throttled",
        "ActivationFailed",
        "StoreUnreachable",
    }


def test_a_hint_can_be_replaced_and_left_out() -> None:
    assert errors.NotDeployed("no").hint == "run `fedkeeper deploy` first"
    assert errors.NotDeployed("no", hint="look").hint == "look"
    assert errors.NotDeployed("no", hint="").hint == ""


def test_where_comes_first() -> None:
    assert str(StoreError("disk full", where="store")) == "store: disk full"
    assert SpecError("2 problems", file="a.yaml").where == "a.yaml"


def test_what_errors_carry() -> None:
    problem = Problem("must be positive", "training.rounds", 3)
    assert SpecError("1 problem", problems=[problem], text="rounds: -1").problems == (problem,)
    assert Throttled("slow down", retry_after=1.5).retry_after == 1.5
    missing = MissingExtra("matplotlib", "plots", "plotting")
    assert (str(missing), missing.hint) == ("plotting needs matplotlib, which is not installed", "pip install 'fedkeeper[plots]'")
