"""Who gets which examples: pure functions from labels and a seed to row numbers.

    labels (N,) --shards | iid--> [rows of client 0, rows of client 1, ...] --to_arrays--> {"rows", "offsets"} (a blob)

`shards` is the non-IID split of McMahan et al. 2017 (https://arxiv.org/abs/1602.05629, section 3): sort by label, cut into equal
shards, deal a few shards to each client, so that most clients see two classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fedkeeper.errors import UsageError
from fedkeeper.model import seeded

Rows = npt.NDArray[np.int64]


def shards(labels: npt.NDArray[Any], clients: int, *, per_client: int, examples: int | None, seed: int) -> list[Rows]:
    """`per_client` shards each. With `examples`, shards hold examples/per_client rows and what is left over is unused;
    without, everything is dealt out and sizes differ by one at most."""
    order = np.argsort(labels, kind="stable")
    if examples is not None:
        size = examples // per_client
        pieces = [order[start : start + size] for start in range(0, len(order) - size + 1, size)] if size else []
    else:
        pieces = np.array_split(order, clients * per_client)
    if len(pieces) < clients * per_client or not all(len(piece) for piece in pieces[: clients * per_client]):
        raise UsageError(f"{len(order)} examples are too few for {clients} clients with {per_client} shards each")
    deal = _generator(seed, "shards").permutation(len(pieces))
    return [
        np.concatenate([pieces[shard] for shard in deal[c * per_client : (c + 1) * per_client]]).astype(np.int64)
        for c in range(clients)
    ]


def iid(labels: npt.NDArray[Any], clients: int, *, examples: int | None, seed: int) -> list[Rows]:
    """A random, equal share each (sizes differ by one at most), or exactly `examples` each."""
    order = _generator(seed, "iid").permutation(len(labels)).astype(np.int64)
    if examples is not None:
        order = order[: clients * examples]
    if len(order) < clients * (examples or 1):
        raise UsageError(f"{len(labels)} examples are too few for {clients} clients")
    return [np.sort(part) for part in np.array_split(order, clients)]


def partition(labels: npt.NDArray[Any], clients: int, data: Mapping[str, Any], seed: int) -> list[Rows]:
    """As `data` (model.Data as JSON) asks."""
    examples = data.get("examples_per_client")
    if data.get("partition", "shards") == "iid":
        return iid(labels, clients, examples=examples, seed=seed)
    return shards(labels, clients, per_client=data.get("shards_per_client", 2), examples=examples, seed=seed)


def to_arrays(parts: Sequence[Rows]) -> dict[str, npt.NDArray[Any]]:
    """One blob for all: client i owns rows[offsets[i]:offsets[i + 1]]."""
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    rows = np.concatenate(parts).astype(np.int32) if parts else np.empty(0, np.int32)
    return {"rows": rows, "offsets": offsets}


def part_of(arrays: Mapping[str, npt.NDArray[Any]], index: int) -> npt.NDArray[Any]:
    """The rows of client number `index`."""
    begin, end = arrays["offsets"][index : index + 2]
    return arrays["rows"][begin:end]


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seeded(seed, purpose)))
