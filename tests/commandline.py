"""The command line as a user has it: a process, with a state directory of the test's own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import IO, Any
from unittest import mock

from support import WAIT_S, Home, wait_until

from claudine_mcp.cli.app import main

CALL_LIMIT_S = 60
"""A call takes half a second; the rest is for a busy machine."""


@dataclass
class CommandLine:
    """Calls of `claudine-mcp`, each a process."""

    home: Home
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "claudine_mcp", *arguments]

    def run(self, *arguments: str, expect: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Call it, and expect an exit code."""
        return self.fed(b"", *arguments, expect=expect, **env)

    def fed(
        self, stdin: bytes, /, *arguments: str, expect: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Call it with something on its standard input, and expect an exit code."""
        with tempfile.TemporaryFile(dir=self.home.folder) as given:
            given.write(stdin)
            given.seek(0)
            done = subprocess.run(
                self.argv(*arguments),
                cwd=self.home.work,
                env={**self.home.env, **env},
                stdin=given,
                capture_output=True,
                text=True,
                timeout=CALL_LIMIT_S,
                check=False,
            )
        assert "Traceback" not in done.stderr, done.stderr
        if expect is not None:
            assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def out(self, *arguments: str, expect: int = 0) -> str:
        """Give what it prints; called within this process, which is quick."""
        code, out, err = self.here(*arguments)
        assert code == expect, f"{arguments}: {code}\n{out}\n{err}"
        return out.strip()

    def here(self, *arguments: str) -> tuple[int, str, str]:
        """Call it within this process, which is quick; give exit code, output and complaints."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.home.env, clear=True),
            contextlib.chdir(self.home.work),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(list(arguments))
        return code, out.getvalue(), err.getvalue()

    def refused(self, *arguments: str, code: int = 2) -> str:
        """Give the single line in which it refuses."""
        found, out, err = self.here(*arguments)
        assert (found, out) == (code, ""), err
        (line,) = err.splitlines()
        return line

    def json(self, *arguments: str, expect: int = 0) -> Any:
        """Give what it prints with --json, called within this process."""
        code, out, err = self.here(arguments[0], "--json", *arguments[1:])
        assert code == expect, err
        return json.loads(out)

    def start(self, *arguments: str, stdout: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start it and let it run."""
        process = subprocess.Popen(
            self.argv(*arguments),
            cwd=self.home.work,
            env=self.home.env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """End what was started and still runs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    @staticmethod
    def line(process: subprocess.Popen[str], stream: str = "stdout", limit_s: float = WAIT_S) -> str:
        """Give the next line that a process prints; fail if none comes."""
        pipe = getattr(process, stream)
        watchdog = threading.Timer(limit_s, process.kill)
        watchdog.start()
        try:
            line: str = pipe.readline()
        finally:
            watchdog.cancel()
        assert line, f"{process.args} printed nothing within {limit_s:g} s, or has ended ({process.poll()})"
        return line

    def submit(self, command: str, *options: str) -> str:
        """Run a shell command as a task; give its id."""
        return self.out("run", *options, "--shell", command)

    def state(self, task_id: str) -> str:
        rows = self.home.query("SELECT state FROM tasks WHERE id = ?", task_id)
        return rows[0][0] if rows else "unknown"

    def until(self, task_id: str, state: str = "ended") -> None:
        """Wait until a task is in a state."""
        wait_until(lambda: self.state(task_id) == state, what=f"task {task_id} is {state}")

    def ended(self, command: str, *options: str) -> str:
        """Run a shell command as a task to its end; give its id."""
        task_id = self.submit(command, *options)
        self.until(task_id)
        return task_id
