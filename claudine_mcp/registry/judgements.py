"""What a supervisor has come to know of runs and of the machine, so that the next one goes on from there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from claudine_mcp.core.models import JSON
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.protected import PROTECTION
from claudine_mcp.registry.rows import dump


async def judgements(tx: Transaction, boot_id: str) -> dict[str, JSON]:
    """Give what is stored, by run id; its times mean nothing on another boot than this."""
    rows = await tx.all("SELECT subject, state FROM judgements WHERE boot_id = ?", (boot_id,))
    return {row["subject"]: json.loads(row["state"]) for row in rows}


async def store_judgements(tx: Transaction, boot_id: str, states: Mapping[str, JSON]) -> None:
    """Keep what is known now."""
    rows = [(subject, boot_id, dump(state)) for subject, state in states.items()]
    await tx.run_many("INSERT OR REPLACE INTO judgements VALUES (?, ?, ?)", rows)


async def keep_judgements(tx: Transaction, boot_id: str, subjects: Collection[str]) -> None:
    """Remove what is stored of other runs, and of other boots."""
    kept = {*subjects, PROTECTION}
    rows = await tx.all("SELECT subject, boot_id FROM judgements")
    gone = [(row["subject"],) for row in rows if row["boot_id"] != boot_id or row["subject"] not in kept]
    await tx.run_many("DELETE FROM judgements WHERE subject = ?", gone)
