"""Tools that only look: at one task, at many, at their output."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.filters import PAGE, TaskFilter
from claudine_mcp.front.system_views import LogsView, MetricsView, Overview
from claudine_mcp.front.views import TaskRow, TaskView, View
from claudine_mcp.server.parameters import TaskId
from claudine_mcp.server.session import Ctx, Session, front_of, told_to_the_model


class Status(TaskView):
    """One task whole; without an id, what is going on."""

    task_id: str | None = None  # type: ignore[assignment]
    name: str | None = None  # type: ignore[assignment]
    kind: str | None = None  # type: ignore[assignment]
    state: str | None = None  # type: ignore[assignment]
    priority: str | None = None  # type: ignore[assignment]
    created_at: str | None = None  # type: ignore[assignment]
    cwd: str | None = None  # type: ignore[assignment]
    overview: Overview | None = Field(
        default=None, description="without a taskId; everything else is absent then"
    )


class TaskPage(View):
    """Tasks, newest first."""

    tasks: list[TaskRow]
    next_cursor: str | None = Field(default=None, description="for the next page; absent after the last")


async def TaskStatus(ctx: Ctx, taskId: TaskId | None = None) -> Status:  # noqa: N802
    """The truth about a task: state, outcome, reason, exit code, why it waits, what it left running.

    Without an id: what runs, what waits and why, and the state of the machine.
    """
    front = await front_of(ctx)
    if taskId is None:
        from claudine_mcp.front.overview import overview  # noqa: PLC0415 - start-up time

        return Status(overview=await overview(front))
    from claudine_mcp.front.details import task_view  # noqa: PLC0415 - start-up time

    view = await task_view(front, taskId)
    return Status.model_validate(view.model_dump())


async def ListTasks(  # noqa: N802
    ctx: Ctx,
    filter: Annotated[TaskFilter | None, Field(description="which; default: all")] = None,  # noqa: A002
    limit: Annotated[int, Field(description="1 to 500")] = PAGE,
    cursor: Annotated[str | None, Field(description="nextCursor of the page before")] = None,
) -> TaskPage:
    """List tasks, newest first."""
    from claudine_mcp.front.listing import list_tasks  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    rows, following = await list_tasks(front, filter or TaskFilter(), limit, cursor)
    return TaskPage(tasks=list(rows), next_cursor=following)


async def TaskLogs(  # noqa: N802
    ctx: Ctx,
    taskId: TaskId,
    tail: Annotated[int, Field(description="how many of the last lines")] = 100,
    stream: Literal["stdout", "stderr", "both"] = "both",
    run: Annotated[int | None, Field(description="which run; default: the last")] = None,
    cursor: Annotated[
        str | None, Field(description="nextCursor of an earlier answer: only what came after")
    ] = None,
    format: Annotated[  # noqa: A002
        Literal["text", "raw"],
        Field(description="text: as a terminal would show it; raw: with control characters"),
    ] = "text",
) -> LogsView:
    """The output of a task, whatever it printed and however much: the last lines, or those after a cursor."""
    from claudine_mcp.front.tasklogs import task_logs  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    return await task_logs(
        front, taskId, tail=tail, stream=stream, run=run, cursor=cursor, raw=format == "raw"
    )


async def TaskMetrics(  # noqa: N802
    ctx: Ctx,
    taskId: TaskId,
    window: Annotated[
        int | str | None,
        Field(
            description='how much time, up to now or to its end: milliseconds, or "2h"; default 10 minutes'
        ),
    ] = None,
    points: Annotated[
        int | None, Field(description="values of each series at most, 1 to 1000; default 60")
    ] = None,
) -> MetricsView:
    """What a task's whole process tree has used: memory, processor, descriptors, disk; as numbers and drawn."""
    from claudine_mcp.front.metrics import task_metrics  # noqa: PLC0415 - start-up time

    return await task_metrics(await front_of(ctx), taskId, window=window, points=points)


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    for tool in (TaskStatus, ListTasks, TaskLogs, TaskMetrics):
        server.add_tool(told_to_the_model(tool), annotations=ToolAnnotations(read_only_hint=True))
