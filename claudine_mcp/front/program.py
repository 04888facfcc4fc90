"""The Claude Code that a run will start: found as the run will find it, and asked whether it will do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.units import describe, printable

FIELD = "claude.command"
MIN_VERSION = (2, 1, 0)
"""Before, what a run prints is not what following it depends on."""
KNOWN_VERSION = (2, 1, 328)
"""This one has every flag that is used; what is older is asked."""
UNLISTED = frozenset({"--max-turns", "--permission-prompt-tool"})
"""Flags that Claude Code has and does not show in its help."""
ANSWER_LIMIT_S = 20
SHOWN_CHARS = 200

_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")
_FLAG = re.compile(r"--[A-Za-z][A-Za-z-]*")
_answers: dict[tuple[str, str, int, int], str] = {}
"""What programs said, for as long as their files stay the same."""


async def program(command: str, env: Mapping[str, str], arguments: Sequence[str]) -> str:
    """Find Claude Code, and see that it takes these arguments; give its path.

    Args:
        command: a name to be looked for, or a path.
        env: of the run.
        arguments: of the run. What is a flag among them must be in its help, if it is an older version.

    Raises:
        InvalidInput: it is missing, does not say its version, is too old, or lacks a flag.
    """
    path = _path_of(command, env)
    text = await anyio.to_thread.run_sync(_ask, path, "--version", env)
    match = _VERSION.match(text)
    version = tuple(map(int, match.groups())) if match else ()
    if version < MIN_VERSION:
        raise InvalidInput(
            FIELD,
            f"{printable(path)} says {describe(text)}",
            f"Version {_dotted(MIN_VERSION)} or later is needed: claude update.",
        )
    if version < KNOWN_VERSION:
        known = set(_FLAG.findall(await anyio.to_thread.run_sync(_ask, path, "--help", env)))
        wanted = [flag.partition("=")[0] for flag in arguments if _FLAG.match(flag)]
        missing = sorted({flag for flag in wanted if _FLAG.fullmatch(flag)} - known - UNLISTED)
        if missing:
            raise InvalidInput(
                FIELD,
                f"{printable(path)} is version {_dotted(version)}, which has no {', '.join(missing)}",
                f"Version {_dotted(KNOWN_VERSION)} has all that is used: claude update.",
            )
    return path


def _path_of(command: str, env: Mapping[str, str]) -> str:
    found = shutil.which(command, path=env.get("PATH", os.defpath))
    if found is None:
        raise InvalidInput(
            FIELD,
            f"there is no {command!r} on the PATH of this client",
            "Install Claude Code, or set claude.command to its whole path.",
        )
    return os.path.abspath(found)  # noqa: PTH100 - a link stays a link: it may follow an update


def _ask(path: str, argument: str, env: Mapping[str, str]) -> str:
    """Start a program with one argument; give what it says. Blocks.

    Raises:
        InvalidInput: it does not answer.
    """
    try:
        found = Path(path).stat()
        key = (path, argument, found.st_mtime_ns, found.st_size)
        if key not in _answers:
            done = subprocess.run(
                [path, argument],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=ANSWER_LIMIT_S,
                check=False,
            )
            if done.returncode:
                said = f"{done.stderr.strip() or done.stdout.strip()}"[:SHOWN_CHARS]
                why = f"exit code {done.returncode}" + (f": {printable(said)}" if said else "")
                raise InvalidInput(
                    FIELD, f"{printable(path)} {argument} failed: {why}", "Reinstall Claude Code."
                )
            _answers[key] = done.stdout.strip()
        return _answers[key]
    except (OSError, subprocess.TimeoutExpired) as error:
        why = (
            f"no answer within {ANSWER_LIMIT_S} s" if isinstance(error, subprocess.TimeoutExpired) else error
        )
        raise InvalidInput(
            FIELD, f"{printable(path)} {argument} failed: {why}", "Reinstall Claude Code."
        ) from error


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
