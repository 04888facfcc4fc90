"""One client's connection to the state directory, opened when it is first needed."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.connection import Connection
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ClientCapabilities

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.server.calls import Calls
from claudine_mcp.server.handover import takes_a_task

if TYPE_CHECKING:
    from claudine_mcp.front.attention import Asked
    from claudine_mcp.front.front import Front

log = logging.getLogger(__name__)

STAND_BY_AFTER_S = 0.5
"""The first answer comes before what it does not need."""
AGAIN_AFTER_S = 5.0
LOGGER = "claudine"
"""The name under which events reach a client as log messages."""


class Session:
    """What tools work with.

    Args:
        env: the environment that the client gave this server.
        cwd: the working directory that it gave it.

    Attributes:
        calls: those that tell how tasks end.
        began: the cursor before everything that this client did, once there is a front.
        client: of the handshake era, once it has introduced itself: it can be told things at any time.
    """

    def __init__(self, env: Mapping[str, str], cwd: str) -> None:
        self._env = env
        self._cwd = cwd
        self._front: Front | None = None
        self._opened: AbstractAsyncContextManager[Front] | None = None
        self._opening = anyio.Lock()
        self.calls = Calls()
        self.began = 0
        self._presence = ExitStack()
        self.client: Connection | None = None
        self._met = anyio.Event()

    async def front(self) -> Front:
        """Give the client's side of the state directory.

        Raises:
            ClaudineError: the state directory or the registry cannot be used.
        """
        if self._front is None:
            async with self._opening:
                if self._front is None:
                    from claudine_mcp.front.clients import present  # noqa: PLC0415
                    from claudine_mcp.front.following import newest_event  # noqa: PLC0415
                    from claudine_mcp.front.front import open_front  # noqa: PLC0415 - start-up time

                    # Never closed: the process ends with its client, and SQLite survives that.
                    opened = open_front(self._env, self._cwd, self._origin())
                    front = await opened.__aenter__()
                    self._presence.enter_context(present(front))
                    self.began = await newest_event(front)
                    self._opened, self._front = opened, front
        return self._front

    def leave(self) -> None:
        """Have the others know that this client has gone."""
        self._presence.close()

    def _origin(self) -> dict[str, Any]:
        from claudine_mcp.front.clients import process_session  # noqa: PLC0415 - start-up time

        session = self._env.get("CLAUDE_CODE_SESSION_ID")
        by = "a Claude Code session" if session else "an MCP client"
        # A client that names no session is one for as long as its server lives.
        return {
            "by": by,
            "project": self._env.get("CLAUDE_PROJECT_DIR") or self._cwd,
            "session": session or process_session(),
        }

    async def stand_by(self) -> None:
        """Start a supervisor whenever there is work and none, for as long as this client lives."""
        front = await self.standing_by()
        from claudine_mcp.front.supervision import keep_supervised  # noqa: PLC0415 - start-up time

        await keep_supervised(front.db, front.state_dir, self._env)

    def meet(self, client: Connection) -> None:
        """Take note of a client that has introduced itself, as they do in the handshake era."""
        self.client = client
        self._met.set()

    async def ask(self) -> None:
        """Put the questions of delegated runs to the user of a client that was met and shows forms."""
        await self._met.wait()
        client = self.client
        if client is None or not shows_forms(client.client_capabilities):
            return
        from claudine_mcp.server.asking import ask_for_ever  # noqa: PLC0415 - start-up time

        await ask_for_ever(await self.standing_by(), client)

    async def standing_by(self) -> Front:
        """Give the front, a while after the first answer, and as soon as there can be one."""
        await anyio.sleep(STAND_BY_AFTER_S)
        while True:
            try:
                return await self.front()
            except (ClaudineError, OSError) as error:
                log.warning("%s", error)
                await anyio.sleep(AGAIN_AFTER_S)


Ctx = Context[Session, Any]


def shows_forms(declared: ClientCapabilities | None) -> bool:
    """Whether a client can show a form to its user. One that names no kind of elicitation means this one."""
    asks = None if declared is None else declared.elicitation
    return asks is not None and (asks.form is not None or asks.url is None)


def asked_meanwhile(ctx: Ctx) -> Asked:
    """Say what the user of a request's client is asked while the request waits."""
    if shows_forms(ctx.request_context.session.client_capabilities):
        return "all" if session_of(ctx).client is not None or takes_a_task() else "nothing"
    return "questions" if takes_a_task() else "nothing"


async def front_of(ctx: Ctx) -> Front:
    """Give the front of the client that a request came from."""
    return await session_of(ctx).front()


def session_of(ctx: Ctx) -> Session:
    """Give the session of the client that a request came from."""
    return ctx.request_context.lifespan_context


def told_to_the_model(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Have what a tool raises reach the model in its own words."""

    @functools.wraps(function)
    async def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except ClaudineError as error:
            raise ToolError(str(error)) from error

    return told
