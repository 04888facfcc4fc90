"""What MCP tasks are asked for: how a wait stands, looked up when the client asks; what its user was asked, and said.

Nothing goes on between two requests. So a wait costs nothing while nobody asks, ends with no process, and another
server finds it as it was.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from mcp_types import CallToolResult, TextContent

from claudine_mcp.core.errors import NotFound
from claudine_mcp.core.models import JSON
from claudine_mcp.core.units import format_time
from claudine_mcp.front.front import Front
from claudine_mcp.front.questions import Question
from claudine_mcp.front.views import View
from claudine_mcp.front.waiting import Gathering, Waited, Wanted, timed_out
from claudine_mcp.front.waits import KEPT_S, End, Form, Wait, Waits
from claudine_mcp.server.alerts import with_alerts
from claudine_mcp.server.asked import Askable, Decision, alert_of, askable, form_of, kind_of, read, submit
from claudine_mcp.server.calls import Calls
from claudine_mcp.server.choices import Choice
from claudine_mcp.server.forms import notice
from claudine_mcp.server.monitoring import events_answer
from claudine_mcp.server.submitted import task_answer

log = logging.getLogger(__name__)

POLL_MS = 1000
"""A look costs about two milliseconds."""
MAX_FORMS = 16
"""Claude Code shows so many forms of one MCP task, and ignores all that come after."""
TOO_MANY = (
    f"it asks again; the forms of one call are used up ({MAX_FORMS}), so wait for it anew: WaitForEvents"
)
GOES_ON = "whatever becomes of the waiting, the background task goes on; CancelTask ends it"


class OpenWaits:
    """The waits of one client.

    Args:
        front: the client's side of the state directory.
        calls: takes note of what these waits tell.
    """

    def __init__(self, front: Front, calls: Calls) -> None:
        self._front = front
        self._calls = calls
        self._waits = Waits(front.state_dir)
        self._shown_by: dict[int, str] = {}
        """By alert, the wait that shows its form: two waits of one client must not both show it."""

    async def begin(
        self, answers: Literal["task", "events"], wanted: Wanted, timeout_s: float | None
    ) -> JSON:
        """Begin a wait; give the handle that the client gets instead of a result.

        Raises:
            OSError: it cannot be kept.
        """
        wait = await self._waits.begin(answers, wanted, timeout_s)
        self._calls.asked(wait.id, wanted)
        return {"resultType": "task", **_described(wait, "working", f"waiting; {GOES_ON}")}

    async def get(self, wait_id: str, *, shows_forms: bool) -> JSON:
        """Say how a wait stands, as `tasks/get` does.

        Raises:
            WaitNotFound: there is no such wait.
            ClaudineError: it cannot be looked up now.
        """
        wait = await self._waits.get(wait_id)
        if wait.end is not None:
            return _ended(wait)
        wanted = replace(wait.wanted, asked="all" if shows_forms else "questions")
        self._calls.asked(wait.id, wanted)
        gathering = Gathering(self._front, wanted)
        result = await self._result(wait, gathering)
        if result is not None:
            return await self._end(wait, result)
        items = await askable(self._front, wait.wanted.task_ids)
        if shows_forms:
            requests = await self._requests(wait, items)
            if requests is None:
                return await self._end(wait, await self._answer(wait, gathering.answer(TOO_MANY), TOO_MANY))
            if requests:
                what = f"{len(requests)} to be answered"
                return _described(wait, "input_required", what) | {"inputRequests": requests}
        waiting = [_told(item) for item in items]
        return _described(wait, "working", "; ".join([gathering.so_far, *waiting]))

    async def update(self, wait_id: str, responses: Mapping[str, Any]) -> None:
        """Take what a user has answered. What was not asked, or answered before, is passed over.

        Raises:
            WaitNotFound: there is no such wait.
            ClaudineError: an answer could not be given; giving it again does no harm.
        """
        wait = await self._waits.get(wait_id)
        for key, response in responses.items():
            shown = wait.forms.get(key)
            if shown is None or shown.closed is not None:
                continue
            changed: dict[str, Form] = {}
            if shown.notice is None:
                try:
                    chosen = read(shown.kind, response)
                    too_late = None if chosen is None else await submit(self._front, shown.alert_id, chosen)
                except ValueError:
                    closed = "invalid"
                else:
                    closed = _closed(chosen)
                    if too_late is not None:
                        changed[f"told-{shown.alert_id}"] = Form(alert_id=shown.alert_id, notice=too_late)
            else:
                closed = "answered"
            changed[key] = shown.model_copy(update={"closed": closed})
            await self._waits.show(wait_id, changed)

    async def cancel(self, wait_id: str) -> None:
        """End the waiting, and nothing else.

        Raises:
            WaitNotFound: there is no such wait.
        """
        await self._waits.end(wait_id, End())
        self._release(wait_id)

    async def _result(self, wait: Wait, gathering: Gathering) -> JSON | None:
        """Give the tool's result, if what was waited for has happened, or the time is over."""
        try:
            waited = await gathering.look()
            if waited is None and wait.timeout_s is not None:
                passed_s = time.time() - wait.began_at
                if passed_s >= wait.timeout_s:
                    waited = gathering.answer(timed_out(wait.timeout_s))
                elif passed_s < 0:
                    waited = gathering.answer(
                        "the clock was set back, so that nobody knows how much time is left"
                    )
            return None if waited is None else await self._answer(wait, waited)
        except NotFound as error:  # the task was removed
            return _dumped(CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True))

    async def _answer(self, wait: Wait, waited: Waited, note: str | None = None) -> JSON:
        if wait.answers == "events":
            view: View = await events_answer(self._front, waited, wait.wanted.task_ids)
        else:
            view = await task_answer(self._front, wait.wanted.task_ids[0], whole=True, note=note)
        self._calls.left(wait.id, waited)
        content = view.model_dump(mode="json", by_alias=True)
        text = json.dumps(content, ensure_ascii=False, indent=2)
        result = CallToolResult(content=[TextContent(type="text", text=text)], structured_content=content)
        return _dumped(await with_alerts(self._front, result))

    async def _end(self, wait: Wait, result: JSON) -> JSON:
        """End a wait with a result, which stays: what a client has read once must not change."""
        end = End(result=result)
        try:
            wait = await self._waits.end(wait.id, end)
        except OSError as error:  # the result itself is in the registry
            log.warning("the end of a wait cannot be written down: %s", error)
            wait = wait.model_copy(update={"end": end})
        self._release(wait.id)
        return _ended(wait)

    def _release(self, wait_id: str) -> None:
        self._calls.left(wait_id)
        self._shown_by = {
            alert: shown_by for alert, shown_by in self._shown_by.items() if shown_by != wait_id
        }

    async def _requests(self, wait: Wait, items: Sequence[Askable]) -> JSON | None:
        """Give what the user is to be asked by this wait, by key; None: there is more than a client shows."""
        requests = {
            key: _request(notice(shown.notice))
            for key, shown in wait.forms.items()
            if shown.notice is not None and shown.closed is None
        }
        new: dict[str, Form] = {}
        for item in items:
            alert_id = alert_of(item)
            if self._shown_by.get(alert_id, wait.id) != wait.id:
                continue
            before = [
                key
                for key, shown in wait.forms.items()
                if shown.alert_id == alert_id and shown.notice is None
            ]
            closed = wait.forms[before[-1]].closed if before else "invalid"
            if closed in {"answered", "put_aside"}:
                continue
            if closed in {
                "invalid",
                "snoozed",
            }:  # an alert that was snoozed is here again because that is over
                if len(wait.forms) + len(new) >= MAX_FORMS:
                    return None
                before.append(f"{kind_of(item)}-{alert_id}-{len(before) + 1}")
                new[before[-1]] = Form(alert_id=alert_id, kind=kind_of(item))
            self._shown_by[alert_id] = wait.id
            was_invalid = len(before) > 1 and wait.forms[before[-2]].closed == "invalid"
            requests[before[-1]] = _request(form_of(item, again=was_invalid))
        if new:
            await self._waits.show(wait.id, new)
        return requests


def _closed(chosen: Decision | None) -> Literal["answered", "put_aside", "snoozed"]:
    if chosen is None:
        return "put_aside"
    return "snoozed" if isinstance(chosen, Choice) and chosen.action == "snooze" else "answered"


def _told(item: Askable) -> str:
    if isinstance(item, Question):
        return f"task {item.task.id} waits for a person (alert {item.asked.alert_id})"
    return f"{item.message} (alert {item.alert_id})"


def _request(elicitation: JSON) -> JSON:
    return {"method": "elicitation/create", "params": elicitation}


def _described(wait: Wait, status: str, message: str) -> JSON:
    return {
        "taskId": wait.id,
        "status": status,
        "statusMessage": message,
        "createdAt": format_time(wait.began_at),
        "lastUpdatedAt": format_time(wait.changed_at),
        "ttlMs": int(KEPT_S * 1000),
        "pollIntervalMs": POLL_MS,
    }


def _ended(wait: Wait) -> JSON:
    if wait.end is None or wait.end.result is None:
        return _described(wait, "cancelled", f"the waiting was given up; {GOES_ON}")
    return _described(wait, "completed", "answered") | {"result": wait.end.result}


def _dumped(result: CallToolResult) -> JSON:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)
