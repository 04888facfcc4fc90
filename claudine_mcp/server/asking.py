"""Questions of delegated runs, put to the user while nothing is being called: the handshake era's way."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio
from anyio.abc import TaskGroup
from mcp.server.connection import Connection
from mcp.shared.exceptions import MCPError

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.front.front import Front
from claudine_mcp.front.questions import Question, watch_questions
from claudine_mcp.server.forms import Filled, filled, form, notice, submit

log = logging.getLogger(__name__)

TRIES = 3
"""How often a form is shown whose answer is none."""


async def ask_for_ever(front: Front, client: Connection) -> None:
    """Show each question once, and withdraw it when somebody else has answered. Does not return."""
    async with anyio.create_task_group() as group:
        await watch_questions(front, Asking(front, client, group).show)


class Asking:
    """The forms that a client was sent. Each waits by itself: a client that is slow with one delays nothing else.

    Args:
        front: the client's side of the state directory.
        client: shows the forms.
        group: they wait in.
    """

    def __init__(self, front: Front, client: Connection, group: TaskGroup) -> None:
        self._front = front
        self._client = client
        self._group = group
        self._shown: dict[int, anyio.CancelScope] = {}

    def show(self, questions: Sequence[Question]) -> None:
        """Show those that are new, and withdraw what waits no more."""
        waiting = {question.asked.alert_id for question in questions}
        for alert_id in self._shown.keys() - waiting:
            self._shown.pop(alert_id).cancel()
        for question in questions:
            if question.asked.alert_id not in self._shown:
                self._shown[question.asked.alert_id] = withdrawn = anyio.CancelScope()
                self._group.start_soon(self._ask, question, withdrawn)

    async def _ask(self, question: Question, withdrawn: anyio.CancelScope) -> None:
        chosen: Filled | None = None
        try:
            with withdrawn:
                chosen = await self._answer(question)
            if chosen is not None:
                too_late = await submit(self._front, question.asked.alert_id, chosen)
                if too_late is not None:
                    await self._client.send_raw_request("elicitation/create", notice(too_late))
        except (MCPError, ClaudineError) as error:
            log.warning("question %d was not answered by this client: %s", question.asked.alert_id, error)
        except Exception:  # one form must not take the server along
            log.exception("question %d", question.asked.alert_id)

    async def _answer(self, question: Question) -> Filled | None:
        for attempt in range(TRIES):
            params = form(question, again=attempt > 0)
            reply = await self._client.send_raw_request("elicitation/create", params)
            try:
                return filled(reply)
            except ValueError:
                continue
        return None
