"""The real Claude Code in tests: a clean environment, and runs of ``claude -p`` to start, watch and talk to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import kill, wait_until

Json = dict[str, Any]

KEY = "dummy-key-for-a-fake-on-loopback-only"
"""Longer than the 20 characters by which Claude Code remembers that a key was approved."""

TO_END_S = 60.0
"""A run takes one or two seconds; the rest is for a busy machine."""


def claude_env(folder: Path, url: str) -> dict[str, str]:
    """Give the whole environment of a Claude Code that is nobody's: it lives in `folder` and talks to `url` only."""
    home, tmp = folder / "home", folder / "tmp"
    for path in (home, tmp):
        path.mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "TMPDIR": str(tmp),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "SHELL": shutil.which("bash") or "/bin/sh",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "NO_PROXY": "127.0.0.1",
    }


@dataclass
class Run:
    """A run of ``claude -p`` with stream-json output.

    Attributes:
        process: of Claude Code; its stdin is a pipe if it was asked for.
        stdout: the file that it writes.
        stderr: the same.
    """

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def lines(self, kind: str | None = None, subtype: str | None = None) -> list[Json]:
        """Give the complete lines so far, of one type and subtype if these are given."""
        whole = self.stdout.read_bytes().rpartition(b"\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [
            line
            for line in lines
            if kind in {None, line.get("type")} and subtype in {None, line.get("subtype")}
        ]

    def wait_for(self, kind: str, subtype: str | None = None, count: int = 1) -> Json:
        """Wait for the nth line of a type; give it."""
        found = wait_until(
            lambda: self.lines(kind, subtype)[count - 1 : count],
            TO_END_S,
            f"line {count} of {kind} {subtype or ''}; there are {self.kinds()}; stderr: {self.errors()}",
        )
        return found[0]

    def kinds(self) -> list[str]:
        """Give the type and subtype of each line so far."""
        return [":".join(filter(None, (line["type"], line.get("subtype")))) for line in self.lines()]

    def errors(self) -> str:
        """Give what it wrote to stderr."""
        return self.stderr.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> int:
        """Wait for its end; give the exit code, or the signal as a negative number."""
        return self.process.wait(TO_END_S)

    @property
    def result(self) -> Json:
        """The last result."""
        return self.lines("result")[-1]

    def write(self, message: Json) -> None:
        """Write a line to its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def say(self, text: str, **more: Any) -> None:
        """Write a user's message to its stdin."""
        self.write({"type": "user", "message": {"role": "user", "content": text}, **more})

    def interrupt(self, request_id: str = "r1", **more: Any) -> None:
        """Ask it to stop its turn."""
        request = {"subtype": "interrupt", **more}
        self.write({"type": "control_request", "request_id": request_id, "request": request})

    def close(self) -> None:
        """Close its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@dataclass
class ClaudeCode:
    """A Claude Code of the test's own.

    Attributes:
        argv: the command that starts it.
        env: its whole environment.
        work: the project it works in.
        folder: holds all of it.
    """

    argv: list[str]
    env: dict[str, str]
    work: Path
    folder: Path
    runs: list[Run] = field(default_factory=list[Run])

    def start(
        self, prompt: str | None, *options: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> Run:
        """Start ``claude -p``; without a prompt its stdin is a pipe for stream-json."""
        name = f"run-{len(self.runs)}"
        stdin, stdout, stderr = (self.folder / f"{name}.{end}" for end in ("in", "out", "err"))
        stdin.write_text(prompt or "", encoding="utf-8")
        talk = ["--input-format", "stream-json"] if prompt is None else []
        with stdin.open("rb") as told, stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [*self.argv, "-p", "--output-format", "stream-json", "--verbose"]
                + ["--strict-mcp-config", *talk, *options],
                cwd=cwd or self.work,
                env=self.env if env is None else env,
                stdin=subprocess.PIPE if prompt is None else told,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.runs.append(Run(process, stdout, stderr))
        return self.runs[-1]

    def run(self, prompt: str, *options: str, cwd: Path | None = None) -> Run:
        """Start ``claude -p`` and wait for its end."""
        run = self.start(prompt, *options, cwd=cwd)
        run.wait()
        return run

    def end(self) -> None:
        """End every run that still goes on, and reap it."""
        for run in self.runs:
            if run.process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    run.process.stdin.close()
            if run.process.poll() is None:
                kill(run.process.pid)
            run.wait()


@contextlib.contextmanager
def claude_code(argv: list[str], folder: Path, url: str) -> Iterator[ClaudeCode]:
    """Give a Claude Code that lives in `folder`, and end its runs afterwards."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    code = ClaudeCode(argv, claude_env(folder, url), work, folder)
    try:
        yield code
    finally:
        code.end()


def new_session_id() -> str:
    """Choose a session's id."""
    return str(uuid.uuid4())
