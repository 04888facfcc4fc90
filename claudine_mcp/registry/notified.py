"""How far the user's own program has been told."""

from __future__ import annotations

from claudine_mcp.registry.database import Transaction


async def notified(tx: Transaction) -> int | None:
    """Give the cursor after the last event that was told, None before the first."""
    row = await tx.one("SELECT value FROM meta WHERE key = 'notified'")
    return None if row is None else int(row[0])


async def set_notified(tx: Transaction, cursor: int) -> None:
    """Move the cursor."""
    await tx.run("INSERT OR REPLACE INTO meta VALUES ('notified', ?)", (str(cursor),))


async def forget_notified(tx: Transaction) -> None:
    """Remove the cursor: a program that is configured later is not told of what happened before."""
    await tx.run("DELETE FROM meta WHERE key = 'notified'")
