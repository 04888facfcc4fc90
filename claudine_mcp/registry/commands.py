"""Commands: what fronts ask for, and what became of it; settings that were changed at run time."""

from __future__ import annotations

import json
from typing import Any

from claudine_mcp.core.models import JSON, Command, CommandKind
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import COMMAND_COLUMNS, command_of, dump


async def add_command(tx: Transaction, command: Command) -> None:
    """Store what is asked for; asking twice with one id is asking once."""
    await tx.run(
        "INSERT OR IGNORE INTO commands (id, kind, task_id, args, origin, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            command.id,
            command.kind,
            command.task_id,
            dump(command.args),
            dump(command.origin),
            command.created_at,
        ),
    )


async def open_commands(tx: Transaction) -> list[Command]:
    """Give what has been asked for and is not done, in the order of asking."""
    rows = await tx.all(f"SELECT {COMMAND_COLUMNS} FROM commands WHERE done_at IS NULL ORDER BY seq")
    return [command_of(row) for row in rows]


async def commands_of(tx: Transaction, task_id: str, kind: CommandKind) -> list[Command]:
    """Give all that was asked for of one kind about a task, in the order of asking."""
    rows = await tx.all(
        f"SELECT {COMMAND_COLUMNS} FROM commands WHERE task_id = ? AND kind = ? ORDER BY seq", (task_id, kind)
    )
    return [command_of(row) for row in rows]


async def open_questions(tx: Transaction) -> list[Command]:
    """Give the questions that wait for a person, each with its `alertId`, in the order of asking."""
    # One that no supervisor has taken yet has no number by which it could be answered.
    rows = await tx.all(
        f"SELECT {COMMAND_COLUMNS} FROM commands WHERE done_at IS NULL AND taken_at IS NOT NULL AND kind = ?"
        " ORDER BY seq",
        (CommandKind.ASK,),
    )
    return [command_of(row) for row in rows]


async def question_of(tx: Transaction, alert_id: int) -> Command | None:
    """Give the question that an event raised, open or closed; None if there is none, or not any more."""
    row = await tx.one(
        f"SELECT {COMMAND_COLUMNS} FROM commands WHERE kind = ? AND json_extract(args, '$.alertId') = ?",
        (CommandKind.ASK, alert_id),
    )
    return None if row is None else command_of(row)


async def get_command(tx: Transaction, command_id: str) -> Command | None:
    """Give a command, None if there is none with this id."""
    row = await tx.one(f"SELECT {COMMAND_COLUMNS} FROM commands WHERE id = ?", (command_id,))
    return None if row is None else command_of(row)


async def take_command(tx: Transaction, command: Command, at: float, *, args: JSON | None = None) -> None:
    """Note that a command is being carried out, and with `args` what was decided about how."""
    await tx.run(
        "UPDATE commands SET taken_at = ?, args = ? WHERE id = ? AND taken_at IS NULL",
        (at, dump(command.args if args is None else args), command.id),
    )


async def finish_command(tx: Transaction, command_id: str, result: JSON, at: float) -> None:
    """Note the result; the first one stays."""
    await tx.run(
        "UPDATE commands SET result = ?, done_at = ?, taken_at = coalesce(taken_at, ?)"
        " WHERE id = ? AND done_at IS NULL",
        (dump(result), at, at, command_id),
    )


async def overrides(tx: Transaction, scope: str) -> dict[str, Any]:
    """Give the settings changed at run time, by dotted key; scope is `*` or a task's id."""
    rows = await tx.all("SELECT key, value FROM overrides WHERE scope = ?", (scope,))
    return {row["key"]: json.loads(row["value"]) for row in rows}


async def set_override(tx: Transaction, scope: str, key: str, value: Any, at: float) -> None:
    """Store one; None takes it back."""
    if value is None:
        await tx.run("DELETE FROM overrides WHERE scope = ? AND key = ?", (scope, key))
    else:
        await tx.run("INSERT OR REPLACE INTO overrides VALUES (?, ?, ?, ?)", (scope, key, dump(value), at))
