"""What is said of a task's progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PHASE_CHARS: Final = 80

FILE: Final = "file"
"""The source of what a task has told itself, in the file that $CLAUDINE_PROGRESS names."""
TERMINAL: Final = "terminal"
"""The source of what was told to the terminal (OSC 9;4)."""
OUTPUT: Final = "output"
"""The source of a phase that the output names without saying how far it is."""
TODOS: Final = "todos"
"""The source of the list of what is to be done that a Claude Code keeps."""
TURNS: Final = "turns"
"""The source of turns against the most that are allowed: how much may be done, not how much there is to do."""
ACTIVITY: Final = "activity"
"""The source of what a Claude Code does, while it keeps no list of what is to be done."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task has come.

    Attributes:
        source: who says so: `file`, `terminal`, `output`, `todos`, `turns`, `activity`, or a format's name.
        percent: 0 to 100; None while only the phase is known.
        done: how much of what is counted is complete, None where only a percentage is told.
        total: of how much, None together with `done`.
        phase: what is being done, one safe line; None if nothing tells.
        is_of_phase: whether it measures this phase only: there were, or will be, others that are not counted.
    """

    source: str
    percent: float | None = None
    done: float | None = None
    total: float | None = None
    phase: str | None = None
    is_of_phase: bool = False

    @property
    def amount(self) -> tuple[float, float] | None:
        """What is complete and of how much, in the unit in which it is told; None if that is unknown."""
        if self.done is not None and self.total is not None:
            return self.done, self.total
        return None if self.percent is None else (self.percent, 100.0)


def percentage(done: float, total: float) -> float:
    """Give a share as a percentage from 0 to 100, to a tenth. It is 100 only when nothing is left."""
    share = 100 * min(max(done / total, 0.0), 1.0)
    return 100.0 if share >= 100 else min(round(share, 1), 99.9)  # noqa: PLR2004 - per cent
