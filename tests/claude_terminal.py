"""Claude Code as people use it: interactive, in a terminal that a test can type into and read."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest
from claude_code import KEY, LIMIT_S, ClaudeCode
from support import Home, alive, wait_until

COLUMNS, LINES = 160, 50


def settle_in(home: Path, work: Path) -> None:
    """Write what Claude Code remembers of a user who has been through its first questions.

    Without ``hasCompletedOnboarding`` it also tries to reach the real API before it asks anything.
    """
    known = {
        "hasCompletedOnboarding": True,
        "hasSeenAutoDefaultNotice": True,
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "projects": {str(work): {"hasTrustDialogAccepted": True}},
    }
    (home / ".claude.json").write_text(json.dumps(known), encoding="utf-8")


def register_claudine(code: ClaudeCode, home: Home, *options: str) -> None:
    """Register our server for a user as the README says it; `Terminal` must then not settle in anew.

    Args:
        code: whose user it is.
        home: the state directory, which the server has from the environment of Claude Code.
        options: of the server's command line.
    """
    settle_in(Path(code.env["HOME"]), code.work)
    code.env |= {name: home.env[name] for name in ("CLAUDINE_HOME", "CLAUDINE_CONFIG")}
    # A checkout that is not the installed one is found by this.
    code.env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    server = [sys.executable, "-P", "-m", "claudine_mcp", *options]
    done = subprocess.run(
        [*code.argv, "mcp", "add", "--scope", "user", "claudine", "--", *server],
        env=code.env,
        cwd=code.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Below a shell, because tmux does not always learn how a program has ended.
WRAPPER = '"$@"; echo $? >"$0"'


class Terminal:
    """An interactive Claude Code in a tmux of its own; lives inside ``with``.

    Args:
        code: whose environment and project it has.
        options: of its command line.
        prompt: what it is told at the start.
        known: the user has been through the first questions (`settle_in`).

    Attributes:
        pid: of Claude Code.
    """

    def __init__(
        self, code: ClaudeCode, *options: str, prompt: str | None = None, known: bool = True
    ) -> None:
        self._tmux = shutil.which("tmux") or pytest.skip("tmux is not on the PATH")
        # Its own: a server of tmux that was told to end may still be there.
        self._socket = code.folder / f"tmux-{len(list(code.folder.glob('tmux-*')))}"
        self._code = code
        self._exit = code.folder / "terminal-exit"
        self.pid = 0
        # With `--` no option takes the prompt for one of its values.
        self._argv = [*code.argv, *options, *(["--", prompt] if prompt is not None else [])]
        if known:
            settle_in(Path(code.env["HOME"]), code.work)

    def __enter__(self) -> Self:
        self._exit.unlink(missing_ok=True)
        command = shlex.join(["sh", "-c", WRAPPER, str(self._exit), *self._argv])
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        self._run(
            *("-f", "/dev/null", "start-server", ";"),
            *("set", "-g", "status", "off", ";", "set", "-g", "remain-on-exit", "on", ";"),
            *("new-session", "-d", *size, "-c", str(self._code.work), command),
        )
        try:
            shell = psutil.Process(int(self._run("display-message", "-p", "#{pane_pid}")))
            self.pid = wait_until(shell.children, LIMIT_S, "Claude Code has started")[0].pid
        except BaseException:
            self._run("kill-server")
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("kill-server")
        # The terminal is gone, so it ends by SIGHUP.
        wait_until(lambda: not alive(self.pid), LIMIT_S, f"Claude Code (pid {self.pid}) has ended")

    def screen(self) -> str:
        """Give what is seen, without what has scrolled away; lines that were wrapped are whole."""
        return self._run("capture-pane", "-p", "-J")

    def wait_for(self, text: str) -> str:
        """Wait until a text is on the screen; give the screen."""
        try:
            wait_until(lambda: text in self.screen(), LIMIT_S)
        except AssertionError:
            raise AssertionError(
                f"not within {LIMIT_S:g} s: {text!r}; the screen:\n{self.screen()}"
            ) from None
        return self.screen()

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names: ``Enter``, ``Escape``, ``Down``, ``C-c``."""
        self._run("send-keys", *keys)

    def confirm(self, dialog: str) -> None:
        """Wait for a dialog with this text, and press Enter until it is answered: a new one does not listen at once."""
        self.wait_for(dialog)

        def answered() -> bool:
            self.press("Enter")
            with contextlib.suppress(AssertionError):
                wait_until(lambda: dialog not in self.screen() or not alive(self.pid), timeout_s=1)
                return True
            return False

        wait_until(answered, LIMIT_S, f"{dialog!r} is answered")

    def press_until(self, key: str, text: str) -> None:
        """Press a key again and again until a text is on the screen."""

        def seen() -> bool:
            self.press(key)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: text in self.screen(), timeout_s=1)
                return True
            return False

        wait_until(seen, LIMIT_S, f"{text!r} is there after {key}; the screen:\n{self.screen()}")

    def write(self, text: str) -> None:
        """Type a text, and see it."""
        self._run("send-keys", "-l", text)
        # It wraps lines in its own way.
        typed = "".join(text.split())[-COLUMNS:]
        wait_until(lambda: typed in "".join(self.screen().split()), LIMIT_S, f"{text!r} is typed")

    def say(self, text: str) -> None:
        """Type a line and, when it is seen, press Enter."""
        self.write(text)
        self.press("Enter")

    def leave(self) -> int:
        """Leave by ``/exit``; give the exit code."""
        self.say("/exit")
        return self.ended()

    def ended(self) -> int:
        """Wait for the end; give the exit code."""
        try:
            return int(wait_until(self._exit_code, LIMIT_S))
        except AssertionError:
            raise AssertionError(f"not ended within {LIMIT_S:g} s; the screen:\n{self.screen()}") from None

    def _exit_code(self) -> str:
        return self._exit.read_text().strip() if self._exit.exists() else ""

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            [self._tmux, "-S", str(self._socket), *command],
            env=self._code.env | {"TERM": "xterm-256color"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"tmux {' '.join(command)}: {done.stderr}"
        return done.stdout
