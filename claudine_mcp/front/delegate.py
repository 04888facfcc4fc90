"""DelegateTask, checked: what a background Claude Code is given, and what it is not."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from pydantic import TypeAdapter, ValidationError

from claudine_mcp.core.config import Settings
from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import JSON, Kind, Task
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import (
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
from claudine_mcp.workloads.claude import DEPTH
from claudine_mcp.workloads.claude_arguments import checked_extra

PERMISSION_MODES = ("default", "acceptEdits", "auto", "bypassPermissions", "dontAsk", "manual", "plan")
MIN_VERSION = (2, 1, 0)
"""Before, flags were missing that following a run depends on."""
VERSION_LIMIT_S = 20
MAX_TEXT_BYTES = 10 * 2**20
"""Of a prompt or a message."""
MAX_TOOLS = 200
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
    depth = int(front.env.get(DEPTH) or 0)
    if depth >= settings.claude.max_depth:
        raise NotNow(
            f"this is a delegated Claude Code already, {depth} deep, and claude.maxDepth is "
            f"{settings.claude.max_depth}: do the work here"
        )
    cwd = checked_cwd(request.cwd, front.cwd)
    project = load_project(Path(cwd))
    env = task_environment(front.env, None)
    spec = checked_spec(request, settings) | checked_timeout(
        request.timeout, request.on_timeout, project, settings
    )
    spec["program"] = await program(settings.claude.command, env)
    spec["depth"] = depth + 1
    if request.continue_from is None:
        spec["sessionId"] = str(uuid.uuid4())
    else:
        before = await front.task(request.continue_from)
        if before.session_id is None:
            raise InvalidInput(
                "continueFrom", f"task {before.id} is a {before.kind}", "Give a delegated Claude Code."
            )
        spec |= {"sessionId": before.session_id, "resume": True, "continueFrom": before.id}
    files = {"env": environment_file(env), "prompt": request.prompt.encode("utf-8", "surrogatepass")}
    if request.mcp_config:
        files["env.mcp.json"] = json.dumps(checked_servers(request.mcp_config, settings)).encode()
    task = new_task(
        request, Kind.CLAUDE, request.prompt, spec=spec, cwd=cwd, project=project, submitter=front.origin
    )
    return await front.submit(Submission(task, files, checked_dependencies(request.depends_on)))


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
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise InvalidInput(
            name, f"it is longer than {MAX_TEXT_BYTES:,} bytes", "Put it into a file and name that."
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


async def program(command: str, env: Mapping[str, str]) -> str:
    """Find Claude Code as the task will, and see that it is recent enough; give its path.

    Raises:
        InvalidInput: it is missing, does not say its version, or is too old.
    """
    path = shutil.which(command, path=env.get("PATH"))
    if path is None:
        raise InvalidInput(
            "claude.command",
            f"there is no {command!r} on the PATH of this client",
            "Install Claude Code, or set claude.command to its whole path.",
        )
    found = await anyio.Path(path).stat()
    text = await anyio.to_thread.run_sync(version_of, path, found.st_mtime_ns, found.st_size)
    numbers = tuple(int(part) for part in text.split(" ")[0].split(".") if part.isdecimal())
    if numbers < MIN_VERSION:
        wanted = ".".join(str(number) for number in MIN_VERSION)
        raise InvalidInput(
            "claude.command", f"{path} says {text!r}", f"Version {wanted} or later is needed: claude update."
        )
    return path


@lru_cache(maxsize=8)
def version_of(path: str, _mtime_ns: int, _size: int) -> str:
    """Ask a program for its version; asked once for as long as the file stays the same.

    Raises:
        InvalidInput: it does not answer.
    """
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERSION_LIMIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidInput(
            "claude.command", f"{path} --version failed: {error}", "Reinstall Claude Code."
        ) from error
    return done.stdout.strip()
