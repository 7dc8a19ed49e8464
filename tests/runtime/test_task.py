"""Task files: what they must define, and how their mistakes are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fedkeeper.errors import TaskError
from fedkeeper.runtime.data import Examples
from fedkeeper.runtime.task import Config, Task, finite, load_task

BODY = """
import numpy as np
from words import factor

def build(config):
    return {"w": np.full(3, config.rng.random(), np.float32)}

def load(examples, config):
    return examples.x, examples.y

def train(model, x, y, config):
    return {"w": model["w"] + factor * config.rng.random()}, {"loss": 1.5, "bad": float("nan")}
"""
EXAMPLES = Examples(np.zeros((5, 2)), np.zeros(5), "c")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "words.py").write_text("factor = 2\n")
    return tmp_path


def load(folder: Path, body: str) -> Task:
    load_task.cache_clear()
    (folder / "mine.py").write_text(body)
    return load_task(folder, "mine.py")


def test_helpers_are_imported_by_name_and_results_follow_the_seed(folder: Path) -> None:
    task = load(folder, BODY)
    start = task.initial(Config(seed=1))
    assert (start["w"] == task.initial(Config(seed=1))["w"]).all()
    one, again, other = (task.train(start, EXAMPLES, Config(seed=seed)) for seed in (7, 7, 8))
    assert (one.arrays["w"] == again.arrays["w"]).all()
    assert (one.arrays["w"] != other.arrays["w"]).all()
    assert one.arrays["w"].dtype == np.float32
    assert (one.examples, one.metrics) == (5, {"loss": 1.5})


def test_training_does_not_change_the_model_it_was_given(folder: Path) -> None:
    task = load(folder, BODY.replace('{"w": model["w"] + factor', '{"w": model["w"].__iadd__(1) + factor'))
    start = {"w": np.zeros(3, np.float32)}
    task.train(start, EXAMPLES, Config(seed=1))
    assert (start["w"] == 0).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def build(config):", "def built(config):", r"mine\.py defines no build\(\)"),
        ('return {"w": np.full(3, config.rng.random(), np.float32)}', "return 3", r"build\(\) returned int, not a Keras model"),
        ("factor * config.rng.random()", "1 / 0", r"train\(\) failed: ZeroDivisionError"),
        ("factor * config.rng.random()", 'float("inf")', "training diverged, w holds NaN or infinity"),
        ("import numpy as np", "import no_such_library", r"cannot be imported: ModuleNotFoundError.*no_such_library"),
    ],
)
def test_mistakes_name_the_file_and_the_function(folder: Path, old: str, new: str, message: str) -> None:
    def use() -> None:
        task = load(folder, BODY.replace(old, new))
        task.train(task.initial(Config(seed=1)), EXAMPLES, Config(seed=1))

    with pytest.raises(TaskError, match=message):
        use()


def test_metrics_that_are_not_finite_are_left_out() -> None:
    assert finite({"a": 1, "b": float("inf"), "c": np.float32(2)}) == {"a": 1.0, "c": 2.0}
