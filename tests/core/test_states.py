"""The table of activation states, written down a second time: a change must be meant."""

from __future__ import annotations

from itertools import product

import pytest

from fedkeeper.states import END_STATES, TRANSITIONS, ActivationState, may_follow

ALLOWED = {
    "requested": "accepted succeeded failed timed_out lost cancelled",
    "accepted": "succeeded failed timed_out lost cancelled",
    "failed": "succeeded",
    "timed_out": "succeeded",
    "lost": "succeeded",
    "succeeded": "",
    "cancelled": "",
}


@pytest.mark.parametrize(("before", "after"), list(product(ActivationState, ActivationState)), ids=str)
def test_transitions(before: ActivationState, after: ActivationState) -> None:
    assert may_follow(before, after) == (after.value in ALLOWED[before.value].split())


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(ActivationState)


def test_what_has_ended_and_what_is_tried_again() -> None:
    assert {state for state in ActivationState if not state.ended} == {ActivationState.REQUESTED, ActivationState.ACCEPTED}
    assert {state.value for state in ActivationState if state.retryable} == {"failed", "timed_out", "lost"}
    assert {state for state in ActivationState if state.ended} == END_STATES


def test_a_state_prints_as_it_is_stored() -> None:
    assert (
        [str(state) for state in ActivationState]
        == [f"{state}" for state in ActivationState]
        == [s.value for s in ActivationState]
    )
