"""Tools that start, change, end and remove tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.filters import TaskFilter
from claudine_mcp.front.views import TaskRow, View
from claudine_mcp.server.parameters import (
    CheckpointInterval,
    Cwd,
    DependsOn,
    Labels,
    Name,
    NotBefore,
    OnTimeout,
    PriorityName,
    Reason,
    ResourcesParameter,
    TaskId,
    Timeout,
    Wait,
    Worktree,
    plain,
)
from claudine_mcp.server.session import Ctx, Session, front_of, session_of, told_to_the_model
from claudine_mcp.server.submitted import Submitted, submitted


class Cancelled(View):
    """What a cancel did."""

    task_id: str
    state: str
    outcome: str | None = None
    changed: bool = Field(description="false: there was nothing to end")
    reason: str
    processes_stopped: int | None = None
    signals: list[str] | None = None
    took_seconds: float | None = None


class Removed(View):
    """What was removed, or would be."""

    removed: list[str]
    kept: dict[str, str] | None = Field(default=None, description="task to the reason why it stays")
    bytes: int = Field(description="disk space of the tasks' files")
    dry_run: bool


async def RunCommand(  # noqa: N802 - the interface's spelling
    ctx: Ctx,
    command: Annotated[
        str | list[str], Field(description="a string for the shell, or program and arguments")
    ],
    cwd: Cwd = None,
    name: Name = None,
    priority: PriorityName = None,
    env: Annotated[dict[str, str] | None, Field(description="added to the client's environment")] = None,
    mergeStreams: Annotated[bool, Field(description="write stderr into stdout, in order")] = False,
    restartable: Annotated[
        bool, Field(description="it may safely be started again from the beginning")
    ] = False,
    dependsOn: DependsOn = None,
    notBefore: NotBefore = None,
    timeout: Timeout = None,
    onTimeout: OnTimeout = None,
    checkpointInterval: CheckpointInterval = None,
    labels: Labels = None,
    worktree: Worktree = False,
    resources: ResourcesParameter = None,
    wait: Wait = False,
) -> Submitted:
    """Run a command as a background task that outlives this session: a build, a test suite, a training run.

    Answers at once with the task's id. Its output goes to files (TaskLogs); how it ended is in TaskStatus.
    """
    from claudine_mcp.front.submit import CommandRequest  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    task = await front.submit_command(
        CommandRequest(
            command=command,
            cwd=cwd,
            name=name,
            priority=priority,
            env=env,
            merge_streams=mergeStreams,
            restartable=restartable,
            depends_on=plain(dependsOn),
            not_before=notBefore,
            timeout=timeout,
            on_timeout=onTimeout,
            checkpoint_interval=checkpointInterval,
            labels=labels or [],
            worktree=worktree,
            resources=None if resources is None else resources.model_dump(),
        )
    )
    return await submitted(ctx, front, task.id, wait=wait)


async def CancelTask(ctx: Ctx, taskId: TaskId, reason: Reason = None) -> Cancelled:  # noqa: N802
    """End a task: its whole process tree, also what it left running after its end. Verified before it answers."""
    from claudine_mcp.front.following import newest_event  # noqa: PLC0415 - start-up time
    from claudine_mcp.front.waiting import Waited, Wanted  # noqa: PLC0415

    front = await front_of(ctx)
    wanted = Wanted(task_ids=[(await front.task(taskId)).id], until="ended")
    with session_of(ctx).calls.waiting(wanted) as answers:
        task, result = await front.cancel(taskId, reason)
        answers(Waited(cursor=await newest_event(front)))
    stopped: dict[str, Any] = result.get("stopped") or {}
    return Cancelled(
        task_id=task.id,
        state=task.state,
        outcome=task.outcome,
        changed=result["changed"],
        reason=result.get("reason") or "what it had left running was ended",
        processes_stopped=stopped.get("processes"),
        signals=stopped.get("signals"),
        took_seconds=stopped.get("tookSeconds"),
    )


async def RetryTask(  # noqa: N802
    ctx: Ctx,
    taskId: TaskId,
    mode: Annotated[
        Literal["resume", "fresh"] | None,
        Field(
            description="of a Claude Code: go on in its session (default), or begin anew with the same prompt"
        ),
    ] = None,
    wait: Wait = False,
) -> Submitted:
    """Run a task that has ended once more, as a new run of the same task. A command begins from the beginning."""
    from claudine_mcp.front.retrying import retry  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    task = await retry(front, taskId, mode)
    return await submitted(ctx, front, task.id, wait=wait)


async def UpdateTask(  # noqa: N802
    ctx: Ctx,
    taskId: TaskId,
    name: Name = None,
    priority: PriorityName = None,
    labels: Labels = None,
    timeout: Timeout = None,
    notBefore: NotBefore = None,
) -> TaskRow:
    """Change a task's name, priority, labels, timeout, or the time before which it must not start."""
    from claudine_mcp.front.updating import update_task  # noqa: PLC0415 - start-up time
    from claudine_mcp.front.views import row_of  # noqa: PLC0415

    front = await front_of(ctx)
    task = await update_task(
        front, taskId, name=name, priority=priority, labels=labels, timeout=timeout, not_before=notBefore
    )
    return row_of(task)


async def RemoveTasks(  # noqa: N802
    ctx: Ctx,
    taskIds: Annotated[list[str] | None, Field(description="which; or give a filter")] = None,
    filter: Annotated[TaskFilter | None, Field(description="which; those that have not ended stay")] = None,  # noqa: A002
    dryRun: Annotated[bool, Field(description="only say what would be removed")] = False,
) -> Removed:
    """Remove ended tasks with their logs, now. Tasks that run, or that others wait for, stay."""
    from claudine_mcp.front.removal import remove_tasks  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    removal = await remove_tasks(front, ids=taskIds, wanted=filter, dry_run=dryRun)
    return Removed(removed=removal.removed, kept=removal.kept or None, bytes=removal.bytes, dry_run=dryRun)


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    adds = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True)
    changes = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
    destroys = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True)
    for tool, hints in (
        (RunCommand, adds),
        (CancelTask, destroys),
        (RetryTask, adds),
        (UpdateTask, changes),
        (RemoveTasks, destroys),
    ):
        server.add_tool(told_to_the_model(tool), annotations=hints)
