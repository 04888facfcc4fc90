"""Checkpoints before a task is stopped: what it has come to is kept first, but nothing waits for that for long."""

from __future__ import annotations

import logging
from typing import Final

import anyio

from claudine_mcp.core.errors import CheckpointNotFound, ClaudineError, LeaseLost
from claudine_mcp.core.models import Command, Task
from claudine_mcp.registry.checkpoints import get_checkpoint
from claudine_mcp.supervisor.checkpoints import Checkpoints
from claudine_mcp.supervisor.context import Context

log = logging.getLogger(__name__)

WAIT_S: Final = 10.0
"""A machine whose memory runs out cannot wait for a large work tree. One that is late is made while nothing moves."""


class Saving:
    """Makes the checkpoint that belongs to a command, once for each.

    Args:
        ctx: the supervisor's surroundings.
        checkpoints: who makes them.
    """

    def __init__(self, ctx: Context, checkpoints: Checkpoints) -> None:
        self._ctx = ctx
        self._checkpoints = checkpoints

    async def before(self, task: Task, command: Command) -> str | None:
        """Make the checkpoint, and wait for it a while; give its id, None if it is not there yet.

        Raises:
            ClaudineError: it cannot be made, and why.
        """
        group = self._checkpoints.group
        if group is None:
            return await self._make(task, command)
        made: list[str] = []
        errors: list[ClaudineError] = []
        done = anyio.Event()

        async def make() -> None:
            try:
                made.append(await self._make(task, command))
            except LeaseLost:
                raise
            except ClaudineError as error:
                errors.append(error)
            except Exception:
                log.exception("the checkpoint before %s of task %s failed", command.kind, task.id)
            finally:
                done.set()

        group.start_soon(make)
        with anyio.move_on_after(WAIT_S):
            await done.wait()
        if errors:
            raise errors[0]
        return made[0] if made else None

    async def soon(self, task: Task, command: Command) -> None:
        """Have the checkpoint made while the task stands still."""
        group = self._checkpoints.group
        if group is not None:
            group.start_soon(self._make_in_peace, task, command)

    async def _make_in_peace(self, task: Task, command: Command) -> None:
        try:
            await self._make(task, command)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - it is told of, and the task is stopped all the same
            log.warning("the checkpoint at %s of task %s failed: %s", command.kind, task.id, error)

    async def _make(self, task: Task, command: Command) -> str:
        """Make it under the command's own id, so that whoever carries the command out again finds it."""
        try:
            async with self._ctx.db.read() as tx:
                return (await get_checkpoint(tx, command.id)).id
        except CheckpointNotFound:
            pass
        made = await self._checkpoints.make(task, f"before {command.kind}", checkpoint_id=command.id)
        return made.id
