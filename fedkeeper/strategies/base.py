"""The strategy port: who trains, and how updates become a model. Pure functions; all state goes in and comes out.

    Selector.select(...)  -> clients of a round            (runs in the orchestrator, JSON only)
    Reducer               -> model', state'                (runs in fl_server_aggregator, on blocks of flat float arrays)

A reducer says how it must see the updates:

    stream    one update after the other, block by block: weights(), then per block start(), fold() x K, finish()
    columns   all updates of a block at once (median, trimmed mean)            [room for later]
    gram      pairwise products of whole updates (Krum)                        [room for later]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

from fedkeeper.model import Ref

if TYPE_CHECKING:  # the orchestrator, which knows the strategies by name, needs no NumPy
    import numpy.typing as npt

Block: TypeAlias = "npt.NDArray[Any]"
"""A 1-D piece of one array of the model."""


@dataclass(frozen=True)
class Update:
    """One counted update, in the close decision's order."""

    client: str
    ref: Ref
    examples: int


class Selector(Protocol):
    def select(self, clients: Sequence[str], count: int, *, seed: int, round_: int) -> tuple[str, ...]:
        """`count` distinct ids, in the order in which they are dispatched and aggregated."""


class StreamReducer(Protocol):
    """Block-wise and one update at a time: memory does not grow with the number of updates."""

    sees: ClassVar[Literal["stream"]] = "stream"

    def weights(self, updates: Sequence[Update]) -> Sequence[float]:
        """One factor per update."""

    def start(self, base: Block) -> Block:
        """A fresh accumulator for a block of the model `base`."""

    def fold(self, accumulator: Block, update: Block, weight: float) -> None:
        """Take one update's block in, in place. NaN or infinity in it must show in the accumulator: that is how bad updates are found."""

    def finish(self, accumulator: Block, base: Block) -> Block:
        """The block of the new model, in `base`'s dtype."""
