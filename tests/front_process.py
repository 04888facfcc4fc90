"""A front as a process of its own: submits what it is told to, says so, and does what it is told next.

Arguments are JSON: ``commands``, each as `CommandRequest` takes them; ``then``: "leave", "stay" (seeing to it that
there is a supervisor, as a server does) or "wait" (until all have ended). ``start``: a file whose appearance starts it.
It writes a line of JSON with the ids once all is submitted.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio

from claudine_mcp.core.states import State
from claudine_mcp.front import supervision
from claudine_mcp.front.front import open_front
from claudine_mcp.front.submit import CommandRequest


async def main(what: dict[str, Any]) -> None:
    """Be a front."""
    supervision.LOOK_EVERY_S = what.get("lookEvery", supervision.LOOK_EVERY_S)
    async with (
        open_front(os.environ, str(Path.cwd()), {"by": "a process"}) as front,
        anyio.create_task_group() as group,
    ):
        if what["then"] != "leave":
            group.start_soon(supervision.keep_supervised, front.db, front.state_dir, front.env)
        start = Path(what.get("start", "/")).exists
        while not start():  # noqa: ASYNC110 - who sets it off is another process
            await anyio.sleep(0.001)
        ids = [(await front.submit_command(CommandRequest(command))).id for command in what["commands"]]
        print(json.dumps(ids), flush=True)  # noqa: T201
        if what["then"] == "stay":
            await anyio.sleep_forever()
        for task_id in ids if what["then"] == "wait" else ():
            while (await front.task(task_id)).state is not State.ENDED:  # noqa: ASYNC110 - the same
                await anyio.sleep(0.02)
        group.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, json.loads(sys.argv[1]))
