"""What people and delegated Claude Codes say to each other: messages, questions and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import JSON, CommandKind, Task
from claudine_mcp.front.delegate import check_text
from claudine_mcp.front.front import LOOK_EVERY_S, Front
from claudine_mcp.front.views import QuestionView, question_view
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.commands import open_questions
from claudine_mcp.registry.questions import waiting_question
from claudine_mcp.registry.tasks import get_task

ACTIONS = ("allow", "deny")


async def send(front: Front, wanted: str, message: str, *, interrupt: bool) -> tuple[Task, JSON]:
    """Say something to a running Claude Code; give the task and what became of it: `delivered`, `queued`.

    Raises:
        InvalidInput: the message is empty or too long.
        TaskNotFound: there is no such task.
        NotNow: it was not delivered; says why.
    """
    check_text("message", message)
    task = await front.task(wanted)
    return task, await front.command(CommandKind.SEND, task.id, {"message": message, "interrupt": interrupt})


async def answer(front: Front, alert_id: int, action: str, message: str | None = None) -> str:
    """Answer a question; give the id of the task that asked it.

    Args:
        front: the client's side of the state directory.
        alert_id: `seq` of the event that raised it.
        action: `allow` or `deny`.
        message: with `deny`: why, or what to do instead.

    Raises:
        InvalidInput: there is no such action, or it takes no message.
        QuestionNotFound: there is no such question, or it was answered or denied before.
        NotNow: the same, in this very moment.
    """
    if action not in ACTIONS:
        raise InvalidInput("action", f"{action!r} is none", f"Give {' or '.join(ACTIONS)}.")
    if message is not None and action == "allow":
        raise InvalidInput(
            "message", "what is allowed is done without a word", "Use SendMessage to say something."
        )
    async with front.db.read() as tx:
        await waiting_question(tx, alert_id)
    args = {"alertId": alert_id, "action": action, "message": message}
    return (await front.command(CommandKind.ANSWER, None, args))["taskId"]


async def follow_questions(
    front: Front, task_ids: Sequence[str], tell: Callable[[Task, QuestionView], None]
) -> None:
    """Give each question of these tasks to `tell`, once, those that wait already first. Goes on for ever."""
    told: set[int] = set()
    with listen(front.db.bell) as listener:
        while True:
            async with front.db.read() as tx:
                for asked in await open_questions(tx):
                    alert_id: int = asked.args["alertId"]
                    if asked.task_id is not None and asked.task_id in task_ids and alert_id not in told:
                        task = await get_task(tx, asked.task_id)
                        tell(task, question_view(asked, task))
                        told.add(alert_id)
            await listener.wait(LOOK_EVERY_S)
