"""Tools that hand work to a background Claude Code, and speak with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.views import View
from claudine_mcp.server.parameters import (
    CheckpointInterval,
    Cwd,
    DependsOn,
    Labels,
    Name,
    NotBefore,
    OnTimeout,
    PriorityName,
    ResourcesParameter,
    TaskId,
    Timeout,
    Wait,
    Worktree,
    plain,
)
from claudine_mcp.server.session import Ctx, Session, front_of, told_to_the_model
from claudine_mcp.server.submitted import Submitted, submitted


class Sent(View):
    """What became of a message."""

    task_id: str
    delivered: bool
    queued: bool = Field(
        description="true: it is read when the tool that is used has answered, or the turn ends; false: it is read now"
    )


async def DelegateTask(  # noqa: N802 - the interface's spelling
    ctx: Ctx,
    prompt: Annotated[str, Field(description="what it is to do; it knows nothing of this conversation")],
    cwd: Cwd = None,
    name: Name = None,
    priority: PriorityName = None,
    model: str | None = None,
    permissionMode: Annotated[
        Literal["default", "acceptEdits", "auto", "bypassPermissions", "dontAsk", "manual", "plan"] | None,
        Field(description="as of Claude Code; in `default`, what is not allowed is refused, or asked for"),
    ] = None,
    askPermission: Annotated[
        bool | None,
        Field(description="put what it is not permitted to do to a person (AnswerAlert), and wait"),
    ] = None,
    allowedTools: Annotated[list[str] | None, Field(description='rules, like "Bash(git log:*)"')] = None,
    disallowedTools: list[str] | None = None,
    appendSystemPrompt: str | None = None,
    maxTurns: int | None = None,
    maxBudgetUsd: float | None = None,
    mcpConfig: Annotated[
        dict[str, Any] | None, Field(description="servers for it; the user's file must allow them")
    ] = None,
    continueFrom: Annotated[
        str | None, Field(description="a delegated task: the same session goes on")
    ] = None,
    dependsOn: DependsOn = None,
    notBefore: NotBefore = None,
    timeout: Timeout = None,
    onTimeout: OnTimeout = None,
    checkpointInterval: CheckpointInterval = None,
    labels: Labels = None,
    resources: ResourcesParameter = None,
    extraArgs: Annotated[list[str] | None, Field(description="further arguments, as far as allowed")] = None,
    worktree: Worktree = False,
    wait: Wait = False,
) -> Submitted:
    """Hand a prompt to a background Claude Code. Answers at once; TaskStatus shows what it does and its result."""
    from claudine_mcp.front.delegate import DelegateRequest, delegate  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    task = await delegate(
        front,
        DelegateRequest(
            prompt=prompt,
            cwd=cwd,
            name=name,
            priority=priority,
            model=model,
            permission_mode=permissionMode,
            ask_permission=askPermission,
            allowed_tools=allowedTools or [],
            disallowed_tools=disallowedTools or [],
            append_system_prompt=appendSystemPrompt,
            max_turns=maxTurns,
            max_budget_usd=maxBudgetUsd,
            mcp_config=mcpConfig,
            continue_from=continueFrom,
            depends_on=plain(dependsOn),
            not_before=notBefore,
            timeout=timeout,
            on_timeout=onTimeout,
            checkpoint_interval=checkpointInterval,
            labels=labels or [],
            worktree=worktree,
            resources=None if resources is None else resources.model_dump(),
            extra_args=extraArgs or [],
        ),
    )
    return await submitted(ctx, front, task.id, wait=wait)


async def SendMessage(  # noqa: N802
    ctx: Ctx,
    taskId: TaskId,
    message: Annotated[str, Field(description="what to tell it")],
    interrupt: Annotated[bool, Field(description="stop what it does now, and read this")] = False,
) -> Sent:
    """Say something to a running delegated Claude Code."""
    from claudine_mcp.front.dialogue import send  # noqa: PLC0415 - start-up time

    front = await front_of(ctx)
    task, result = await send(front, taskId, message, interrupt=interrupt)
    return Sent(task_id=task.id, delivered=result["delivered"], queued=result["queued"])


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    adds = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True)
    for tool in (DelegateTask, SendMessage):
        server.add_tool(told_to_the_model(tool), annotations=adds)
