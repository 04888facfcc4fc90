"""Calls that wait, handed over to an MCP task, if the client takes one for an answer to this very call."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from claudine_mcp.core.models import JSON

if TYPE_CHECKING:
    from claudine_mcp.front.waiting import Wanted
    from claudine_mcp.server.open_waits import OpenWaits

log = logging.getLogger(__name__)


@dataclass
class Handover:
    """A call whose client takes an MCP task for an answer.

    Attributes:
        waits: gives where the waiting goes on.
        handle: what the client is given instead of a result, once the waiting was handed over.
    """

    waits: Callable[[], Awaitable[OpenWaits]]
    handle: JSON | None = None


offered: ContextVar[Handover | None] = ContextVar("offered", default=None)
"""Set while a tool is called for such a client."""


def is_handed_over() -> bool:
    """Whether this call was handed over, so that nobody gets what the tool returns."""
    handover = offered.get()
    return handover is not None and handover.handle is not None


def takes_a_task() -> bool:
    """Whether the client of this call takes an MCP task for an answer."""
    return offered.get() is not None


async def handed_over(answers: Literal["task", "events"], wanted: Wanted, timeout_s: float | None) -> bool:
    """Have an MCP task wait instead of this call. False: the call has to wait by itself.

    After True, what the tool returns reaches nobody.
    """
    handover = offered.get()
    if handover is None:
        return False
    try:
        waits = await handover.waits()
        handover.handle = await waits.begin(answers, wanted, timeout_s)
    except OSError as error:
        log.warning("a wait cannot be kept, so the call itself waits: %s", error)
        return False
    return True
