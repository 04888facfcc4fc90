"""What someone asks for, checked: a bad request names its field and changes nothing."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claudine_mcp.core.config import ProjectDefaults, Settings
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.ids import new_id
from claudine_mcp.core.models import JSON, Dependency, Kind, Priority, Task
from claudine_mcp.core.resources import checked_resources, chosen_priority
from claudine_mcp.core.states import State
from claudine_mcp.core.units import describe, parse_duration_ms, parse_time, printable, whole_text
from claudine_mcp.host.files import current_umask

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""MAX_ARG_STRLEN of Linux: the longest single argument that a program can be given."""
MAX_COMMAND_BYTES = 1024 * 1024
"""Half of what Linux allows for arguments and environment together (a quarter of an 8 MB stack)."""
MAX_SHOWN_PATH = 300
MAX_NAME, MAX_LABELS, MAX_LABEL, MAX_DEPENDENCIES, MAX_REASON = 200, 32, 100, 1000, 2000
SESSION_VARIABLES = frozenset(
    {
        "CLAUDECODE",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_CHILD_NOTES_DIR",
        "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_MESSAGING_SOCKET",
        "CLAUDE_CODE_MESSAGING_TOKEN",
        "CLAUDE_CODE_SESSION_ATTENDED",
        "CLAUDE_CODE_EXECPATH",
        "CLAUDE_PID",
        "CLAUDE_EFFORT",
        "CLAUDE_PLUGIN_DATA",
        "CLAUDE_PLUGIN_ROOT",
        "CLAUDE_PROJECT_DIR",
        "CLAUDINE_MONITOR_DIR",
        "AI_AGENT",
    }
)
"""What belongs to the session that a task was submitted from; a task is none of its children."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """What every kind of task can be given, as it came."""

    cwd: str | None = None
    name: str | None = None
    priority: str | None = None
    depends_on: Sequence[str | Mapping[str, str]] = ()
    not_before: str | None = None
    timeout: int | str | None = None
    on_timeout: str | None = None
    checkpoint_interval: int | str | None = None
    labels: Sequence[str] = ()
    worktree: bool = False
    resources: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CommandRequest(TaskRequest):
    """What RunCommand and `claudine-mcp run` were given, as it came."""

    command: str | Sequence[str]
    env: Mapping[str, str] | None = field(default=None, kw_only=True)
    merge_streams: bool = field(default=False, kw_only=True)
    restartable: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked request: the task as it will be stored, and the files that go with it, by name."""

    task: Task
    files: dict[str, bytes]
    wanted_dependencies: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def check_command(
    request: CommandRequest,
    settings: Settings,
    project: ProjectDefaults,
    *,
    env: Mapping[str, str],
    cwd: str,
    submitter: JSON,
) -> Submission:
    """Check a request for a command.

    Args:
        request: as it came.
        settings: in force.
        project: what the project's own file sets for its tasks.
        env: of the submitting client.
        cwd: the task's working directory, checked.
        submitter: who asks, for the record.

    Raises:
        InvalidInput: naming the field, what is wrong, and what would be right.
    """
    command = checked_command(request.command)
    task_env = task_environment(env, request.env)
    if isinstance(command, list):
        check_program(command[0], cwd, task_env)
    spec: JSON = {"command": command}
    if request.merge_streams:
        spec["mergeStreams"] = True
    if request.restartable:
        spec["restartable"] = True
    text = command if isinstance(command, str) else " ".join(command)
    spec |= checked_timeout(request.timeout, request.on_timeout, project, settings)
    task = new_task(request, Kind.COMMAND, text, spec=spec, cwd=cwd, project=project, submitter=submitter)
    return Submission(task, {"env": environment_file(task_env)}, checked_dependencies(request.depends_on))


