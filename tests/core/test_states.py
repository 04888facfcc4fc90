from __future__ import annotations

import itertools

import pytest

from claudine_mcp.core.errors import ClaudineError, IllegalTransition
from claudine_mcp.core.states import ACTIVE, TRANSITIONS, State, Trigger, advance

DESIGNED = """
queued: admit starting, cancel ended, dependency_failed ended
starting: spawned running, spawn_failed ended, never_began queued, cancel stopping, vanished ended
running: suspend suspended, hibernate hibernating, cancel stopping, exited ended, requeue queued
running: never_began queued, vanished ended
suspended: resume running, hibernate hibernating, cancel stopping, exited ended, vanished ended
hibernating: gone hibernated, cancel stopping, vanished hibernated, exited ended
hibernated: resume queued, cancel ended
stopping: gone ended, spawn_failed ended, never_began ended, vanished ended
ended: retry queued
"""
"""The table of the design, written a second time: a slip in either shows."""


def designed() -> dict[tuple[str, str], str]:
    steps: dict[tuple[str, str], str] = {}
    for line in DESIGNED.split("\n"):
        state, _, rest = line.partition(": ")
        for step in filter(None, rest.split(", ")):
            trigger, target = step.split(" ")
            steps[state, trigger] = target
    return steps


def test_the_table_is_the_designed_one() -> None:
    assert {(str(a), str(b)): str(c) for (a, b), c in TRANSITIONS.items()} == designed()


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(State, Trigger)))
def test_every_step_is_in_the_table_or_refused(state: State, trigger: Trigger) -> None:
    if (state, trigger) in TRANSITIONS:
        assert advance(state, trigger) is TRANSITIONS[state, trigger]
        return
    with pytest.raises(IllegalTransition) as caught:
        advance(state, trigger)
    assert isinstance(caught.value, ClaudineError)
    assert state in str(caught.value)
    assert trigger in str(caught.value)


@pytest.mark.parametrize("start", State)
def test_every_state_leads_to_an_end_and_back_to_the_queue(start: State) -> None:
    reached, new = {start}, {start}
    while new:
        new = {target for (state, _), target in TRANSITIONS.items() if state in new} - reached
        reached |= new
    assert {State.ENDED, State.QUEUED} <= reached


def test_nothing_leaves_the_end_but_a_retry() -> None:
    assert [trigger for state, trigger in TRANSITIONS if state is State.ENDED] == [Trigger.RETRY]


def test_everything_that_has_not_ended_can_be_cancelled_once() -> None:
    cancellable = {state for state, trigger in TRANSITIONS if trigger is Trigger.CANCEL}
    assert cancellable == set(State) - {State.ENDED, State.STOPPING}


def test_a_cancelled_task_never_starts() -> None:
    after = {TRANSITIONS[state, Trigger.CANCEL] for state in State if (state, Trigger.CANCEL) in TRANSITIONS}
    assert after == {State.STOPPING, State.ENDED}
    assert {target for (state, _), target in TRANSITIONS.items() if state is State.STOPPING} == {State.ENDED}


def test_only_active_states_have_processes() -> None:
    assert set(State) - ACTIVE == {State.QUEUED, State.HIBERNATED, State.ENDED}
