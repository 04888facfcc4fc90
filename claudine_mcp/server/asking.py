"""Forms that the user is shown while nothing is being called: the handshake era's way."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio
from anyio.abc import TaskGroup
from mcp.server.connection import Connection
from mcp.shared.exceptions import MCPError

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.front.following import keep_looking
from claudine_mcp.front.front import Front
from claudine_mcp.server.asked import Askable, Decision, alert_of, askable, form_of, kind_of, read, submit
from claudine_mcp.server.forms import notice

log = logging.getLogger(__name__)

TRIES = 3
"""How often a form is shown whose answer is none."""


async def ask_for_ever(front: Front, client: Connection) -> None:
    """Show each question and warning once, and withdraw it when it has passed. Does not return."""
    async with anyio.create_task_group() as group:
        await keep_looking(askable, front, Asking(front, client, group).show)


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

    def show(self, items: Sequence[Askable]) -> None:
        """Show those that are new, and withdraw what waits no more."""
        waiting = {alert_of(item) for item in items}
        for alert_id in self._shown.keys() - waiting:
            self._shown.pop(alert_id).cancel()
        for item in items:
            if alert_of(item) not in self._shown:
                self._shown[alert_of(item)] = withdrawn = anyio.CancelScope()
                self._group.start_soon(self._ask, item, withdrawn)

    async def _ask(self, item: Askable, withdrawn: anyio.CancelScope) -> None:
        decision: Decision | None = None
        try:
            with withdrawn:
                decision = await self._answer(item)
            if decision is not None:
                too_late = await submit(self._front, alert_of(item), decision)
                if too_late is not None:
                    await self._client.send_raw_request("elicitation/create", notice(too_late))
        except (MCPError, ClaudineError) as error:
            log.warning("alert %d was not answered by this client: %s", alert_of(item), error)
        except Exception:  # one form must not take the server along
            log.exception("alert %d", alert_of(item))

    async def _answer(self, item: Askable) -> Decision | None:
        for attempt in range(TRIES):
            params = form_of(item, again=attempt > 0)
            reply = await self._client.send_raw_request("elicitation/create", params)
            try:
                return read(kind_of(item), reply)
            except ValueError:
                continue
        return None