def new_task(
    request: TaskRequest,
    kind: Kind,
    text: str,
    *,
    spec: JSON,
    cwd: str,
    project: ProjectDefaults,
    submitter: JSON,
) -> Task:
    """Check what all kinds of task share, and give the task. `text` is what it does; its name, unless it has one."""
    now = time.time()
    priority = chosen_priority(request.priority, request.resources) or project.priority or "P1"
    if request.worktree:
        spec = {**spec, "worktree": True}  # what that means here, `front.worktrees` looks up
    more = checked_resources(request.resources) | watch_settings(request, project)
    return Task(
        id=new_id(),
        kind=kind,
        name=checked_name(request.name) if request.name is not None else short(text) or str(kind),
        cwd=cwd,
        spec={**spec, **more, "umask": current_umask()},
        priority=checked_priority(priority),
        state=State.QUEUED,
        created_at=now,
        queued_at=now,
        labels=checked_labels([*(project.labels or ()), *request.labels]),
        not_before=checked_not_before(request.not_before),
        submitter=submitter,
        session_id=spec.get("sessionId"),
    )


def environment_file(env: Mapping[str, str]) -> bytes:
    """Give the content of the file that holds a task's environment."""
    return json.dumps(env).encode()


def checked_command(command: str | Sequence[str]) -> str | list[str]:
    """Check a command: a string for the shell, or a program with its arguments."""
    if isinstance(command, str):
        if not command.strip():
            raise InvalidInput("command", "it is empty", 'Give what the shell is to run, like "make test".')
        arguments = [command]
    else:
        arguments = list(command)
        if not arguments or not arguments[0]:
            raise InvalidInput("command", "it names no program", 'Give a list like ["make", "test"].')
    if any("\0" in whole_text(argument, "command") for argument in arguments):
        raise InvalidInput("command", "it contains a NUL character, which no program can be given")
    sizes = [len(argument.encode("utf-8", "surrogateescape")) for argument in arguments]
    if max(sizes) > MAX_ARGUMENT_BYTES or sum(sizes) > MAX_COMMAND_BYTES:
        raise InvalidInput(
            "command",
            f"it is {sum(sizes):,} bytes long; the system takes {MAX_ARGUMENT_BYTES:,} in one argument",
            "Write it into a script file and run that.",
        )
    return command if isinstance(command, str) else arguments


def checked_cwd(cwd: str | None, default: str) -> str:
    """Check the working directory of a task; a relative one is seen from the submitter's."""
    right = "Give a directory that exists and that this user may enter."
    try:
        path = Path(os.path.normpath(Path(default) / Path(whole_text(cwd or ".", "cwd")).expanduser()))
    except RuntimeError:
        raise InvalidInput("cwd", f"{describe(cwd)} names a user that does not exist", right) from None
    shown = printable(str(path)[:MAX_SHOWN_PATH])
    try:
        if not path.is_dir():
            raise InvalidInput(
                "cwd", f"{shown} is not a directory" if path.exists() else f"{shown} does not exist", right
            )
    except OSError as error:
        raise InvalidInput("cwd", f"{shown} cannot be looked at ({error.strerror})", right) from error
    if not os.access(path, os.X_OK):
        raise InvalidInput("cwd", f"{shown} may not be entered by this user", right)
    return str(path)


def check_program(program: str, cwd: str, env: Mapping[str, str]) -> None:
    """See that a program can be found and executed, as the keeper will look for it."""
    folders = [""] if "/" in program else env.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        path = os.path.join(cwd, folder, program)  # noqa: PTH118 - pathlib raises where a name is too long
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return
    where = f"{describe(program)} is not " + ("an executable file" if "/" in program else "on PATH")
    raise InvalidInput(
        "command", where, "A string instead of a list is run by the shell, with its built-in commands."
    )


def task_environment(env: Mapping[str, str], more: Mapping[str, str] | None) -> dict[str, str]:
    """Give the environment of a task: the submitter's without what marks a session, and what was asked for."""
    for name, value in (more or {}).items():
        if not name or "=" in name or "\0" in name + value:
            raise InvalidInput("env", f"{name!r} cannot be set", "A name has no '=', and neither part a NUL.")
        if name.startswith("CLAUDINE_"):
            raise InvalidInput("env", f"{name} is set by claudine-mcp itself", "Choose another name.")
    kept = {name: value for name, value in env.items() if name not in SESSION_VARIABLES}
    return {**kept, **(more or {})}


