"""The arguments of a delegated Claude Code, and which of a caller's own may stand among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.workloads.claude_sessions import FORK

FIXED = (
    "-p",
    "--output-format",
    "stream-json",
    "--verbose",
    "--input-format",
    "stream-json",
    "--replay-user-messages",
    "--strict-mcp-config",
)
"""Without `--strict-mcp-config` it loads the user's and the project's servers, this one among them."""

HARMLESS = frozenset(
    {
        "--add-dir",
        "--append-system-prompt",
        "--betas",
        "--effort",
        "--fallback-model",
        "--include-partial-messages",
        "--json-schema",
        "--no-session-persistence",
        "--system-prompt",
    }
)
"""What a caller may add by itself: it changes how Claude works, not what it may do or run."""

OURS = frozenset(
    {
        "--print",
        "-p",
        "--output-format",
        "--input-format",
        "--verbose",
        "--replay-user-messages",
        "--session-id",
        "--resume",
        "-r",
        "--continue",
        "-c",
        "--fork-session",
        "--strict-mcp-config",
        "--permission-prompt-tool",
        "--model",
        "--permission-mode",
        "--allowedTools",
        "--allowed-tools",
        "--disallowedTools",
        "--disallowed-tools",
        "--max-turns",
        "--max-budget-usd",
        "--mcp-config",
        "--worktree",
        "-w",
    }
)
"""What a parameter of its own exists for, or what following a run depends on."""


def arguments(
    spec: Mapping[str, Any], *, resume: bool, mcp_config: str | None, prompt_tool: str | None
) -> list[str]:
    """Give the arguments after the program's name.

    Args:
        spec: the task's checked request.
        resume: whether the session exists already and goes on.
        mcp_config: JSON of the servers that this run may use, None for none.
        prompt_tool: the tool that is asked for permissions, None for none.
    """
    found = [*FIXED, "--resume" if resume else "--session-id", spec["sessionId"]]
    if not resume and FORK in spec:
        found += ["--resume", spec[FORK]["sessionId"], "--fork-session"]
    for key, flag in (
        ("model", "--model"),
        ("permissionMode", "--permission-mode"),
        ("appendSystemPrompt", "--append-system-prompt"),
        ("maxTurns", "--max-turns"),
        ("maxBudgetUsd", "--max-budget-usd"),
    ):
        if spec.get(key) is not None:
            found += [flag, str(spec[key])]
    for key, flag in (("allowedTools", "--allowedTools"), ("disallowedTools", "--disallowedTools")):
        if spec.get(key):
            found += [flag, ",".join(spec[key])]
    if mcp_config is not None:
        found += ["--mcp-config", mcp_config]
    if prompt_tool is not None:
        found += ["--permission-prompt-tool", prompt_tool]
    return [*found, *spec.get("extraArgs", [])]


def checked_extra(extra: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """Check a caller's own arguments.

    Args:
        extra: as given: flags, each followed by its values.
        allowed: flags that the user's file allows besides the harmless ones.

    Raises:
        InvalidInput: one is not allowed, or is the business of a parameter.
    """
    if extra and not extra[0].startswith("-"):
        raise InvalidInput(
            "extraArgs", f"{extra[0][:60]!r} belongs to no flag", "Begin with a flag, like --add-dir."
        )
    for argument in extra:
        if not argument.startswith("-"):
            continue
        flag = argument.partition("=")[0]
        if flag in OURS:
            raise InvalidInput(
                "extraArgs",
                f"{flag} is set by claudine-mcp",
                "Use the parameter of that name, if there is one.",
            )
        if flag not in HARMLESS and flag not in allowed:
            raise InvalidInput(
                "extraArgs",
                f"{flag[:60]} may change what the run is permitted to do",
                "Only the user's own configuration can allow it: claude.allowedExtraArgs.",
            )
    return list(extra)
