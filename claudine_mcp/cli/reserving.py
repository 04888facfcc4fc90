"""`reserve`: memory and slots are kept free, for a task or for a time."""

from __future__ import annotations

from typing import Annotated

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import say, say_json
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.showing import reservations_table
from claudine_mcp.cli.words import DONE, told
from claudine_mcp.front.front import Front
from claudine_mcp.front.reserving import CapacityRequest, known_reservations, reserve_capacity
from claudine_mcp.front.views import shown


def reserve(
    *,
    memory: Annotated[
        str | None,
        typer.Option(help='So much, like "2GB"; default with --task: what it is expected to need.'),
    ] = None,
    slots: Annotated[int | None, typer.Option(help="So many tasks may start; default: 1.")] = None,
    task_id: Annotated[
        str | None, typer.Option("--task", metavar="ID", help="For this queued task, until it starts.")
    ] = None,
    duration: Annotated[str | None, typer.Option(help='At most so long, like "30m"; default: 1 h.')] = None,
    release: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Release a reservation; the beginning of its id is enough."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Keep memory and slots free from other tasks, or release them. Without options: what is kept."""
    request = CapacityRequest(memory, slots, task_id, duration, release)

    async def act(front: Front) -> int:
        if request == CapacityRequest():
            known = await known_reservations(front)
            if as_json:
                say_json({"reservations": [shown(each) for each in known]})
            elif known:
                reservations_table(known)
            else:
                say("nothing is reserved")
            return DONE
        answer = await reserve_capacity(front, request)
        if as_json:
            say_json(shown(answer))
        else:
            say(told(answer.done))
            if request.release is None:
                say(f"release it with `claudine-mcp reserve --release {answer.reservation_id}`")
        return DONE

    return with_front(act)
