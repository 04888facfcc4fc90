"""What can go wrong, each error built from its facts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ClaudineError(Exception):
    """The base of every error that a caller may see. Its text is written for a person."""


class InvalidInput(ClaudineError, ValueError):
    """A value that was given is wrong; nothing was changed.

    Args:
        field: the parameter or key, as its user spells it.
        problem: what is wrong with it.
        right: what would be right, as a complete sentence or an example.
    """

    def __init__(self, field: str, problem: str, right: str = "") -> None:
        self.field = field
        self.problem = problem
        self.right = right
        super().__init__(f"{field}: {problem}" + (f". {right}" if right else ""))


class ConfigError(InvalidInput):
    """A configuration file or setting is wrong."""


class NotFound(ClaudineError, LookupError):
    """Something was asked for by a name that nothing has."""


class TaskNotFound(NotFound):
    """No task has this id, nor does exactly one begin with it.

    Args:
        wanted: what was asked for.
        candidates: ids that begin with `wanted` (ambiguous), or known ids to take the closest from.
        ambiguous: whether `candidates` are all matches.
    """

    def __init__(self, wanted: str, candidates: Iterable[str] = (), *, ambiguous: bool = False) -> None:
        self.wanted = wanted
        if ambiguous:
            self.closest = sorted(candidates)[:5]
            text = f"taskId: {wanted!r} is the beginning of several tasks: {', '.join(self.closest)}. Give more of it."
        else:
            self.closest = difflib.get_close_matches(wanted, list(candidates), n=3, cutoff=0.5)
            hint = (
                f"The closest: {', '.join(self.closest)}."
                if self.closest
                else "ListTasks shows those that exist."
            )
            text = f"taskId: there is no task {wanted!r}. {hint}"
        super().__init__(text)


class WaitNotFound(NotFound):
    """No wait has this id, or it was given up too long ago.

    Args:
        wanted: what was asked for.
    """

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f"taskId: there is no wait {wanted[:80]!r}, or not any more. The background tasks themselves go on: "
            f"TaskStatus tells of them, and WaitForEvents waits again."
        )


class AlertNotFound(NotFound):
    """No open alert has this number.

    Args:
        alert_id: what was asked for.
        is_open: the numbers of those that are.
        why: what it is instead, or what became of it.
    """

    def __init__(self, alert_id: int, is_open: Iterable[int], why: str) -> None:
        known = ", ".join(map(str, is_open)) or "none"
        super().__init__(f"alertId: {alert_id} is no open alert: {why} (open are: {known})")


class QuestionNotFound(NotFound):
    """No question that waits for an answer has this number.

    Args:
        alert_id: what was asked for.
        waiting: the numbers of those that wait.
        why: what it is instead, or what became of it.
    """

    def __init__(self, alert_id: int, waiting: Iterable[int], why: str) -> None:
        known = ", ".join(map(str, waiting)) or "none"
        super().__init__(
            f"alertId: {alert_id} is no question that waits for an answer: {why} (these wait: {known})"
        )


class CheckpointNotFound(NotFound):
    """No checkpoint has this id.

    Args:
        wanted: what was asked for.
    """

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f"checkpointId: there is no checkpoint {wanted[:80]!r}, or not any more. ListCheckpoints gives a task's."
        )


class ReservationNotFound(NotFound):
    """No reservation has this id, nor does exactly one begin with it.

    Args:
        wanted: what was asked for.
        known: the ids of those in force.
    """

    def __init__(self, wanted: str, known: Iterable[str]) -> None:
        there = ", ".join(known) or "none"
        super().__init__(
            f"release: there is no reservation {wanted[:80]!r}, or not any more (in force: {there})"
        )


class IllegalTransition(ClaudineError):
    """A state machine was asked for a step that its table does not have."""

    def __init__(self, state: str, trigger: str, subject: str = "task") -> None:
        self.state = state
        self.trigger = trigger
        super().__init__(f"a {subject} that is {state} cannot take the step {trigger!r}")


class NotNow(ClaudineError):
    """The request makes sense, but not in the state that things are in."""


class RegistryError(ClaudineError):
    """The registry cannot be used: damaged, newer than this program, or out of reach."""


class StateDirError(ClaudineError):
    """The state directory cannot be used."""


class SupervisorError(ClaudineError):
    """The supervisor could not be started, or does not answer."""


class LeaseLost(ClaudineError):
    """Another supervisor has taken over; this one must not write any more."""
