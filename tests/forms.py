"""Clients whose users are shown forms, in both eras."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import Client
from mcp_tasks import TaskClient, task_client
from mcp_types import ElicitRequestFormParams, ElicitResult
from support import Home, wait_for

from claudine_mcp.server.app import build_server

Json = dict[str, Any]


@asynccontextmanager
async def connected(home: Home, *, shows_forms: bool = True, **env: str) -> AsyncGenerator[TaskClient]:
    server = build_server(home.env | env, str(home.work))
    async with task_client(server, shows_forms=shows_forms) as client:
        yield client


class User:
    """A user who is shown forms.

    Attributes:
        shown: the forms so far.
        withdrawn: how many of them were taken away.
    """

    def __init__(self) -> None:
        self.shown: list[ElicitRequestFormParams] = []
        self.withdrawn = 0
        self._replies: list[Json] = []

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        self.shown.append(params)
        try:
            await wait_for(lambda: self._replies, what="a reply")
            return ElicitResult.model_construct(**self._replies.pop(0))
        except anyio.get_cancelled_exc_class():
            self.withdrawn += 1
            raise

    async def sees(self, count: int) -> ElicitRequestFormParams:
        """Wait until so many forms were shown; give the last."""
        await wait_for(lambda: len(self.shown) == count, what=f"{count} forms")
        return self.shown[-1]

    def has_in_mind(self, reply: Json) -> None:
        """Decide how to fill in a form, if there is one."""
        self._replies.append(reply)

    async def answers(self, reply: Json) -> None:
        """Fill in a form that is shown."""
        self.has_in_mind(reply)
        await wait_for(lambda: not self._replies, what="a form takes the reply")


@asynccontextmanager
async def handshaken(home: Home, user: User | None, **env: str) -> AsyncGenerator[Client]:
    server = build_server(home.env | env, str(home.work))
    async with Client(server, mode="legacy", elicitation_callback=user) as client:
        yield client
