"""A delegated run's question to a person: put into the registry, waited for, and taken back if its run gives it up."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import anyio

from claudine_mcp.core.errors import ClaudineError, SupervisorError
from claudine_mcp.core.models import JSON, CommandKind
from claudine_mcp.front.front import Front
from claudine_mcp.host.processes import identify

log = logging.getLogger(__name__)

AGAIN_IN_S = 1.0
WITHDRAW_LIMIT_S = 5.0


def asker(task_id: str) -> JSON:
    """Give the origin of a front that asks for a run; with this process, which the answer is for, the question ends."""
    return {"by": "its permission relay", "task": task_id, "process": str(identify(os.getpid()))}


async def ask_person(front: Front, task_id: str, args: Mapping[str, Any]) -> JSON:
    """Ask, and wait for the answer; give it as Claude Code takes it: `behavior`, and with a denial a `message`.

    Cancelling it takes the question back.

    Raises:
        ClaudineError: the question cannot be written down.
    """
    command_id = await front.issue(CommandKind.ASK, task_id, args)
    try:
        return await _answer(front, command_id)
    except anyio.get_cancelled_exc_class():
        with anyio.move_on_after(WITHDRAW_LIMIT_S, shield=True):
            try:
                await front.issue(CommandKind.WITHDRAW, task_id, {"command": command_id})
            except ClaudineError as error:
                log.warning("a question could not be taken back: %s", error)
        raise


async def _answer(front: Front, command_id: str) -> JSON:
    while True:
        try:
            return await front.result(command_id)
        except SupervisorError as error:
            # The question is kept, so it can be answered as soon as there is one that does its work.
            log.warning("%s", error)
            await anyio.sleep(AGAIN_IN_S)
