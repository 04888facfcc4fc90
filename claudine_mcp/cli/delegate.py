"""`delegate`: a prompt for a background Claude Code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.input import prompt_of
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.submitting import (
    CanCheckpoint,
    CheckpointInterval,
    Cwd,
    DependsOn,
    Labels,
    MinMemory,
    Name,
    NotBefore,
    OnTimeout,
    PreferredMemory,
    PriorityName,
    Timeout,
    Wait,
    Worktree,
    after_submit,
    dependency,
    resources,
)
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.delegate import DelegateRequest
from claudine_mcp.front.delegate import delegate as submit_prompt
from claudine_mcp.front.front import Front


def delegate(
    *,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What it is to do; - reads it from standard input.")
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of PROMPT: a file that holds it.")
    ] = None,
    cwd: Cwd = None,
    name: Name = None,
    priority: PriorityName = None,
    model: Annotated[
        str | None, typer.Option(help="As of Claude Code; default: claude.defaultModel.")
    ] = None,
    permission_mode: Annotated[
        str | None,
        typer.Option(help="As of Claude Code: default, acceptEdits, auto, dontAsk, plan, …"),
    ] = None,
    ask_permission: Annotated[
        bool | None,
        typer.Option(
            help="Put what it is not permitted to do to a person (`answer`), and wait; default: claude.askPermission."
        ),
    ] = None,
    allowed_tool: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help='Like "Bash(git log:*)"; may be repeated.')
    ] = None,
    disallowed_tool: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="The contrary; may be repeated.")
    ] = None,
    append_system_prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Added to the system prompt.")
    ] = None,
    max_turns: Annotated[int | None, typer.Option(help="It is stopped after so many.")] = None,
    max_budget_usd: Annotated[
        float | None, typer.Option(help="It is stopped when its runs have cost so much together.")
    ] = None,
    mcp_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON of servers for it, which your configuration must allow."),
    ] = None,
    continue_from: Annotated[
        str | None, typer.Option(metavar="ID", help="A delegated task: the same session goes on.")
    ] = None,
    depends_on: DependsOn = None,
    not_before: NotBefore = None,
    timeout: Timeout = None,
    on_timeout: OnTimeout = None,
    checkpoint_interval: CheckpointInterval = None,
    label: Labels = None,
    min_memory: MinMemory = None,
    preferred_memory: PreferredMemory = None,
    can_checkpoint: CanCheckpoint = False,
    extra_arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARG", help="A further argument of Claude Code, as far as allowed; may be repeated."
        ),
    ] = None,
    worktree: Worktree = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> int:
    """Hand a prompt to a background Claude Code.

    It outlives this terminal. Prints the task's id.

    It runs under your own login, with this environment, and may do what its permission mode and your settings
    allow. `status` shows what it does, and its result.
    """
    request = DelegateRequest(
        prompt=prompt_of(prompt, prompt_file),
        cwd=cwd,
        name=name,
        priority=priority,
        model=model,
        permission_mode=permission_mode,
        ask_permission=ask_permission,
        allowed_tools=allowed_tool or [],
        disallowed_tools=disallowed_tool or [],
        append_system_prompt=append_system_prompt,
        max_turns=max_turns,
        max_budget_usd=max_budget_usd,
        mcp_config=None if mcp_config is None else servers_of(mcp_config),
        continue_from=continue_from,
        depends_on=[dependency(text) for text in depends_on or ()],
        not_before=not_before,
        timeout=timeout,
        on_timeout=on_timeout,
        checkpoint_interval=checkpoint_interval,
        labels=label or [],
        worktree=worktree,
        resources=resources(min_memory, preferred_memory, can_checkpoint=can_checkpoint),
        extra_args=extra_arg or [],
    )

    async def submit(front: Front) -> int:
        task = await submit_prompt(front, request)
        return await after_submit(front, task, wait=wait, as_json=as_json)

    return with_front(submit)


def servers_of(path: Path) -> dict[str, Any]:
    """Read a file of MCP servers.

    Raises:
        InvalidInput: it cannot be read, or holds no JSON object.
    """
    right = 'Give a file with {"mcpServers": {name: {…}}}.'
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput("mcpConfig", f"{path}: {error.strerror}", right) from error
    except ValueError as error:
        raise InvalidInput("mcpConfig", f"{path} is no JSON ({error})", right) from error
    if not isinstance(found, dict):
        raise InvalidInput("mcpConfig", f"{path} holds no JSON object", right)
    return cast("dict[str, Any]", found)
