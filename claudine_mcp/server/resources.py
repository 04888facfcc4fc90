"""Tasks, their output, what waits, what happened, and the machine, as resources."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from claudine_mcp.core.errors import ClaudineError, InvalidInput, TaskNotFound
from claudine_mcp.server.session import Session

if TYPE_CHECKING:
    from pydantic import BaseModel

JSON_TYPE = "application/json"
MOST_DIGITS = 40


def _text(view: BaseModel) -> str:
    return json.dumps(view.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=1)


def register(server: MCPServer[Session], session: Session) -> None:
    """Add the resources and their templates."""

    @server.resource("claudine://system", mime_type=JSON_TYPE)
    async def system() -> str:  # pyright: ignore[reportUnusedFunction] - the server calls it
        """The machine and the supervisor."""
        from claudine_mcp.front.overview import overview  # noqa: PLC0415 - start-up time

        with _told_to_the_host():
            return _text(await overview(await session.front()))

    @server.resource("claudine://queue", mime_type=JSON_TYPE)
    async def queue() -> str:  # pyright: ignore[reportUnusedFunction]
        """Each queued task with its place and what holds it, in the order in which they would start; the caps."""
        from claudine_mcp.front.overview import overview  # noqa: PLC0415 - start-up time

        with _told_to_the_host():
            seen = await overview(await session.front())
        shown = seen.model_dump(mode="json", by_alias=True, include={"queued", "concurrency"})
        return json.dumps({"waiting": seen.counts.get("queued", 0), **shown}, ensure_ascii=False, indent=1)

    @server.resource("claudine://events{?after}", mime_type=JSON_TYPE)
    async def events(after: str | None = None) -> str:  # pyright: ignore[reportUnusedFunction]
        """The latest events; with `after`, those that came after that cursor, oldest first."""
        from claudine_mcp.core.models import Severity  # noqa: PLC0415 - start-up time
        from claudine_mcp.front.following import events_page, latest_events  # noqa: PLC0415
        from claudine_mcp.front.views import event_view  # noqa: PLC0415

        with _told_to_the_host():
            front = await session.front()
            if after is None:
                page = await latest_events(front)
            else:
                page = await events_page(front, _cursor(after), min_severity=Severity.DEBUG)
        rows = [event_view(event).model_dump(mode="json", by_alias=True) for event in page.events]
        answer = {"events": rows, "cursor": page.cursor, "more": page.more}
        return json.dumps(answer, ensure_ascii=False, indent=1)

    @server.resource("claudine://tasks", mime_type=JSON_TYPE)
    async def tasks() -> str:  # pyright: ignore[reportUnusedFunction]
        """The latest tasks, newest first."""
        from claudine_mcp.front.filters import TaskFilter  # noqa: PLC0415 - start-up time
        from claudine_mcp.front.listing import list_tasks  # noqa: PLC0415

        with _told_to_the_host():
            found, _ = await list_tasks(await session.front(), TaskFilter())
        rows = [row.model_dump(mode="json", by_alias=True) for row in found]
        return json.dumps({"tasks": rows}, ensure_ascii=False, indent=1)

    @server.resource("claudine://tasks/{id}", mime_type=JSON_TYPE)
    async def task(id: str) -> str:  # noqa: A002 # pyright: ignore[reportUnusedFunction]
        """One task whole."""
        from claudine_mcp.front.details import task_view  # noqa: PLC0415 - start-up time

        with _told_to_the_host():
            return _text(await task_view(await session.front(), id))

    @server.resource("claudine://tasks/{id}/logs", mime_type="text/plain")
    async def logs(id: str) -> str:  # noqa: A002 # pyright: ignore[reportUnusedFunction]
        """The last lines that a task printed."""
        from claudine_mcp.front.tasklogs import task_logs  # noqa: PLC0415 - start-up time

        with _told_to_the_host():
            page = await task_logs(await session.front(), id)
        return "\n".join(line.text for line in page.lines)


def _cursor(given: str) -> int:
    if not (given.isascii() and given.isdigit()):
        raise InvalidInput(
            "after", f"{given!r} is no cursor", "Give the `cursor` of an earlier answer, or 0."
        )
    from claudine_mcp.front.following import check_cursor  # noqa: PLC0415 - start-up time

    # No event has a number with so many digits, and Python reads no longer ones.
    return check_cursor(int(given[:MOST_DIGITS]))


@contextmanager
def _told_to_the_host() -> Generator[None]:
    """Have what goes wrong reach the client in its own words."""
    try:
        yield
    except InvalidInput as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error
    except TaskNotFound as error:
        raise ResourceNotFoundError(str(error)) from error
    except ClaudineError as error:
        raise ResourceError(str(error)) from error
