"""Open alerts in every answer, and the tool that answers them."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mcp.server import MCPServer
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.front.views import View
from claudine_mcp.server.handover import is_handed_over
from claudine_mcp.server.session import LOGGER, Ctx, Session, front_of, told_to_the_model

if TYPE_CHECKING:
    from claudine_mcp.front.front import Front

log = logging.getLogger(__name__)

PROPERTIES: dict[str, Any] = {
    "alerts": {
        "type": "array",
        "items": {"type": "object"},
        "description": "open warnings that concern you, most severe first; AnswerAlert answers",
    },
    "moreAlerts": {"type": "integer", "description": "how many others are open"},
}
"""What every tool's answer may hold besides its own."""


class Answered(View):
    """What an answer did."""

    alert_id: int
    action: str
    done: str


async def AnswerAlert(  # noqa: N802
    ctx: Ctx,
    alertId: Annotated[int, Field(description="of the alert; seq of the event that raised it")],
    action: Annotated[
        Literal["allow", "deny", "continue", "suspend", "resume", "cancel", "snooze"],
        Field(description="one of the alert's `actions`"),
    ],
    message: Annotated[str | None, Field(description="with deny: why, or what to do instead")] = None,
    snooze: Annotated[
        int | str | None, Field(description='with snooze: for how long; milliseconds, or "30m"; default: 10m')
    ] = None,
) -> Answered:
    """Answer an alert: a warning, or a question of a delegated Claude Code. Ask the user before you allow or cancel."""
    from claudine_mcp.front.alerts import answer  # noqa: PLC0415 - start-up time

    done = await answer(await front_of(ctx), alertId, action, message=message, snooze=snooze)
    return Answered(alert_id=alertId, action=action, done=done)


async def with_alerts(front: Front, result: CallToolResult, ctx: Ctx | None = None) -> CallToolResult:
    """Add the alerts that are open for this caller to an answer, and note that they were told.

    Args:
        front: the client's side of the state directory.
        result: the answer.
        ctx: of the request. If its client wants log messages of it, the alerts are sent as such, too.
    """
    from claudine_mcp.front.alerts import alerts_of  # noqa: PLC0415 - start-up time
    from claudine_mcp.front.views import shown  # noqa: PLC0415

    if result.is_error or result.structured_content is None or is_handed_over():
        return result
    try:
        found = await alerts_of(front)
    except ClaudineError as error:  # the answer itself is there, and is not lost for this
        log.warning("alerts: %s", error)
        return result
    if not found.alerts:
        return result
    alerts = [dict(shown(alert)) for alert in found.alerts]
    if ctx is not None and ctx.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        for alert in alerts:  # before, the pump tells them at any time
            await ctx.log(alert["severity"], alert, logger_name=LOGGER)  # pyright: ignore[reportDeprecated]
    told = {**result.structured_content, "alerts": alerts}
    if found.more:
        told["moreAlerts"] = found.more
    content = [TextContent(type="text", text=json.dumps(told, ensure_ascii=False, indent=2))]
    return result.model_copy(update={"structured_content": told, "content": content})


def register(server: MCPServer[Session]) -> None:
    """Add the tool."""
    hints = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)
    server.add_tool(told_to_the_model(AnswerAlert), annotations=hints)
