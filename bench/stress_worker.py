"""A front that is told by lines of JSON on its stdin what to do, and answers each with one; `stress.py` kills it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.models import CommandKind
from claudine_mcp.front import supervision
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.registry.tasks import runs_of

JSON = dict[str, Any]


async def submit(front: Front, order: JSON) -> JSON:
    task = await front.submit_command(CommandRequest(**order["request"]))
    return {"id": task.id}


async def cancel(front: Front, order: JSON) -> JSON:
    task, result = await front.cancel(order["id"], "stress")
    return {"state": task.state, "outcome": task.outcome, **result}


async def retry(front: Front, order: JSON) -> JSON:
    return await front.command(CommandKind.RETRY, order["id"], {})


async def remove(front: Front, order: JSON) -> JSON:
    return await front.command(CommandKind.REMOVE, None, {"taskIds": [order["id"]]})


async def look(front: Front, order: JSON) -> JSON:
    async with front.db.read() as tx:
        runs = await runs_of(tx, order["id"])
    return {"state": (await front.task(order["id"])).state, "runs": len(runs)}


ACTIONS: dict[str, Callable[[Front, JSON], Awaitable[JSON]]] = {
    "submit": submit,
    "cancel": cancel,
    "retry": retry,
    "remove": remove,
    "look": look,
}


async def main() -> None:
    """Serve until the end of stdin."""
    supervision.LOOK_EVERY_S = 0.2
    async with (
        open_front(os.environ, str(Path.cwd()), {"by": "stress"}) as front,
        anyio.create_task_group() as group,
    ):
        group.start_soon(supervision.keep_supervised, front.db, front.state_dir, front.env)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            order = json.loads(line)
            try:
                answer = await ACTIONS[order["do"]](front, order)
            except ClaudineError as error:
                answer = {"refused": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)
        group.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
