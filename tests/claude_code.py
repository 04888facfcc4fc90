"""The real Claude Code in tests: an environment of its own, and runs of ``claude -p`` to start, watch and talk to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import Home, kill, wait_until

Json = dict[str, Any]

KEY = "a-key-that-only-a-fake-on-loopback-takes"
"""Claude Code remembers by the last 20 characters that a key was approved."""

LIMIT_S = 60.0
"""A run takes one or two seconds; the rest is for a busy machine."""

TINY_SERVER = Path(__file__).parent / "claude" / "tiny_server.py"
PLUGIN = Path(__file__).parents[1] / "plugin"


def claude_env(folder: Path, url: str) -> dict[str, str]:
    """Give the whole environment of a Claude Code that is nobody's: it lives in `folder` and talks to `url` only."""
    home, tmp = folder / "claude-home", folder / "tmp"
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
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    }


def tiny_server(record: Path) -> str:
    """Give the MCP configuration of the server ``tiny``, which notes its calls in a file."""
    command = {"command": sys.executable, "args": [str(TINY_SERVER), str(record)]}
    return json.dumps({"mcpServers": {"tiny": command}})


def claudine_server(home: Home) -> str:
    """Give the MCP configuration of the server ``claudine`` with the state directory of `home`."""
    ours = ("CLAUDINE_HOME", "CLAUDINE_CONFIG")
    env = {name: home.env[name] for name in ours}
    # A checkout that is not the installed one is found by this.
    env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    command = {"command": sys.executable, "args": ["-P", "-m", "claudine_mcp"], "env": env}
    return json.dumps({"mcpServers": {"claudine": command}})


def program_on_path(folder: Path, path: str) -> str:
    """Give a PATH with a `claudine-mcp` that is the program under test."""
    programs = folder / "programs"
    write_program(programs)
    return f"{programs}:{path}"


def write_program(folder: Path) -> None:
    """Write a `claudine-mcp` that is the program under test."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "claudine-mcp"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m claudine_mcp "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def install_plugin(argv: list[str], env: dict[str, str], work: Path, checkout: Path = PLUGIN.parent) -> None:
    """Install the plugin from a checkout for the user of an environment."""
    for command in (["marketplace", "add", str(checkout)], ["install", "claudine@claudine"]):
        done = subprocess.run(
            [*argv, "plugin", *command],
            env=env,
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Run:
    """A run of ``claude -p`` with stream-json output.

    Attributes:
        process: of Claude Code; its stdin is a pipe if it was started without a prompt.
        stdout: the file that it writes.
        stderr: the same.
    """

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def lines(self, kind: str | None = None, subtype: str | None = None) -> list[Json]:
        """Give the complete lines so far; of one type and subtype, if these are given."""
        whole = self.stdout.read_bytes().rpartition(b"\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [
            line
            for line in lines
            if kind in {None, line.get("type")} and subtype in {None, line.get("subtype")}
        ]

    def kinds(self) -> list[str]:
        """Give the type, with the subtype if there is one, of each line so far."""
        return [":".join(filter(None, (line["type"], line.get("subtype")))) for line in self.lines()]

    def wait_for(self, kind: str, subtype: str | None = None, count: int = 1) -> Json:
        """Wait for the nth line of a type; give it."""
        found = wait_until(
            lambda: self.lines(kind, subtype)[count - 1 : count],
            LIMIT_S,
            f"line {count} of {kind} {subtype or ''} in {self.stdout}",
        )
        return found[0]

    def wait(self) -> int:
        """Wait for its end; give the exit code, or the signal as a negative number."""
        return self.process.wait(LIMIT_S)

    @property
    def result(self) -> Json:
        """The last result."""
        return self.lines("result")[-1]

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        return self.stderr.read_text(encoding="utf-8", errors="replace")

    def fate(self, message: str) -> list[str]:
        """Give what became of a message, by its uuid: ``queued``, ``started``, ``completed`` and so on."""
        lines = self.lines("command_lifecycle")
        return [line["state"] for line in lines if line["command_uuid"] == message]

    def wait_for_fate(self, message: str, state: str) -> None:
        """Wait until this has become of a message."""
        wait_until(lambda: state in self.fate(message), LIMIT_S, f"message {message} is {state}")

    def write(self, message: Json) -> None:
        """Write a line to its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def say(self, text: str, **more: Any) -> None:
        """Write a user's message to its stdin."""
        self.write({"type": "user", "message": {"role": "user", "content": text}, **more})

    def control(self, request_id: str, subtype: str, **more: Any) -> Json:
        """Write a control request to its stdin; wait for the response and give it."""
        request = {"subtype": subtype, **more}
        self.write({"type": "control_request", "request_id": request_id, "request": request})

        def responses() -> list[Json]:
            answers = [line["response"] for line in self.lines("control_response")]
            return [answer for answer in answers if answer["request_id"] == request_id]

        return wait_until(responses, LIMIT_S, f"a response to {subtype}")[0]

    def answer(self, question: Json, response: Json) -> None:
        """Answer a control request that it wrote."""
        ids = {"subtype": "success", "request_id": question["request_id"]}
        self.write({"type": "control_response", "response": {**ids, "response": response}})

    def close(self) -> None:
        """Close its stdin."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def finish(self) -> int:
        """Close its stdin and wait for its end; give the exit code."""
        self.close()
        return self.wait()


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
        self,
        prompt: str | None,
        *options: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        strict: bool = True,
    ) -> Run:
        """Start ``claude -p`` with the prompt in a file; without a prompt, with a pipe for stream-json.

        A plugin's server is started only if it is not strict about MCP configuration.
        """
        name = f"claude-{len(self.runs)}"
        told, stdout, stderr = (self.folder / f"{name}.{end}" for end in ("in", "out", "err"))
        told.write_text(prompt or "", encoding="utf-8")
        argv = [*self.argv, "-p", "--output-format", "stream-json", "--verbose"]
        argv += ["--strict-mcp-config"] if strict else []
        argv += ["--input-format", "stream-json"] if prompt is None else []
        with told.open("rb") as stdin, stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [*argv, *options],
                cwd=cwd or self.work,
                env=self.env if env is None else env,
                stdin=subprocess.PIPE if prompt is None else stdin,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.runs.append(Run(process, stdout, stderr))
        return self.runs[-1]

    def run(self, prompt: str, *options: str, cwd: Path | None = None, strict: bool = True) -> Run:
        """Start ``claude -p`` and wait for its end."""
        run = self.start(prompt, *options, cwd=cwd, strict=strict)
        run.wait()
        return run

    def end(self) -> None:
        """End every run that still goes on, and reap it."""
        for run in self.runs:
            if run.process.poll() is None:
                kill(run.process.pid)
            if run.process.stdin is not None:
                run.close()
            run.wait()
