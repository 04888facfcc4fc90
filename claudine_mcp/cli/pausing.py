"""`pause`: nothing is started until the queue goes on."""

from __future__ import annotations

from typing import Annotated

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import say, say_json
from claudine_mcp.cli.options import AsJson, Reason
from claudine_mcp.cli.words import DONE, told
from claudine_mcp.front.front import Front
from claudine_mcp.front.pausing import pause_queue
from claudine_mcp.front.views import shown


def pause(
    off: Annotated[bool, typer.Option("--off", help="Let the queue go on.")] = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> int:
    """Start no queued task, whatever its priority, until `pause --off`.

    What runs goes on. It stays so across restarts, and for everyone.
    """

    async def hold(front: Front) -> int:
        answer = await pause_queue(front, not off, reason)
        if as_json:
            say_json(shown(answer))
        else:
            say(told(answer.done))
        return DONE

    return with_front(hold)
