"""The states of an activation, and which may follow which.

    REQUESTED -> ACCEPTED -> SUCCEEDED
        |           |------> FAILED        the function ran and said no, or the platform says it failed
        |           |------> TIMED_OUT     the platform's or our own deadline passed (retryable, not FAILED)
        |           |------> LOST          the platform knows nothing of it any more (retryable, not FAILED)
        `-----------'------> CANCELLED     its result is ignored; no platform really cancels

REQUESTED may jump to any end state: the acceptance may never have reached us.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType


class ActivationState(str, Enum):
    REQUESTED = "requested"
    """We have recorded the wish, and may or may not have reached the platform."""
    ACCEPTED = "accepted"
    """The platform answered, usually with an activation id."""
    SUCCEEDED = "succeeded"
    """A receipt exists. Nothing else makes an activation succeed."""
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    CANCELLED = "cancelled"

    def __str__(self) -> str:
        return self.value

    @property
    def ended(self) -> bool:
        return self in END_STATES

    @property
    def retryable(self) -> bool:
        return self in (ActivationState.FAILED, ActivationState.TIMED_OUT, ActivationState.LOST)


_S = ActivationState
END_STATES = frozenset({_S.SUCCEEDED, _S.FAILED, _S.TIMED_OUT, _S.LOST, _S.CANCELLED})
TRANSITIONS = MappingProxyType(
    {
        _S.REQUESTED: frozenset({_S.ACCEPTED}) | END_STATES,
        _S.ACCEPTED: END_STATES,
        # A receipt may appear after we gave an attempt up: the work was done after all.
        _S.FAILED: frozenset({_S.SUCCEEDED}),
        _S.TIMED_OUT: frozenset({_S.SUCCEEDED}),
        _S.LOST: frozenset({_S.SUCCEEDED}),
        _S.SUCCEEDED: frozenset(),
        _S.CANCELLED: frozenset(),
    }
)


def may_follow(before: ActivationState, after: ActivationState) -> bool:
    """True when `after` is a legal successor of `before` (a state never follows itself)."""
    return after in TRANSITIONS[before]
