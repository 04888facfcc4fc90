"""The words of the command line where others say it in those of the tools."""

from __future__ import annotations

import re
import time

from claudine_mcp.core.admission.holds import GO_ON
from claudine_mcp.core.errors import ClaudineError, InvalidInput, NotFound
from claudine_mcp.core.units import format_time, human_duration, parse_duration_ms, printable

DONE, FAILED, USAGE, NOT_FOUND, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes. 130 is a shell's for what Ctrl-C ended (128 + SIGINT)."""

_COMMAND_OF = {
    "ListTasks": "list",
    "CancelTask": "cancel",
    "SuspendTask": "suspend",
    "HibernateTask": "hibernate",
    "ResumeTask": "resume",
    "TaskStatus": "status",
    "TaskLogs": "logs",
    "TaskMetrics": "metrics",
    "PauseQueue": "pause",
    "ReserveCapacity": "reserve",
    "RetryTask": "retry",
    "ListCheckpoints": "checkpoints",
    "RestoreCheckpoint": "restore",
    "RemoveTasks": "rm",
    "DelegateTask": "delegate",
    "SendMessage": "send",
    "AnswerAlert": "answer",
}
_TOOL = re.compile(r"\b(" + "|".join(_COMMAND_OF) + r")\b")
_CAMEL = re.compile(r"(?<=[a-z])([A-Z])")
_ARGUMENTS = {
    "command": "CMD",
    "taskId": "ID",
    "taskIds": "ID",
    "prompt": "PROMPT",
    "alertId": "ALERT",
    "action": "ACTION",
}
_OPTIONS = frozenset(
    [
        "cwd",
        "name",
        "priority",
        "env",
        "dependsOn",
        "notBefore",
        "timeout",
        "onTimeout",
        "checkpointInterval",
        "labels",
        "stream",
        "run",
        "tail",
        "cursor",
        "limit",
        "since",
        "state",
        "outcome",
        "kind",
        "label",
        "text",
        "until",
        "minSeverity",
        "window",
        "points",
        "promptFile",
        "model",
        "permissionMode",
        "allowedTools",
        "appendSystemPrompt",
        "disallowedTools",
        "maxTurns",
        "maxBudgetUsd",
        "mcpConfig",
        "continueFrom",
        "extraArgs",
        "memory",
        "slots",
        "duration",
        "release",
        "mode",
        "snooze",
        "into",
    ]
)
_SINGULAR = {
    "labels": "label",
    "allowedTools": "allowedTool",
    "disallowedTools": "disallowedTool",
    "extraArgs": "extraArg",
}


def told(text: str) -> str:
    """Name commands where a text names tools; one line, whatever is in it."""
    text = text.replace(GO_ON, f"`claudine-mcp {_COMMAND_OF['PauseQueue']} --off`")
    return printable(_TOOL.sub(lambda match: f"`claudine-mcp {_COMMAND_OF[match[1]]}`", text))


def explained(error: BaseException) -> str:
    """Say what went wrong in one line."""
    if isinstance(error, InvalidInput):
        field = error.field.removeprefix("filter.")
        text = f"{option(field)}: {error.problem}" + (f". {error.right}" if error.right else "")
        return told(text)
    if isinstance(error, OSError) and error.strerror:
        return told(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return told(str(error).removeprefix("taskId: ").removeprefix("alertId: ").removeprefix("checkpointId: "))


def option(field: str) -> str:
    """Give the option that sets a field, or the field itself if none does."""
    if field in _ARGUMENTS:
        return _ARGUMENTS[field]
    if field not in _OPTIONS:
        return field
    return "--" + _CAMEL.sub(lambda match: f"-{match[1].lower()}", _SINGULAR.get(field, field))


def exit_code(error: Exception) -> int:
    """Give the exit code for an error."""
    if isinstance(error, NotFound):
        return NOT_FOUND
    return USAGE if isinstance(error, InvalidInput) else FAILED


def is_expected(error: Exception) -> bool:
    """Whether an error is told in a line; any other is a bug, and shows where it is."""
    return isinstance(error, ClaudineError | OSError)


def ago(epoch_s: float | None) -> str:
    """Say how long ago a time was."""
    if epoch_s is None:
        return ""
    passed_s = time.time() - epoch_s
    return f"in {human_duration(-passed_s)}" if passed_s < 0 else f"{human_duration(passed_s)} ago"


def since(text: str | None) -> str | None:
    """Read "2h" as the time two hours ago; leave a time as it is.

    Raises:
        InvalidInput: it looks like a duration and is none.
    """
    if text is None or "T" in text or "-" in text:
        return text
    return format_time(time.time() - parse_duration_ms(text, "since") / 1000)
