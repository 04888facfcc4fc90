"""What delegated Claude Codes ask, and which client puts it to its user."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.models import Task
from claudine_mcp.core.paths import presence_directory
from claudine_mcp.front.front import LOOK_EVERY_S, Front
from claudine_mcp.front.views import QuestionView, question_view
from claudine_mcp.host.presence import attend, is_attended
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.commands import open_questions, question_of
from claudine_mcp.registry.questions import end_of
from claudine_mcp.registry.tasks import get_task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What a task asks a person."""

    task: Task
    asked: QuestionView


@contextmanager
def present(front: Front) -> Generator[None]:
    """Have the others know that this client's session is there: inside, and for as long as this process lives."""
    session = front.origin.get("session")
    fd: int | None = None
    if session is not None:
        try:
            fd = attend(presence_directory(front.state_dir), session)
        except OSError as error:
            log.warning("others in this project may be asked what is for this session: %s", error)
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)


async def questions_for(front: Front, task_ids: Sequence[str] = ()) -> list[Question]:
    """Give the questions that this client may put to its user, oldest first.

    A task belongs to the session that submitted it and, when that has gone, to the clients of the same project.

    Args:
        front: the client's side of the state directory.
        task_ids: only of these tasks; empty: of all.
    """
    found: list[Question] = []
    async with front.db.read() as tx:
        for asked in await open_questions(tx):
            if asked.task_id is None or (task_ids and asked.task_id not in task_ids):
                continue
            task = await get_task(tx, asked.task_id)
            found.append(Question(task, question_view(asked, task)))
    return [question for question in found if _belongs(front, question.task)]


async def watch_questions(front: Front, tell: Callable[[Sequence[Question]], None]) -> None:
    """Tell which questions wait for this client's user, now and after everything that happens. Does not return."""
    said = ""
    with listen(front.db.bell) as listener:
        while True:
            try:
                tell(await questions_for(front))
            except (ClaudineError, OSError) as error:
                if str(error) != said:
                    log.warning("questions cannot be read: %s", error)
                said = str(error)
            await listener.wait(LOOK_EVERY_S)


def _belongs(front: Front, task: Task) -> bool:
    session = task.submitter.get("session")
    if session is not None:
        if session == front.origin.get("session"):
            return True
        if is_attended(presence_directory(front.state_dir), session):
            return False
    return task.submitter.get("project", task.cwd) == front.origin.get("project")


async def decided(front: Front, alert_id: int) -> tuple[str, str] | None:
    """Give how a question was closed: `allow` or `deny`, and what there is to tell of it; None while it is open."""
    async with front.db.read() as tx:
        asked = await question_of(tx, alert_id)
        if asked is None or asked.result is None:
            return None
        event = await end_of(tx, asked)
    text = "its run has ended, and with it the question" if event is None else event.message
    return asked.result.get("behavior", "deny"), asked.result.get("error") or text