def watch_settings(request: TaskRequest, project: ProjectDefaults) -> JSON:
    """Give what a task or its project says of the watch over it, as it belongs into a spec: by dotted key."""
    interval = project.checkpoint_interval
    if request.checkpoint_interval is not None:
        interval = parse_duration_ms(request.checkpoint_interval, "checkpointInterval")
    own = {
        "monitoring.checkpointInterval": interval,
        "monitoring.stallThreshold": project.stall_threshold,
        "limits.maxMemoryPerTask": project.max_memory_per_task,
    }
    settings = {key: value for key, value in own.items() if value is not None}
    return {"settings": settings} if settings else {}


def checked_timeout(
    timeout: int | str | None, on_timeout: str | None, project: ProjectDefaults, settings: Settings
) -> JSON:
    """Check a timeout and what is to be done when it has passed; give what belongs into a spec, in ms."""
    default = (
        project.default_timeout if project.default_timeout is not None else settings.limits.default_timeout
    )
    limit = default if timeout is None else parse_duration_ms(timeout, "timeout")
    if on_timeout not in {None, "notify", "suspend", "cancel"}:
        raise InvalidInput("onTimeout", f"{on_timeout!r} is unknown", 'Give "notify", "suspend" or "cancel".')
    if on_timeout is not None and limit is None:
        raise InvalidInput(
            "onTimeout", "there is no timeout that could pass", 'Give a timeout too, like "30m".'
        )
    if limit is None:
        return {}
    return {"timeout": limit} if on_timeout is None else {"timeout": limit, "onTimeout": on_timeout}


def checked_name(name: str) -> str:
    """Check the name that people know a task by."""
    if not whole_text(name, "name").strip() or len(name) > MAX_NAME or _CONTROL.search(name):
        raise InvalidInput("name", "it must be one line", f"Give 1 to {MAX_NAME} characters.")
    return name.strip()


def checked_priority(priority: str) -> Priority:
    """Check a priority."""
    if priority not in Priority.__members__:
        raise InvalidInput("priority", f"{priority!r} is none", "Give P0 (goes first), P1 or P2 (can wait).")
    return Priority[priority]


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Check labels; the same one twice is one."""
    unique = tuple(dict.fromkeys(labels))
    if len(unique) > MAX_LABELS:
        raise InvalidInput("labels", f"there are {len(unique)}", f"Give at most {MAX_LABELS}.")
    for label in unique:
        if not whole_text(label, "labels").strip() or len(label) > MAX_LABEL or _CONTROL.search(label):
            raise InvalidInput(
                "labels", f"{label[:40]!r} is none", f"A label is one line of 1 to {MAX_LABEL} characters."
            )
    return unique


def checked_not_before(when: str | None) -> float | None:
    """Check the time before which a task must not start; seconds since the epoch."""
    return None if when is None else parse_time(when, "notBefore")


def checked_dependencies(wanted: Sequence[str | Mapping[str, str]]) -> list[tuple[str, str]]:
    """Check the form of dependsOn: ids, or {taskId, on}; whether they exist is seen when they are stored."""
    if len(wanted) > MAX_DEPENDENCIES:
        raise InvalidInput("dependsOn", f"there are {len(wanted)}", f"Give at most {MAX_DEPENDENCIES}.")
    found: list[tuple[str, str]] = []
    for item in wanted:
        if isinstance(item, str):
            found.append((item, "success"))
            continue
        unknown = set(item) - {"taskId", "on"}
        on = item.get("on", "success")
        if unknown or "taskId" not in item or on not in {"success", "end"}:
            raise InvalidInput(
                "dependsOn", f"{dict(item)!r}", 'Give an id, or {"taskId": id, "on": "success" or "end"}.'
            )
        found.append((item["taskId"], on))
    return found


def short(text: str, limit: int = 60) -> str:
    """Give a name for a command: its first line, without control characters, shortened."""
    line = _CONTROL.sub(" ", text.strip().splitlines()[0]).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def dependencies(found: Mapping[str, str], wanted: Sequence[tuple[str, str]]) -> tuple[Dependency, ...]:
    """Give the dependencies with whole ids: `found` maps what was asked for to the id that it means."""
    return tuple(dict.fromkeys(Dependency(found[given], on) for given, on in wanted))
