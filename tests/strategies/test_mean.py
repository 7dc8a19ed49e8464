"""FedAvg against exact arithmetic (fractions), type by type."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.errors import CorruptData
from fedkeeper.model import Ref
from fedkeeper.strategies.base import Update
from fedkeeper.strategies.mean import FedAvg


def updates_of(*examples: int) -> list[Update]:
    return [Update(f"c{index}", Ref(""), count) for index, count in enumerate(examples)]


def mean(blocks: list[Any], examples: list[int], base: Any = None) -> Any:
    reducer = FedAvg()
    base = np.zeros_like(blocks[0]) if base is None else base
    accumulator = reducer.start(base)
    for block, weight in zip(blocks, reducer.weights(updates_of(*examples)), strict=True):
        reducer.fold(accumulator, block, weight)
    return reducer.finish(accumulator, base)


@pytest.mark.parametrize(
    ("examples", "weights"), [([600, 200], [0.75, 0.25]), ([5], [1.0]), ([0, 0, 0, 0], [0.25] * 4), ([0, 7], [0.0, 1.0])]
)
def test_weights(examples: list[int], weights: list[float]) -> None:
    assert list(FedAvg().weights(updates_of(*examples))) == weights


def test_negative_examples_name_the_client() -> None:
    with pytest.raises(CorruptData, match="'c1' claims -3"):
        FedAvg().weights(updates_of(5, -3))


CASES = st.integers(1, 6).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(1, 1000), min_size=count, max_size=count),
        st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), min_size=count, max_size=count),
    )
)


@given(CASES)
def test_float32_is_the_exact_mean_but_for_the_last_rounding(case: tuple[list[int], list[list[float]]]) -> None:
    examples, values = case
    found = mean([np.array(row, "f4") for row in values], examples)
    total = sum(examples)
    for column in range(3):
        exact = sum((Fraction(row[column]) * count for row, count in zip(values, examples, strict=True)), Fraction(0)) / total
        half_a_step = Fraction(float(np.spacing(np.float32(abs(float(exact)))))) / 2
        float64_noise = Fraction(max(abs(row[column]) for row in values)) / 2**48
        assert abs(Fraction(float(found[column])) - exact) <= half_a_step + float64_noise


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1),
    st.lists(st.integers(0, 10_000), min_size=1, max_size=50),
)
def test_equal_updates_come_back_as_they_are(values: list[float], examples: list[int]) -> None:
    block = np.array(values, "f4")
    found = mean([block] * len(examples), examples)
    assert (found == block).all()


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"])
def test_the_type_stays(dtype: str) -> None:
    found = mean([np.ones(3, dtype), np.ones(3, dtype)], [1, 2])
    assert found.dtype == np.dtype(dtype)
    assert (found == np.ones(3, dtype)).all()


def test_whole_numbers_are_rounded() -> None:
    found = mean([np.array([1, -1, 10], "i4"), np.array([2, -2, 13], "i4")], [1, 2])
    assert found.tolist() == [2, -2, 12]


@pytest.mark.parametrize("dtype", ["i8", "u8", "i4", "u1"])
def test_the_largest_and_smallest_numbers_do_not_wrap(dtype: str) -> None:
    info = np.iinfo(dtype)
    block = np.array([info.min, info.max], dtype)
    low, high = mean([block, block], [1, 2]).tolist()
    assert low == info.min
    assert info.max - high <= info.max // 2**52  # what float64 can tell apart


def test_truth_by_majority_of_weight() -> None:
    blocks = [np.array([True, True, False]), np.array([False, True, False])]
    assert mean(blocks, [3, 1]).tolist() == [True, True, False]
    assert mean(blocks, [1, 3]).tolist() == [False, True, False]
    for base in (True, False):
        assert mean(blocks, [1, 1], np.array([base] * 3)).tolist() == [base, True, False]


def test_nothing_that_was_given_is_changed() -> None:
    base, block = np.zeros(4, "f4"), np.arange(4, dtype="f4")
    mean([block, block], [1, 1], base)
    assert (base.tolist(), block.tolist()) == ([0] * 4, [0, 1, 2, 3])


def test_results_do_not_share_memory() -> None:
    reducer = FedAvg()
    first, second = reducer.start(np.zeros(4)), reducer.start(np.zeros(4))
    reducer.fold(first, np.ones(4), 1.0)
    reducer.fold(second, np.full(4, 5.0), 1.0)
    assert (first.tolist(), second.tolist()) == ([1.0] * 4, [5.0] * 4)
