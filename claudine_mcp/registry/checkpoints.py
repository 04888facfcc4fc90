"""Checkpoints: what tasks had come to, and by which refs that is kept."""

from __future__ import annotations

from claudine_mcp.core.errors import CheckpointNotFound
from claudine_mcp.core.models import Checkpoint
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import CHECKPOINT_COLUMNS, checkpoint_of, dump


async def add_checkpoint(tx: Transaction, checkpoint: Checkpoint) -> None:
    """Store a checkpoint; one with an id that is known is stored already."""
    await tx.run(
        "INSERT OR IGNORE INTO checkpoints (id, task_id, run, at, cause, label, state, session_id, repository, ref,"
        " commit_id, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            checkpoint.id,
            checkpoint.task_id,
            checkpoint.run,
            checkpoint.at,
            checkpoint.cause,
            checkpoint.label,
            checkpoint.state,
            checkpoint.session_id,
            checkpoint.repository,
            checkpoint.ref,
            checkpoint.commit_id,
            dump(checkpoint.details),
        ),
    )


async def checkpoints_of(tx: Transaction, task_id: str) -> list[Checkpoint]:
    """Give the checkpoints of a task, oldest first."""
    rows = await tx.all(
        f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoints WHERE task_id = ? ORDER BY seq", (task_id,)
    )
    return [checkpoint_of(row) for row in rows]


async def get_checkpoint(tx: Transaction, checkpoint_id: str) -> Checkpoint:
    """Give a checkpoint by its id.

    Raises:
        CheckpointNotFound: there is none, or not any more.
    """
    row = await tx.one(f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoints WHERE id = ?", (checkpoint_id,))
    if row is None:
        raise CheckpointNotFound(checkpoint_id)
    return checkpoint_of(row)


async def delete_checkpoint(tx: Transaction, checkpoint_id: str) -> None:
    """Forget a checkpoint; its ref is its maker's to delete."""
    await tx.run("DELETE FROM checkpoints WHERE id = ?", (checkpoint_id,))


async def all_refs(tx: Transaction) -> set[str]:
    """Give the refs of all checkpoints."""
    return {row["ref"] for row in await tx.all("SELECT ref FROM checkpoints WHERE ref IS NOT NULL")}


async def unkept_ends(tx: Transaction, cause: str, since: float) -> list[str]:
    """Give tasks whose last run has ended since a time without a checkpoint for that cause."""
    rows = await tx.all(
        "SELECT id FROM tasks WHERE state = 'ended' AND run > 0 AND started_at IS NOT NULL AND ended_at >= ?"
        " AND NOT EXISTS (SELECT 1 FROM checkpoints AS made WHERE made.task_id = tasks.id AND made.run = tasks.run"
        " AND made.cause = ?)",
        (since, cause),
    )
    return [row["id"] for row in rows]
