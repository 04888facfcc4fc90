"""What the real Claude Code has printed, how those runs ended, and readers that have read it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claudine_mcp.core.evidence import ExitRecord
from claudine_mcp.core.states import Outcome
from claudine_mcp.workloads.claude_failures import Failure
from claudine_mcp.workloads.claude_state import StreamState
from claudine_mcp.workloads.claude_stream import StreamReader

FOLDER = Path(__file__).parent / "data" / "claude-stream"
AT = 1000.0


@dataclass(frozen=True)
class Ended:
    """How a recorded run ended: its exit code (negative: the signal) and what is to be said of it."""

    code: int
    outcome: Outcome
    words: str
    failure: Failure | None = None


WELL = Ended(0, Outcome.SUCCEEDED, "exit code 0 and a result without error")


def _failed(code: int, failure: Failure, words: str) -> Ended:
    return Ended(code, Outcome.FAILED, words, failure)


RUNS = {
    "api-400": _failed(1, Failure.BAD_REQUEST, "the API answered 400 (bad request): Fake 400"),
    "api-401-killed-while-retrying": _failed(
        143,
        Failure.KILLED,
        "ended by SIGTERM (exit code 143) while it waited to ask the API again"
        " (retry 9 of 10: it had answered 401, not authenticated)",
    ),
    "api-401-ten-retries": _failed(
        1,
        Failure.AUTH,
        "the API answered 401 (not authenticated) and Claude Code gave up after 10 retries: Failed to authenticate",
    ),
    "api-403": _failed(1, Failure.AUTH, "the API answered 403 (not permitted): Failed to authenticate."),
    "api-429-retry-after-120s": _failed(
        1, Failure.RATE_LIMITED, "the API answered 429 (rate limit) and Claude Code gave up at once"
    ),
    "api-429-retry-after-3s": WELL,
    "api-500-ten-retries": _failed(
        1,
        Failure.SERVER_ERROR,
        "the API answered 500 (server error) and Claude Code gave up after 10 retries",
    ),
    "api-529-gives-up": _failed(
        1, Failure.OVERLOADED, "the API answered 529 (overloaded) and Claude Code gave up after 2 retries"
    ),
    "api-529-twice-then-success": WELL,
    "background-bash-second-result": WELL,
    "fork-with-own-session-id": WELL,
    "max-budget": _failed(1, Failure.MAX_BUDGET, "budget of $0.006 exceeded: it had spent $0.0106"),
    "max-turns": _failed(1, Failure.MAX_TURNS, "max turns (1) reached"),
    "mcp-tool-call": WELL,
    "nested-claude": WELL,
    "network-refused": _failed(
        1,
        Failure.NETWORK,
        "the API could not be reached and Claude Code gave up after 10 retries: Connection refused",
    ),
    "partial-messages": WELL,
    "permission-prompt-tool": Ended(0, Outcome.SUCCEEDED, "without error; 1 tool call was not permitted"),
    "plain-success": WELL,
    "prompt-too-long": _failed(
        1, Failure.BAD_REQUEST, "the API answered 400 (bad request): Prompt is too long"
    ),
    "resume-after-budget": WELL,
    "resume-after-sigint": WELL,
    "resume-after-sigkill": WELL,
    "resume-after-sigkill-mid-bash": WELL,
    "resume-after-sigterm": WELL,
    "resume-from-another-cwd": WELL,
    "resume-unknown-session": _failed(
        1, Failure.UNKNOWN_SESSION, "the session 99999999-aaaa-4bbb-8ccc-000000000001 does not exist"
    ),
    "sighup-mid-bash": _failed(
        129,
        Failure.KILLED,
        "ended by SIGHUP (exit code 129) while it waited for the model, after Bash (/home/dev/other/slp.sh 304 t4)",
    ),
    "sigint-mid-bash": _failed(
        0, Failure.INTERRUPTED, "it was interrupted while it ran Bash (/home/dev/other/slp.sh 301 t1)"
    ),
    "sigint-mid-stream": _failed(0, Failure.INTERRUPTED, "it was interrupted while the model answered"),
    "sigkill-mid-bash": _failed(
        -9,
        Failure.KILLED,
        "killed by signal 9 (SIGKILL) while it ran Bash (/home/dev/other/slp.sh 303 t3)",
    ),
    "sigkill-mid-stream": _failed(
        -9, Failure.KILLED, "killed by signal 9 (SIGKILL) while it waited for the model"
    ),
    "sigterm-mid-bash": _failed(143, Failure.KILLED, "ended by SIGTERM (exit code 143)"),
    "sigterm-mid-stream": _failed(
        143, Failure.KILLED, "ended by SIGTERM (exit code 143) while it waited for the model"
    ),
    "stream-json-input-interrupt": WELL,
    "tasks-and-subagent": WELL,
    "todo-list": WELL,
    "tool-bash-success": WELL,
    "tool-permission-denied": Ended(0, Outcome.SUCCEEDED, "without error; 1 tool call was not permitted"),
    "worktree-resume": WELL,
}


def is_safe(text: str) -> bool:
    """Whether a terminal would only show it."""
    acting = {"\u202e", "\u2066", *map(chr, [*range(9), *range(10, 32), *range(127, 160)])}
    return acting.isdisjoint(text) and not any(
        unicodedata.category(each) in {"Cs", "Zl", "Zp"} for each in text
    )


def recorded(name: str) -> bytes:
    """What a run has printed."""
    return (FOLDER / f"{name}.jsonl").read_bytes()


def messages(name: str) -> list[dict[str, Any]]:
    """The same, parsed."""
    return [json.loads(line) for line in recorded(name).splitlines()]


def read(data: bytes, *, at: float = AT, state: StreamState | None = None) -> StreamState:
    """What is known after output has been read to its end."""
    reader = StreamReader(state)
    reader.feed(data, at)
    reader.finish(at)
    return reader.state


def states(name: str) -> Iterator[tuple[dict[str, Any], StreamState]]:
    """Each message of a run with what is known once it is read; it is read a second after the one before."""
    reader = StreamReader()
    for number, line in enumerate(recorded(name).splitlines(keepends=True)):
        reader.feed(line, AT + number)
        yield json.loads(line), reader.state


def exited(code: int) -> ExitRecord:
    """A process that has exited with a code, or was killed by a signal where that is negative."""
    return ExitRecord("keeper", None, -code, AT) if code < 0 else ExitRecord("keeper", code, None, AT)


def line(message: Any) -> bytes:
    """A message as Claude Code prints it."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


INIT = {"type": "system", "subtype": "init", "session_id": "s-1", "model": "m", "cwd": "/home/dev"}
RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "fine", "session_id": "s-1"}


def asks(*blocks: dict[str, Any], message_id: str = "msg_1", parent: str | None = None) -> dict[str, Any]:
    """An `assistant` message."""
    content = {"id": message_id, "role": "assistant", "content": list(blocks)}
    return {"type": "assistant", "message": content, "parent_tool_use_id": parent}


def call(call_id: str, name: str, **tool_input: Any) -> dict[str, Any]:
    """A `tool_use` block."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": tool_input}


def answers(
    call_id: str, content: Any = "done", *, error: bool = False, parent: str | None = None, **more: Any
) -> dict[str, Any]:
    """A `user` message with a `tool_result`."""
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": error}
    message = {"role": "user", "content": [block]}
    return {"type": "user", "message": message, "parent_tool_use_id": parent, **more}


def system(subtype: str, **more: Any) -> dict[str, Any]:
    """A `system` message."""
    return {"type": "system", "subtype": subtype, **more}


def known(*said: dict[str, Any], before: StreamState | None = None, at: float = AT) -> StreamState:
    """What is known after messages."""
    return read(b"".join(map(line, said)), state=before, at=at)
