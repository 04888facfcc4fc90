"""DelegateTask, checked: what a background Claude Code is given, and what it is not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from pydantic import TypeAdapter, ValidationError

from claudine_mcp.core.config import Settings
from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import JSON, Kind, Task
from claudine_mcp.core.paths import task_directory
from claudine_mcp.core.states import State
from claudine_mcp.core.units import describe, whole_text
from claudine_mcp.front.front import Front
from claudine_mcp.front.program import program
from claudine_mcp.front.submit import (
    MAX_ARGUMENT_BYTES,
    MAX_COMMAND_BYTES,
    Submission,
    TaskRequest,
    checked_cwd,
    checked_dependencies,
    checked_timeout,
    environment_file,
    new_task,
    task_environment,
)
from claudine_mcp.host.settings import load_project
from claudine_mcp.workloads.claude import DEPTH, SERVERS, possible_arguments
from claudine_mcp.workloads.claude_arguments import checked_extra
from claudine_mcp.workloads.claude_sessions import has_answered, has_session, sessions_folder

PERMISSION_MODES = ("default", "acceptEdits", "auto", "bypassPermissions", "dontAsk", "manual", "plan")
MAX_TEXT_BYTES = 10 * 2**20
"""Of a prompt or a message."""
MAX_TOOLS = 200
MAX_DEPTH_DIGITS = 6
Servers = TypeAdapter(dict[str, dict[str, Any]])


@dataclass(frozen=True, slots=True)
class DelegateRequest(TaskRequest):
    """What DelegateTask and `claudine-mcp delegate` were given, as it came."""

    prompt: str
    model: str | None = field(default=None, kw_only=True)
    permission_mode: str | None = field(default=None, kw_only=True)
    ask_permission: bool | None = field(default=None, kw_only=True)
    allowed_tools: Sequence[str] = field(default=(), kw_only=True)
    disallowed_tools: Sequence[str] = field(default=(), kw_only=True)
    append_system_prompt: str | None = field(default=None, kw_only=True)
    max_turns: int | None = field(default=None, kw_only=True)
    max_budget_usd: float | None = field(default=None, kw_only=True)
    mcp_config: Mapping[str, Any] | None = field(default=None, kw_only=True)
    continue_from: str | None = field(default=None, kw_only=True)
    extra_args: Sequence[str] = field(default=(), kw_only=True)


async def delegate(front: Front, request: DelegateRequest) -> Task:
    """Check a request and store it as a queued task; start a supervisor if there is none.

    Raises:
        InvalidInput: it is wrong; nothing was stored.
        TaskNotFound: a task that it names does not exist.
        NotNow: delegations are nested too deeply.
    """
    settings = (await front.settings()).settings
    depth = check_depth(front.env, settings)
    cwd = checked_cwd(request.cwd, front.cwd)
    project = load_project(Path(cwd))
    env = task_environment(front.env, None)
    spec = checked_spec(request, settings) | checked_timeout(
        request.timeout, request.on_timeout, project, settings
    )
    check_arguments(request)
    spec["depth"] = depth + 1
    spec |= await session_for(front, request.continue_from, env)
    files = {"env": environment_file(env), "prompt": request.prompt.encode()}
    if request.mcp_config:
        files[SERVERS] = json.dumps(checked_servers(request.mcp_config, settings)).encode()
    spec["program"] = await program(settings.claude.command, env, possible_arguments(spec))
    task = new_task(
        request, Kind.CLAUDE, request.prompt, spec=spec, cwd=cwd, project=project, submitter=front.origin
    )
    return await front.submit(Submission(task, files, checked_dependencies(request.depends_on)))


def check_depth(env: Mapping[str, str], settings: Settings) -> int:
    """Give how many delegations stand above this process.

    Raises:
        InvalidInput: its environment says something that is no number.
        NotNow: so many that no further one is allowed.
    """
    depth = depth_of(env)
    if depth >= settings.claude.max_depth:
        raise NotNow(
            f"this is a delegated Claude Code already, {depth} deep, and claude.maxDepth is "
            f"{settings.claude.max_depth}: do the work here"
        )
    return depth


def depth_of(env: Mapping[str, str]) -> int:
    """Give how many delegations stand above a client.

    Raises:
        InvalidInput: its environment says something that is no number.
    """
    text = env.get(DEPTH) or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DEPTH_DIGITS):
        raise InvalidInput(
            DEPTH,
            f"this variable of the client's environment is {describe(text)}, which is no number of delegations",
            "Unset it: claudine-mcp sets it for what it starts.",
        )
    return int(text)


async def session_for(front: Front, continue_from: str | None, env: Mapping[str, str]) -> JSON:
    """Give what a task's spec says of its session: a new one, or that of an earlier task.

    Raises:
        InvalidInput: the earlier task has no session, or none that this client's Claude Code finds.
        TaskNotFound: there is no such task.
    """
    if continue_from is None:
        return {"sessionId": str(uuid.uuid4())}
    before = await front.task(continue_from)
    if before.session_id is None:
        raise InvalidInput(
            "continueFrom", f"task {before.id} is a {before.kind}", "Give a delegated Claude Code."
        )
    if before.state is State.ENDED and not await _has_session(env, before.session_id):
        kept = await environment_of(front, before)
        if await _has_session(kept, before.session_id):
            raise InvalidInput(
                "continueFrom",
                f"the session of task {before.id} is in {sessions_folder(kept)}, and Claude Code would look for it "
                f"in {sessions_folder(env) or 'no folder that this client names'}",
                "Give this client the same HOME and CLAUDE_CONFIG_DIR.",
            )
        if not has_answered(before):
            raise InvalidInput(
                "continueFrom",
                f"task {before.id} ended before its session had begun ({before.outcome}: {before.reason})",
                "RetryTask runs it again.",
            )
    return {"sessionId": before.session_id, "resume": True, "continueFrom": before.id}


async def _has_session(env: Mapping[str, str], session_id: str) -> bool:
    return await anyio.to_thread.run_sync(has_session, env, session_id)


async def environment_of(front: Front, task: Task) -> dict[str, str]:
    """Give the environment that a task was submitted with; empty if its file is gone."""
    path = anyio.Path(task_directory(front.state_dir, task.id) / "env")
    try:
        return json.loads(await path.read_bytes())
    except FileNotFoundError:
        return {}


def checked_spec(request: DelegateRequest, settings: Settings) -> JSON:
    """Check what only a delegation has; give what belongs into the task's spec.

    Raises:
        InvalidInput: naming the field, what is wrong, and what would be right.
    """
    check_text("prompt", request.prompt)
    mode = request.permission_mode or settings.claude.permission_mode
    if mode not in PERMISSION_MODES:
        raise InvalidInput(
            "permissionMode", f"{mode!r} is none", f"Give one of {', '.join(PERMISSION_MODES)}."
        )
    if mode == "bypassPermissions" and not settings.claude.allow_bypass_permissions:
        raise InvalidInput(
            "permissionMode",
            "bypassPermissions lets it do anything",
            "Only the user's own configuration can allow it: claude.allowBypassPermissions.",
        )
    if request.max_turns is not None and request.max_turns < 1:
        raise InvalidInput("maxTurns", f"{request.max_turns} is too few", "Give 1 or more.")
    if request.max_budget_usd is not None and not request.max_budget_usd > 0:
        raise InvalidInput(
            "maxBudgetUsd", f"{request.max_budget_usd} is no amount to spend", "Give dollars, like 2.5."
        )
    ask = settings.claude.ask_permission if request.ask_permission is None else request.ask_permission
    spec: JSON = {
        "model": request.model or settings.claude.default_model,
        "permissionMode": None if mode == "default" else mode,
        "allowedTools": checked_tools("allowedTools", request.allowed_tools),
        "disallowedTools": checked_tools("disallowedTools", request.disallowed_tools),
        "appendSystemPrompt": request.append_system_prompt,
        "maxTurns": request.max_turns,
        "maxBudgetUsd": request.max_budget_usd,
        "extraArgs": checked_extra(request.extra_args, settings.claude.allowed_extra_args),
        "askTimeout": settings.claude.ask_timeout if ask else None,
    }
    return {key: value for key, value in spec.items() if value not in (None, [])}


def check_text(name: str, text: str) -> None:
    """Check what is said to a Claude Code."""
    if not text.strip():
        raise InvalidInput(name, "it is empty", "Say what is to be done.")
    if len(whole_text(text, name).encode()) > MAX_TEXT_BYTES:
        raise InvalidInput(
            name, f"it is longer than {MAX_TEXT_BYTES:,} bytes", "Put it into a file and name that."
        )


def check_arguments(request: DelegateRequest) -> None:
    """See that what goes onto the program's command line can.

    Raises:
        InvalidInput: something is too long for it, or no text.
    """
    total_bytes = 0
    for name, texts in (
        ("model", [request.model]),
        ("appendSystemPrompt", [request.append_system_prompt]),
        ("allowedTools", [",".join(request.allowed_tools)]),
        ("disallowedTools", [",".join(request.disallowed_tools)]),
        ("extraArgs", request.extra_args),
    ):
        for text in texts:
            size = len(whole_text(text or "", name).encode())
            total_bytes += size
            if "\0" in (text or ""):
                raise InvalidInput(name, "it contains a NUL character, which no program can be given")
            if size > MAX_ARGUMENT_BYTES or total_bytes > MAX_COMMAND_BYTES:
                raise InvalidInput(
                    name,
                    f"it is {size:,} bytes long; the system takes {MAX_ARGUMENT_BYTES:,} in one argument, and "
                    f"{MAX_COMMAND_BYTES:,} in all",
                    "Put it into a file and name that in the prompt.",
                )


def checked_tools(name: str, tools: Sequence[str]) -> list[str]:
    """Check rules for tools, like `Bash(git log:*)`."""
    if len(tools) > MAX_TOOLS or any(
        not tool.strip() or tool.startswith("-") or "\0" in tool for tool in tools
    ):
        raise InvalidInput(name, "one of them is no rule", 'Give rules like ["Read", "Bash(git log:*)"].')
    return list(tools)


def checked_servers(config: Mapping[str, Any], settings: Settings) -> JSON:
    """Check the MCP servers that a run is to have; give them by name.

    Raises:
        InvalidInput: the user's file does not allow one of them, or the form is wrong.
    """
    servers: Any = config.get("mcpServers", config)
    try:
        found = Servers.validate_python(servers)
    except ValidationError as error:
        right = 'Give {"mcpServers": {name: {…}}}.'
        raise InvalidInput("mcpConfig", "it is no configuration of servers", right) from error
    allowed = settings.claude.allowed_mcp_servers
    for name in found:
        if "*" not in allowed and name not in allowed:
            raise InvalidInput(
                "mcpConfig",
                f"a server named {name!r} would run with the delegated Claude Code",
                "Only the user's own configuration can allow it: claude.allowedMcpServers.",
            )
    return found
