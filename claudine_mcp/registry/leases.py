"""Who supervises: the epoch that guards every write of a supervisor."""

from __future__ import annotations

from dataclasses import dataclass

from claudine_mcp.core.errors import RegistryError
from claudine_mcp.registry.database import Transaction


@dataclass(frozen=True, slots=True)
class Holder:
    """The last supervisor. `identity` is an `Identity` in its text form, None before the first."""

    epoch: int
    identity: str | None
    version: str | None
    taken_at: float | None


async def take_epoch(tx: Transaction, identity: str, version: str, at: float) -> int:
    """Begin a new epoch; writes of every supervisor before are refused from here on."""
    await tx.run(
        "UPDATE lease SET epoch = epoch + 1, holder = ?, version = ?, taken_at = ?", (identity, version, at)
    )
    return (await holder(tx)).epoch


async def holder(tx: Transaction) -> Holder:
    """Give the last supervisor that took the lease; it may be gone."""
    row = await tx.one("SELECT epoch, holder, version, taken_at FROM lease")
    if row is None:
        raise RegistryError("the registry's table 'lease' is empty: it is damaged")
    return Holder(*tuple(row))
