"""Git, asked without side effects: no hook, no pager, no question, no lock that the user's own git would meet."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.host.children import own_child

TIMEOUT_S: Final = 120.0
"""For one call. A repository on a slow disk may take long; one that hangs must not hold up its caller for ever."""
MAX_SAID: Final = 500

_QUIET: Final = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
)
_OWN: Final = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "true",
    "LC_ALL": "C",
}


class GitError(ClaudineError):
    """Git could not do what was asked.

    Args:
        what: the git command, like `write-tree`.
        said: what git said, or why it could not be run.
    """

    def __init__(self, what: str, said: str) -> None:
        self.said = said.strip()
        super().__init__(f"git {what} failed: {self.said[:MAX_SAID] or 'it gave no reason'}")


def git(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    config: Sequence[str] = (),
    timeout_s: float = TIMEOUT_S,
    umask: int = -1,
    passed_on: Sequence[int] = (),
) -> bytes:
    """Run git in a folder; give what it printed.

    Args:
        folder: where.
        arguments: the git command and its arguments.
        stdin: what it can read.
        env: set besides, like `GIT_INDEX_FILE`. Nothing of git is inherited from this process.
        config: settings like `core.autocrlf=false`, of which later ones win; hooks stay off whatever they say.
        timeout_s: after which it is killed.
        umask: of what it writes; -1: this process's.
        passed_on: descriptors that stay open in it, like one that holds a lock.

    Raises:
        GitError: it failed, took too long, or is not installed.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    settings = [part for value in config for part in ("-c", value)]
    try:
        with own_child(
            ["git", "--no-pager", *settings, *_QUIET, *arguments],
            cwd=folder,
            env={**inherited, **_OWN, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=umask,
            pass_fds=passed_on,
        ) as process:
            printed, said = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise GitError(arguments[0], f"it took longer than {timeout_s:.0f} s") from None
    except OSError as error:
        raise GitError(arguments[0], f"it cannot be run ({error.strerror})") from error
    if process.returncode != 0:
        raise GitError(arguments[0], os.fsdecode(said))
    return printed
