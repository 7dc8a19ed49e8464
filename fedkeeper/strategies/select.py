"""Who trains in a round: clients ranked by H(seed, "select", round, client), the first `count` of them taken.

Nothing else matters: not the order of the clients in the spec, not earlier rounds, not Python's own random generator.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from fedkeeper.errors import UsageError
from fedkeeper.model import seeded


class RandomSelector:
    """Every client has the same chance in every round."""

    def select(self, clients: Sequence[str], count: int, *, seed: int, round_: int) -> tuple[str, ...]:
        distinct = set(clients)
        if not 0 < count <= len(distinct):
            hint = f"clients_per_round must be 1 to {len(distinct)}"
            raise UsageError(f"cannot choose {count} of {len(distinct)} clients", hint=hint)

        def rank(client: str) -> tuple[int, str]:
            return seeded(seed, "select", round_, client), client

        return tuple(heapq.nsmallest(count, distinct, key=rank))
