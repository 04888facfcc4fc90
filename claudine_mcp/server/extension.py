"""The extension `io.modelcontextprotocol/tasks` (SEP-2663): a call that waits is answered by a handle, and asked after.

What is said in it is in `open_waits`, which is loaded with the first such call.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CancelTaskRequestParams,
    GetTaskRequestParams,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from claudine_mcp.core.errors import ClaudineError, WaitNotFound
from claudine_mcp.core.models import JSON
from claudine_mcp.server.handover import Handover, offered
from claudine_mcp.server.session import Session, shows_forms

if TYPE_CHECKING:
    from claudine_mcp.server.open_waits import OpenWaits

IDENTIFIER = "io.modelcontextprotocol/tasks"

Ctx = ServerRequestContext[Session, Any]


class UpdateTaskRequestParams(RequestParams):
    """Parameters of `tasks/update`; each response is read on its own, so that one that is wrong spoils no other."""

    task_id: str
    input_responses: dict[str, Any]


class TasksExtension(Extension):
    """Answers calls that wait by MCP tasks, where the request itself says that its client takes them.

    Args:
        session: of the client.
    """

    identifier = IDENTIFIER

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waits: OpenWaits | None = None

    def methods(self) -> Sequence[MethodBinding]:
        """The methods of the extension; in the handshake era there are none."""
        modern = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", GetTaskRequestParams, self._get, modern),
            MethodBinding("tasks/update", UpdateTaskRequestParams, self._update, modern),
            MethodBinding("tasks/cancel", CancelTaskRequestParams, self._cancel, modern),
        ]

    async def intercept_tool_call(
        self,
        params: CallToolRequestParams,  # noqa: ARG002 - the tool itself knows whether it waits
        ctx: Ctx,
        call_next: CallNext,
    ) -> HandlerResult:
        """Let the tool do its work; if it comes to waiting, answer with a handle."""
        if not takes_tasks(ctx):
            return await call_next(ctx)
        handover = Handover(self._open)
        token = offered.set(handover)
        try:
            result = await call_next(ctx)
        finally:
            offered.reset(token)
        return result if handover.handle is None else handover.handle

    async def _open(self) -> OpenWaits:
        if self._waits is None:
            from claudine_mcp.server.open_waits import OpenWaits  # noqa: PLC0415 - start-up time

            self._waits = OpenWaits(await self._session.front(), self._session.calls)
        return self._waits

    async def _get(self, ctx: Ctx, params: GetTaskRequestParams) -> JSON:
        with _answering(ctx):
            waits = await self._open()
            return await waits.get(params.task_id, shows_forms=shows_forms(ctx.session.client_capabilities))

    async def _update(self, ctx: Ctx, params: UpdateTaskRequestParams) -> JSON:
        with _answering(ctx):
            waits = await self._open()
            await waits.update(params.task_id, params.input_responses)
        return {}

    async def _cancel(self, ctx: Ctx, params: CancelTaskRequestParams) -> JSON:
        with _answering(ctx):
            waits = await self._open()
            await waits.cancel(params.task_id)
        return {}


def takes_tasks(ctx: Ctx) -> bool:
    """Whether the client said in this very request that it takes an MCP task for an answer.

    The version matters, too: there are clients that declare the extension in the handshake era, where it is none.
    """
    declared = ctx.session.client_capabilities
    return (
        ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        and declared is not None
        and IDENTIFIER in (declared.extensions or {})
    )


@contextmanager
def _answering(ctx: Ctx) -> Generator[None]:
    """Refuse who did not declare the extension, and have what goes wrong reach the client in its own words."""
    require_client_extension(ctx, IDENTIFIER)
    try:
        yield
    except WaitNotFound as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error
    except (ClaudineError, OSError) as error:
        raise MCPError(INTERNAL_ERROR, str(error)) from error
