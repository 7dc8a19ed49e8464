"""Names to classes: every entry can be made, what is unknown is answered with what is near."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fedkeeper.errors import UsageError
from fedkeeper.strategies import registry
from fedkeeper.strategies.base import Update


@pytest.mark.parametrize("name", registry.REDUCERS)
def test_every_reducer_can_be_made(name: str) -> None:
    made = registry.reducer(name, {})
    assert made.sees == "stream"
    assert len(made.weights([Update("c1", "sha256:00", 1), Update("c2", "sha256:01", 2)])) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("name", registry.SELECTORS)
def test_every_selector_can_be_made(name: str) -> None:
    assert set(registry.selector(name, {}).select(["a", "b"], 2, seed=0, round_=1)) == {"a", "b"}


@pytest.mark.parametrize("name", registry.REDUCERS)
def test_the_packager_learns_the_module(name: str) -> None:
    assert registry.module_of(name) == type(registry.reducer(name, {})).__module__


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="no strategy called 'fedavrg'") as caught:
        registry.reducer("fedavrg", {})
    assert caught.value.hint == "did you mean fedavg?"
    with pytest.raises(UsageError, match="no selector called 'zzz'") as caught:
        registry.selector("zzz", {})
    assert caught.value.hint == "use one of random"
    with pytest.raises(UsageError, match="no strategy called"):
        registry.module_of("random")


def test_unknown_parameters() -> None:
    with pytest.raises(UsageError, match=r"strategy fedavg: .*'momentum'") as caught:
        registry.reducer("fedavg", {"momentum": 0.9})
    assert caught.value.hint == "its parameters: none"


def test_the_orchestrators_half_needs_no_numpy_of_its_own() -> None:
    """Looking up a module and importing the selector run nothing of the reducers."""
    script = (
        "import sys; from fedkeeper.strategies import registry; registry.module_of('fedavg'); registry.selector('random', {});"
        "print('fedkeeper.strategies.mean' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
