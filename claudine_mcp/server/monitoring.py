"""Tools about what happens, the machine, and the settings."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.system_views import Overview, Setting
from claudine_mcp.front.views import EventView, TaskRow, View, event_view, row_of
from claudine_mcp.server.handover import handed_over
from claudine_mcp.server.session import Ctx, Session, asked_meanwhile, front_of, session_of, told_to_the_model

if TYPE_CHECKING:
    from claudine_mcp.front.front import Front
    from claudine_mcp.front.waiting import Waited


class Events(View):
    """What happened while waiting."""

    events: list[EventView]
    cursor: int = Field(description="give it as `after` to go on from here without missing anything")
    why: str = Field(description="why this was answered now")
    tasks: list[TaskRow] | None = Field(
        default=None, description="the tasks that were asked about, as they are now"
    )


class SettingsInForce(View):
    """Settings, each with its origin."""

    settings: list[Setting]


async def WaitForEvents(  # noqa: N802
    ctx: Ctx,
    after: Annotated[int | None, Field(description="cursor; default: what happens from now on")] = None,
    taskIds: Annotated[list[str] | None, Field(description="only of these tasks")] = None,
    types: Annotated[
        list[str] | None,
        Field(
            description='only of these types, like "task:ended"; "task:progress" comes only if it is named'
        ),
    ] = None,
    minSeverity: Literal["debug", "info", "notice", "warning", "error", "critical"] = "info",
    until: Annotated[
        Literal["event", "ended", "allEnded"],
        Field(
            description="event: the first that fits; ended: one of taskIds has ended; allEnded: all have. "
            "With both, also when one of them needs attention"
        ),
    ] = "event",
    timeout: Annotated[
        int | str | None, Field(description='milliseconds, or "10m"; default: for ever')
    ] = None,
) -> Events:
    """Wait until something happens to tasks, and say what. To stop waiting stops no task."""
    from claudine_mcp.core.models import Severity  # noqa: PLC0415 - start-up time
    from claudine_mcp.core.units import parse_duration_ms  # noqa: PLC0415
    from claudine_mcp.front.attention import before_untold  # noqa: PLC0415
    from claudine_mcp.front.following import check_cursor, newest_event  # noqa: PLC0415
    from claudine_mcp.front.waiting import Gathering, Wanted, wait_for_events  # noqa: PLC0415

    _check_types(types or [])
    front = await front_of(ctx)
    ids = [(await front.task(wanted)).id for wanted in taskIds or []]
    limit_s = None if timeout is None else parse_duration_ms(timeout, "timeout") / 1000
    cursor = await newest_event(front) if after is None else check_cursor(after)
    warned_after = cursor
    if after is None and until != "event":
        warned_after = await before_untold(front, ids, cursor)
    severity = Severity(minSeverity)
    wanted = Wanted(cursor, ids, types or [], severity, until, warned_after, asked_meanwhile(ctx))
    with session_of(ctx).calls.waiting(wanted) as answers:
        waited = await Gathering(front, wanted).look()
        if waited is None:
            if await handed_over("events", wanted, limit_s):
                return Events(events=[], cursor=cursor, why="it is waited for")

            async def progress(seconds: float, what: str) -> None:
                await ctx.report_progress(seconds, limit_s, what)

            waited = await wait_for_events(front, wanted, limit_s, progress)
        answers(waited)
    return await events_answer(front, waited, ids)


def _check_types(types: Sequence[str]) -> None:
    from claudine_mcp.core.errors import InvalidInput  # noqa: PLC0415 - start-up time
    from claudine_mcp.core.event_types import TYPES  # noqa: PLC0415

    for name in types:
        if name not in TYPES:
            closest = difflib.get_close_matches(name, TYPES, n=3)
            raise InvalidInput(
                "types",
                f"there is no type {name[:80]!r}",
                f"There are: {', '.join(closest or sorted(TYPES))}.",
            )


async def events_answer(front: Front, waited: Waited, task_ids: Sequence[str]) -> Events:
    """Give the answer of a wait, with the tasks that it asked about."""
    return Events(
        events=[event_view(event) for event in waited.events],
        cursor=waited.cursor,
        why=waited.why,
        tasks=[row_of(await front.task(task_id)) for task_id in task_ids] or None,
    )


async def SystemStatus(ctx: Ctx) -> Overview:  # noqa: N802
    """The machine and the supervisor: memory, load, disk; what runs, what waits and why; the caps in force."""
    from claudine_mcp.front.overview import overview  # noqa: PLC0415 - start-up time

    return await overview(await front_of(ctx))


async def ConfigureMonitoring(  # noqa: N802
    ctx: Ctx,
    level: Annotated[
        Literal["passive", "active", "protective"] | None,
        Field(
            description="passive: note only; active: warn; protective: besides, suspend tasks while memory is critical"
        ),
    ] = None,
    stallThreshold: Annotated[
        int | str | None, Field(description='silence after which a task is stalled; milliseconds, or "10m"')
    ] = None,
    checkpointInterval: Annotated[
        int | str | None,
        Field(description='time between automatic checkpoints of a running task; milliseconds, or "10m"'),
    ] = None,
    maxMemoryPerTask: Annotated[
        int | str | None, Field(description='of a task, above which is warned; bytes, or "2GB"')
    ] = None,
    criticalMemory: Annotated[
        int | str | None, Field(description='of a task, above which it is critical; bytes, or "4GB"')
    ] = None,
    taskId: Annotated[str | None, Field(description="for this task alone; default: for all")] = None,
    reset: Annotated[bool, Field(description="take back what was changed here before")] = False,
) -> SettingsInForce:
    """The settings in force and where each comes from; with others: change them, until they are reset.

    For a task of your own set anything; for all tasks you may only be stricter than the user's file.
    """
    from claudine_mcp.front.monitoring import configure, settings_in_force  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    task = None if taskId is None else await front.task(taskId)
    given = {
        "level": level,
        "stallThreshold": stallThreshold,
        "checkpointInterval": checkpointInterval,
        "maxMemoryPerTask": maxMemoryPerTask,
        "criticalMemory": criticalMemory,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    await configure(front, changes, task=task, reset=reset, by_agent=True)
    return SettingsInForce(settings=await settings_in_force(front, task))


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    looks = ToolAnnotations(read_only_hint=True)
    changes = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
    for tool, hints in ((WaitForEvents, looks), (SystemStatus, looks), (ConfigureMonitoring, changes)):
        server.add_tool(told_to_the_model(tool), annotations=hints)
