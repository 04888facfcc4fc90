"""The command line as a client of the state directory: opened, kept supervised, and closed."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from claudine_mcp.cli.console import note
from claudine_mcp.cli.words import told
from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.models import JSON
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.front.overview import attend
from claudine_mcp.front.supervision import keep_supervised

T = TypeVar("T")


def with_front(work: Callable[[Front], Awaitable[T]]) -> T:
    """Open the state directory, do the work, close it.

    Whatever a command is for, it starts a supervisor if there is work and none: this may be the only client
    that has looked since the last one died.
    """

    async def opened() -> T:
        async with open_front(os.environ, working_directory(), origin()) as front:
            try:
                await attend(front)
            except (ClaudineError, OSError) as error:
                note(told(f"there may be work without a supervisor: {error}"))
            return await work(front)

    return anyio.run(opened)


async def while_supervised(
    front: Front, work: Callable[[], Awaitable[T]], beside: Callable[[], Awaitable[None]] | None = None
) -> T:
    """Do work that takes long, and start a supervisor whenever there is none meanwhile.

    Args:
        front: the client's side of the state directory.
        work: ends it.
        beside: goes on for as long as the work does; what goes wrong with it ends the work.
    """
    results: list[T] = []
    problems: list[Exception] = []

    async def attempt(part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except Exception as error:  # noqa: BLE001 - raised below: the group would wrap it
            problems.append(error)
            group.cancel_scope.cancel()

    async def finish() -> None:
        results.append(await work())

    async with anyio.create_task_group() as group:
        group.start_soon(keep_supervised, front.db, front.state_dir, front.env)
        if beside is not None:
            group.start_soon(attempt, beside)
        await attempt(finish)
        group.cancel_scope.cancel()
    if problems:
        raise problems[0]
    return results[0]


def working_directory() -> str:
    """Give the working directory, as the shell knew it if it has been removed since."""
    try:
        return os.getcwd()  # noqa: PTH109 - the text as it is
    except OSError:
        return os.environ.get("PWD") or "/"


def origin() -> JSON:
    """Say who asks, for the record."""
    session = os.environ.get("CLAUDE_CODE_SESSION_ID")
    project = os.environ.get("CLAUDE_PROJECT_DIR")
    known = {"session": session, "project": project}
    return {"by": "the command line"} | {key: value for key, value in known.items() if value}
