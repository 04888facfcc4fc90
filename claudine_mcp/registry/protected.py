"""What protective mode must know of tasks: those that run, and those that are stopped and may go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from claudine_mcp.core.models import JSON, CommandKind, Kind, Priority
from claudine_mcp.core.states import State
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import optional

PROTECTION: Final = "protection"
"""The subject under which the policy keeps what it remembers."""
_CONTROLS: Final = (
    CommandKind.CANCEL,
    CommandKind.SUSPEND,
    CommandKind.RESUME,
    CommandKind.HIBERNATE,
    CommandKind.RESTORE,
)


@dataclass(frozen=True, slots=True)
class Protected:
    """A task that runs or is stopped, or one that was stopped and is queued to go on.

    Attributes:
        stopped: see `Task.stopped`.
        settings: what its project's file says, by dotted key.
        may_hibernate: whether its submitter consented, and it can go on afterwards.
        on_timeout: what its submitter wants when its time is over; None: nothing in particular.
        is_pending: whether a command about it is open.
    """

    task_id: str
    run: int
    name: str
    priority: Priority
    state: State
    stopped: JSON | None
    settings: Mapping[str, Any]
    may_hibernate: bool
    on_timeout: str | None
    is_pending: bool

    @property
    def run_id(self) -> str:
        """The name of its run."""
        return f"{self.task_id}.{self.run}"

    @property
    def displaced_for(self) -> str:
        """The task for which the policy has stopped it; "" if it was for another reason."""
        stopped = self.stopped or {}
        return stopped.get("for", "") if stopped.get("by") == "policy" else ""


async def protected_tasks(tx: Transaction) -> list[Protected]:
    """Give all that the policy may have to do with; hibernated ones only if it was the policy that stopped them."""
    marks = ", ".join("?" * len(_CONTROLS))
    rows = await tx.all(
        "SELECT id, run, name, kind, priority, state, stopped, spec ->> '$.settings' AS settings,"
        " spec ->> '$.resources.canCheckpoint' AS consent, spec ->> '$.restartable' AS restartable,"
        " spec ->> '$.onTimeout' AS on_timeout,"
        " EXISTS (SELECT 1 FROM commands WHERE task_id = tasks.id AND done_at IS NULL AND kind IN"
        f" ({marks})) AS is_pending"
        " FROM tasks WHERE state IN ('starting', 'running', 'suspended', 'hibernating')"
        " OR (state = 'queued' AND run > 0)"
        " OR (state = 'hibernated' AND stopped ->> '$.by' = 'policy')",
        _CONTROLS,
    )
    return [
        Protected(
            row["id"],
            row["run"],
            row["name"],
            Priority(row["priority"]),
            State(row["state"]),
            optional(row["stopped"]),
            json.loads(row["settings"] or "{}"),
            bool(row["consent"]) and (row["kind"] == Kind.CLAUDE or bool(row["restartable"])),
            row["on_timeout"],
            bool(row["is_pending"]),
        )
        for row in rows
    ]
