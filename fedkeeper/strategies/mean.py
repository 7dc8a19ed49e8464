"""FedAvg: the mean of the updates, each weighted by its number of examples (McMahan et al., 2017).

    update block (any dtype) --cast--> float64 --x n_k/total--> + accumulator (float64) --cast--> block of the new model

Sums in float64 are exact enough that equal float32 updates come back as they are. Whole numbers are rounded; true/false is
decided by majority of weight, a tie leaves what the model had.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fedkeeper.errors import CorruptData
from fedkeeper.strategies.base import Block, Update


class FedAvg:
    """Stateless but for one scratch block per thread, kept because fresh memory costs more than the sum."""

    sees: ClassVar[Literal["stream"]] = "stream"

    def __init__(self) -> None:
        self._kept = threading.local()

    def weights(self, updates: Sequence[Update]) -> Sequence[float]:
        for update in updates:
            if update.examples < 0:
                raise CorruptData(f"update of client {update.client!r} claims {update.examples} examples")
        total = sum(update.examples for update in updates)
        if not total:
            return [1 / len(updates) for _ in updates]
        return [update.examples / total for update in updates]

    def start(self, base: Block) -> Block:
        return np.zeros(base.shape, np.float64)

    def fold(self, accumulator: Block, update: Block, weight: float) -> None:
        scratch = self._scratch(update.size)
        np.copyto(scratch, update)  # casting first, then two plain float64 loops, is faster than one mixed loop
        np.multiply(scratch, weight, out=scratch)
        np.add(accumulator, scratch, out=accumulator)

    def finish(self, accumulator: Block, base: Block) -> Block:
        if base.dtype.kind == "b":
            return np.where(accumulator == 0.5, base, accumulator > 0.5)
        if base.dtype.kind in "iu":
            low, high = _bounds(base.dtype)
            return np.rint(accumulator).clip(low, high).astype(base.dtype)
        return accumulator.astype(base.dtype)

    def _scratch(self, size: int) -> npt.NDArray[np.float64]:
        kept: npt.NDArray[np.float64] | None = getattr(self._kept, "block", None)
        if kept is None or kept.size < size:
            kept = self._kept.block = np.empty(size, np.float64)
        return kept[:size]


def _bounds(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The smallest and largest float64 that the whole-number type can take."""
    info = np.iinfo(dtype)
    high = float(info.max)
    return float(info.min), high if int(high) <= info.max else float(np.nextafter(high, 0.0))
