"""Whatever the text, `load` gives a Fabric or a SpecError whose problems can be rendered: never another exception."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fedkeeper import spec
from fedkeeper.errors import SpecError
from fedkeeper.model import Fabric, canonical_json
from fedkeeper.providers.registry import settings_models
from fedkeeper.spec.render import render_problems

SAMPLE = (Path(__file__).parent.parent.parent / "config-sample.yaml").read_text(encoding="utf-8")
DATA: dict[str, Any] = yaml.safe_load(SAMPLE)
PROVIDERS = settings_models()
FOLDER = Path(tempfile.gettempdir()) / "fedkeeper-no-such-folder"


def attempt(text: str, overrides: tuple[tuple[str, str], ...] = ()) -> Fabric | SpecError:
    try:
        fabric = spec.load(FOLDER / "c.yaml", providers=PROVIDERS, text=text, overrides=overrides)
    except SpecError as error:
        return _checked(error)
    canonical_json(fabric.clusters["laptop"].settings if "laptop" in fabric.clusters else {})
    fabric.run_digest()
    return fabric


def _checked(error: SpecError) -> SpecError:
    assert error.problems
    assert render_problems(error).endswith("\n")
    assert render_problems(error) == render_problems(error)
    return error


@given(st.text(max_size=300))
@example("a: &a [*a]")
@example("version: 1\n<<: *x")
@example('{"version": 1, "name": "\\ud800"}')
@settings(max_examples=200, deadline=None)
def test_arbitrary_text(text: str) -> None:
    assert isinstance(attempt(text), SpecError)


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_sample_with_a_piece_replaced(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SAMPLE)))
    length = data.draw(st.integers(0, 60))
    piece = data.draw(st.text(alphabet=" \n\t:-[]{}&*!|>'\"#%@`,?<~$abc019.e\x85\u2028\x00é", max_size=8))
    attempt(SAMPLE[:start] + piece + SAMPLE[start + length :])


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in _places(item, (*path, key)))]


PLACES = [place for place in _places(DATA) if place]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10),
    st.sampled_from(["all", "80%", "10m", "${env:X}", "${env:", "file:/x", "mongodb://[", "https://[", "~nobody/x", "\x00"]),
    st.sampled_from(["a" * 5000, "memory:", "1e400", "\u2028"]),
)  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8
)


@given(st.lists(st.tuples(st.sampled_from(PLACES), TREES), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_sample_with_values_replaced(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    data = yaml.safe_load(SAMPLE)
    for path, value in changes:
        here = data
        for part in path[:-1]:
            known = (
                part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int) and part < len(here)
            )
            here = here[part] if known else None
        if isinstance(here, dict):
            here[path[-1]] = value
    attempt(yaml.safe_dump(data, allow_unicode=True))


KEYS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["training.rounds", "data.dataset.url", "training.params.a.b", "clients.per_round", "training..x"]),
)


@given(
    st.lists(
        st.tuples(KEYS, st.one_of(st.text(max_size=12), st.sampled_from(["3", "[", "{a: 1}", "1e-3", "''"]))),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=200, deadline=None)
def test_arbitrary_overrides(overrides: list[tuple[str, str]]) -> None:
    attempt(SAMPLE, tuple(overrides))


@pytest.mark.parametrize("seed", range(5))
def test_lines_in_any_order(seed: int) -> None:
    lines = SAMPLE.splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    attempt("".join(lines))
