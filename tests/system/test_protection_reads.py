"""How often protective mode asks the registry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from support import Home

from claudine_mcp.core.config import Settings
from claudine_mcp.core.fields import Level
from claudine_mcp.core.rules import RunLimits
from claudine_mcp.core.samples import OtherClaude, TreeSample
from claudine_mcp.host.system import SystemSampler
from claudine_mcp.registry.database import Database, Transaction
from claudine_mcp.supervisor.context import Context, Tick
from claudine_mcp.supervisor.diagnosis import Diagnosis
from claudine_mcp.supervisor.protection import Protection

RUN = "a.1"


class Counted:
    """A registry that counts how often it is read."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.reads = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        self.reads += 1
        async with self._db.read() as tx:
            yield tx


class Known:
    """A diagnosis that knows one run, and its level."""

    recognition = None

    def __init__(self) -> None:
        self.level = Level.ACTIVE

    def limits_of_run(self, run_id: str) -> RunLimits | None:
        return RunLimits(level=self.level) if run_id == RUN else None


async def test_the_registry_is_read_only_where_something_is_protective_or_presses(home: Home) -> None:
    async with home.front() as front:
        db, known = Counted(front.db), Known()
        ctx = Context(cast("Database", cast("Any", db)), home.state_dir, Path(), Settings())
        protection = Protection(ctx, cast("Diagnosis", cast("Any", known)))
        sample = TreeSample(0.0, 1, 0, 0, 1, 0, 0, 0.0, 0, 0)
        tick = Tick({RUN: sample}, SystemSampler(home.state_dir).sample(0.0, OtherClaude()), {})

        async def reads() -> int:
            before = db.reads
            await protection.judge(tick)
            return db.reads - before

        assert await reads() > 0  # what the supervisor before this one has left is not known yet
        assert await reads() == 0
        ctx.is_pressed = True
        assert await reads() > 0
        ctx.is_pressed = False
        assert await reads() > 0  # what pressed is put aside
        assert await reads() == 0
        known.level = Level.PROTECTIVE
        assert await reads() > 0
