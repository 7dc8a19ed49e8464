"""Whether and when a failed attempt is made again. Pure: the jitter is H(seed, step, attempt), not the clock's."""

from __future__ import annotations

from fedkeeper.model import Training, seeded
from fedkeeper.train.state import Step

_BITS = 2**63


def retry_in(step: Step, training: Training) -> float | None:
    """Seconds until the next attempt after this failed one; None when retries are used up.

    Exponential back-off with "equal jitter": half fixed, half random, so that clients that failed together do not come back together.
    """
    made = step.attempt - step.spent_before
    if made > training.retries:
        return None
    full = min(training.backoff_max_s, training.backoff_s * 2 ** (made - 1))
    share: float = seeded(training.seed, "backoff", step.key, step.attempt) / _BITS
    return float(full * (0.5 + 0.5 * share))
