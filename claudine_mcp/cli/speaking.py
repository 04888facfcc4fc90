"""`send` and `answer`: speaking with a delegated Claude Code."""

from __future__ import annotations

from typing import Annotated

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import say, say_json
from claudine_mcp.cli.input import text_of
from claudine_mcp.cli.options import AsJson, TaskId
from claudine_mcp.cli.words import DONE
from claudine_mcp.front.alerts import answer as give_answer
from claudine_mcp.front.dialogue import send as say_to
from claudine_mcp.front.front import Front


def send(
    task_id: TaskId,
    message: Annotated[
        str, typer.Argument(metavar="MESSAGE", help="What to tell it; - reads it from standard input.")
    ],
    interrupt: Annotated[
        bool, typer.Option("--interrupt", help="Stop what it is doing, and have it read this now.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say something to a running delegated Claude Code.

    Exits with 0 once it has the message, and says when it reads it; else with 1, and says why not.
    """
    text = text_of(message, "message")

    async def deliver(front: Front) -> int:
        task, result = await say_to(front, task_id, text, interrupt=interrupt)
        if as_json:
            say_json({"taskId": task.id, **result})
        elif interrupt:
            say(f"{task.id}: delivered; what it was doing was stopped")
        elif result["queued"]:
            say(
                f"{task.id}: delivered, and queued until the tool that it uses has answered, or the turn ends"
            )
        else:
            say(f"{task.id}: delivered; it reads it now")
        return DONE

    return with_front(deliver)


def answer(
    alert_id: Annotated[
        int,
        typer.Argument(metavar="ALERT", help="The number of the question or warning, as `status` shows it."),
    ],
    action: Annotated[
        str,
        typer.Argument(
            metavar="ACTION", help="One of those that it offers: allow or deny; continue, cancel, snooze."
        ),
    ],
    message: Annotated[
        str | None, typer.Option(help="With deny: why, or what to do instead; it is told so.")
    ] = None,
    snooze: Annotated[
        str | None, typer.Option(metavar="TIME", help='With snooze: for how long, like "30m".')
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Answer a question of a delegated Claude Code, or a warning.

    A question asks to use a tool, and waits; what is allowed is allowed this once. A warning that is answered with
    continue is quiet until something changes, with snooze until later.
    """

    async def decide(front: Front) -> int:
        done = await give_answer(front, alert_id, action, message=message, snooze=snooze)
        if as_json:
            say_json({"alertId": alert_id, "action": action, "done": done})
        else:
            say(f"{alert_id}: {done}")
        return DONE

    return with_front(decide)
