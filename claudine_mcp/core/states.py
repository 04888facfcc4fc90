"""The states of a task and everything that moves it from one to another, in one table.

`docs/states.md` is drawn from `TRANSITIONS`; a test holds the two together.
"""

from __future__ import annotations

from enum import StrEnum

from claudine_mcp.core.errors import IllegalTransition


class State(StrEnum):
    """Where a task is in its life. Findings (stalled, high memory, …) are never states."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    HIBERNATING = "hibernating"
    HIBERNATED = "hibernated"
    STOPPING = "stopping"
    ENDED = "ended"


class Outcome(StrEnum):
    """How a task ended; it exists exactly when the state is `ended`."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    NOT_STARTED = "not_started"
    SKIPPED = "skipped"


class Trigger(StrEnum):
    """What can happen to a task."""

    ADMIT = "admit"
    CANCEL = "cancel"
    DEPENDENCY_FAILED = "dependency_failed"
    SPAWNED = "spawned"
    SPAWN_FAILED = "spawn_failed"
    NEVER_BEGAN = "never_began"
    VANISHED = "vanished"
    SUSPEND = "suspend"
    RESUME = "resume"
    HIBERNATE = "hibernate"
    EXITED = "exited"
    GONE = "gone"
    REQUEUE = "requeue"
    RETRY = "retry"


S, T = State, Trigger

TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (S.QUEUED, T.ADMIT): S.STARTING,
    (S.QUEUED, T.CANCEL): S.ENDED,
    (S.QUEUED, T.DEPENDENCY_FAILED): S.ENDED,
    (S.STARTING, T.SPAWNED): S.RUNNING,
    (S.STARTING, T.SPAWN_FAILED): S.ENDED,
    (S.STARTING, T.NEVER_BEGAN): S.QUEUED,
    (S.STARTING, T.CANCEL): S.STOPPING,
    (S.STARTING, T.VANISHED): S.ENDED,
    (S.RUNNING, T.SUSPEND): S.SUSPENDED,
    (S.RUNNING, T.HIBERNATE): S.HIBERNATING,
    (S.RUNNING, T.CANCEL): S.STOPPING,
    (S.RUNNING, T.EXITED): S.ENDED,
    (S.RUNNING, T.REQUEUE): S.QUEUED,
    (S.RUNNING, T.NEVER_BEGAN): S.QUEUED,
    (S.RUNNING, T.VANISHED): S.ENDED,
    (S.SUSPENDED, T.RESUME): S.RUNNING,
    (S.SUSPENDED, T.HIBERNATE): S.HIBERNATING,
    (S.SUSPENDED, T.CANCEL): S.STOPPING,
    (S.SUSPENDED, T.EXITED): S.ENDED,
    (S.SUSPENDED, T.VANISHED): S.ENDED,
    (S.HIBERNATING, T.GONE): S.HIBERNATED,
    (S.HIBERNATING, T.CANCEL): S.STOPPING,
    (S.HIBERNATING, T.VANISHED): S.HIBERNATED,
    (S.HIBERNATING, T.EXITED): S.ENDED,
    (S.HIBERNATED, T.RESUME): S.QUEUED,
    (S.HIBERNATED, T.CANCEL): S.ENDED,
    (S.STOPPING, T.GONE): S.ENDED,
    (S.STOPPING, T.SPAWN_FAILED): S.ENDED,
    (S.STOPPING, T.NEVER_BEGAN): S.ENDED,
    (S.STOPPING, T.VANISHED): S.ENDED,
    (S.ENDED, T.RETRY): S.QUEUED,
}

ACTIVE = frozenset({S.STARTING, S.RUNNING, S.SUSPENDED, S.HIBERNATING, S.STOPPING})
"""States in which a run may have processes."""


def advance(state: State, trigger: Trigger) -> State:
    """Give the state that follows.

    Raises:
        IllegalTransition: the table does not have this step.
    """
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransition(state, trigger) from None
