"""The MCP server: tools, resources, and what they stand on."""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp_types import CallToolResult, InputRequiredResult
from pydantic import ValidationError

import claudine_mcp
from claudine_mcp.server import plugin, prompts, resources
from claudine_mcp.server.extension import TasksExtension
from claudine_mcp.server.pump import Pump
from claudine_mcp.server.session import Session
from claudine_mcp.server.toolbox import Toolbox

INSTRUCTIONS = """\
Background tasks that outlive this conversation. RunCommand starts a command, DelegateTask a Claude Code; both \
answer at once, and the task goes on whatever becomes of this session. `alerts` in an answer are warnings: tell the \
user, then AnswerAlert. WaitForEvents waits for something to happen, TaskStatus tells the truth about a task, \
TaskLogs shows its output, CancelTask ends the whole process tree, SuspendTask stops it where it is, HibernateTask \
frees its memory, too; ResumeTask lets it go on. Ids may be shortened to a unique beginning. Nothing is ended \
without being asked for: a wait that is stopped (its id is the task's id, "-wait-" and more) ends no task.\
"""

TOLD = " You are told of every end and every warning without asking: do not poll for them."
"""With the plugin."""


class ClaudineServer(MCPServer[Session]):
    """The SDK's server, with arguments checked more strictly, and with alerts in its answers.

    Args:
        session: what its tools work with.
        plugged: the plugin's side of it, if the plugin has started it.
        settings: of the SDK's server.
    """

    def __init__(self, session: Session, plugged: plugin.Plugin | None = None, **settings: Any) -> None:
        super().__init__("claudine", **settings)
        self._session = session
        self._tool_manager = Toolbox(self, plugged)

    @property
    def lowlevel(self) -> Server[Session]:
        """The protocol-level server, which the process runs."""
        return self._lowlevel_server

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Session, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. An argument that it does not have is an error, not ignored.

        Raises:
            ToolError: naming each argument that is wrong, and what would be right.
        """
        tool = self._tool_manager.get_tool(name)
        if tool is not None:
            known = list(tool.parameters.get("properties", {}))
            for given in arguments:
                if given not in known:
                    guess = difflib.get_close_matches(given, known, n=1)
                    hint = (
                        f"Did you mean {guess[0]!r}?"
                        if guess
                        else f"There are: {', '.join(known) or 'none'}."
                    )
                    raise ToolError(f"{given}: {name} has no such parameter. {hint}")
        try:
            result = await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(explain(error.__cause__)) from error.__cause__
            if isinstance(error.__cause__, ToolError):  # our own words, without the SDK's before them
                raise error.__cause__ from error
            raise
        if isinstance(result, CallToolResult):
            from claudine_mcp.server.alerts import with_alerts  # noqa: PLC0415 - start-up time

            return await with_alerts(await self._session.front(), result, context)
        return result


def explain(error: ValidationError) -> str:
    """Say which arguments were wrong, one a line."""
    lines: list[str] = []
    for problem in error.errors(include_url=False, include_context=False):
        field = ".".join(
            str(part) for part in problem["loc"] if not str(part).startswith(("function-", "list["))
        )
        given = repr(problem["input"])
        lines.append(
            f"{field}: {problem['msg']}" + ("" if problem["type"] == "missing" else f" (given: {given[:80]})")
        )
    return "\n".join(dict.fromkeys(lines))


def build_server(env: Mapping[str, str], cwd: str, *, channel: bool = False) -> ClaudineServer:
    """Build the server for a client with this environment and working directory; `channel`: see `Pump`."""
    session = Session(env, cwd)
    plugged = plugin.Plugin(session, env) if env.get(plugin.MONITOR_DIR) else None
    bus = InMemorySubscriptionBus()
    pump = Pump(session, bus, channel=channel)

    @asynccontextmanager
    async def lifespan(_: MCPServer[Session]) -> AsyncGenerator[Session]:
        async with anyio.create_task_group() as group:
            group.start_soon(session.stand_by)
            group.start_soon(session.ask)
            group.start_soon(pump.run)
            if plugged is not None:
                group.start_soon(plugged.keep_woken)
            try:
                yield session
            finally:
                session.leave()
            group.cancel_scope.cancel()

    async def meet(ctx: ServerRequestContext[Session, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "notifications/initialized":
            session.meet(ctx.session._connection)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no other way
        return result

    server = ClaudineServer(
        session,
        plugged,
        title="claudine: background tasks",
        version=claudine_mcp.__version__,
        instructions=INSTRUCTIONS + TOLD if plugged else INSTRUCTIONS,
        lifespan=lifespan,
        log_level="WARNING",
        extensions=[TasksExtension(session)],
        subscriptions=bus,
    )
    server.middleware.append(meet)
    pump.register(server.lowlevel)
    resources.register(server, session)
    prompts.register(server, session)
    return server
