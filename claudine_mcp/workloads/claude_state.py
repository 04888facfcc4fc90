"""What is known of a run of Claude Code from what it has printed so far: plain data, bounded, storable as JSON.

Text in it is as Claude wrote it and may hold control characters, except where it is said to be safe. Times are
those at which the output was read, in whatever clock the reader was given; only those that the API sends
(`resets_at`) are always seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from claudine_mcp.core.models import JSON
from claudine_mcp.workloads.claude_fields import call_label

VERSION: Final = 1
"""Of the stored form. A state of another version is not loaded, and the output is read from its start."""

MAX_TOOLS: Final = 32
MAX_TODOS: Final = 50
MAX_JOBS: Final = 32
MAX_DENIALS: Final = 20
MAX_ERRORS: Final = 5
MAX_CALLS: Final = 50
MAX_MESSAGES: Final = 100
RESULT_CHARS: Final = 8000
ERROR_CHARS: Final = 500
TODO_CHARS: Final = 200

_TOO_MANY_REQUESTS: Final = 429


class Phase(StrEnum):
    """What a run of Claude Code is doing, as far as it says so.

    `starting`: nothing was printed yet. `model`: it waits for the model, or reads its answer. `tool`: the main
    conversation waits for tools. `retrying`: the API has failed and the request is sent again at a given time;
    `rate_limited`: the same, because of a limit. `result`: it has printed its result and is still there.
    `background`: the same, while work in the background goes on, whose end may begin another turn.
    """

    STARTING = "starting"
    MODEL = "model"
    TOOL = "tool"
    RETRYING = "retrying"
    RATE_LIMITED = "rate_limited"
    RESULT = "result"
    BACKGROUND = "background"


@dataclass(slots=True)
class Todo:
    """An item of the plan that Claude keeps. `status` is `pending`, `in_progress` or `completed`.

    `id` is set where the plan is a task list (TaskCreate), None in a to-do list (TodoWrite).
    """

    text: str
    status: str
    active_text: str = ""
    id: str | None = None


@dataclass(slots=True)
class ToolCall:
    """A tool that was called and has not answered. `summary` is one safe line about its input.

    `parent_id` is the call whose subagent made it, None for the main conversation. `todos` is what the call
    will do to the plan if it succeeds.
    """

    id: str
    name: str
    summary: str
    since: float
    message_id: str = ""
    parent_id: str | None = None
    todos: list[Todo] = field(default_factory=list[Todo])

    @property
    def label(self) -> str:
        """The call in words: "Bash (sleep 30)"."""
        return call_label(self.name, self.summary)


@dataclass(slots=True)
class Job:
    """Work that Claude Code follows apart from the conversation: a subagent, or a shell in the background."""

    id: str
    kind: str
    description: str
    is_background: bool
    since: float
    doing: str = ""


@dataclass(slots=True)
class Retry:
    """A request that failed and is sent again. `error_status` is None where no answer came at all."""

    attempt: int
    max_retries: int
    until: float
    error_status: int | None
    error: str
    since: float

    @property
    def is_for_limit(self) -> bool:
        """Whether it failed because of a limit on requests, rather than at the API."""
        return self.error_status == _TOO_MANY_REQUESTS or self.error == "rate_limit"


@dataclass(slots=True)
class RateLimit:
    """A limit by which the API refuses requests. `kind` is `five_hour`, `seven_day` and the like."""

    kind: str
    resets_at: float | None
    since: float


@dataclass(slots=True)
class Denial:
    """A tool call that was not permitted. `summary` and `reason` are one safe line each."""

    tool: str
    summary: str
    reason: str = ""
    tool_use_id: str = ""


@dataclass(slots=True)
class Usage:
    """Tokens of this run, over all its results."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


@dataclass(slots=True)
class Result:
    """The last `result` message.

    Attributes:
        is_error: None if it does not say.
        api_error: Claude Code's own name for the kind of an API error, such as `connection_failed`; often "".
        error: the same as the `assistant` line before it has it, such as `authentication_failed`; often "".
        text: the last answer, or the error in words, shortened in its middle; not safe for a terminal.
        terminal_reason: `completed`, `max_turns`, `api_error`, `aborted_tools`, …
        queued_turns: how many messages wait to be answered after it, as far as it says so.
        is_interrupted: whether Claude Code says that it was being shut down.
    """

    at: float
    subtype: str
    is_error: bool | None
    api_error_status: int | None = None
    api_error: str = ""
    api_error_type: str = ""
    error: str = ""
    num_turns: int | None = None
    text: str = ""
    errors: list[str] = field(default_factory=list[str])
    terminal_reason: str = ""
    duration_s: float | None = None
    queued_turns: int = 0
    is_interrupted: bool = False


@dataclass(slots=True)
class StreamState:
    """All of it.

    Attributes:
        cost_before_usd: what the session had cost before this run; see `run_cost_usd`.
        bytes_read: how much of the output was read.
        offset_bytes: where the first line begins that is not in this state. Whoever loads it reads on there.
        lines: those that were read.
        unreadable_lines: those that were no JSON object.
        long_lines: those that were too long to be read whole.
        read_at: when the last line was read.
        phase_since: when the phase began.
        active_at: when a line last showed progress; heartbeats, retries and the unreadable do not.
        is_turn_open: whether something has begun after the last result that has no result yet.
        turns: answers of the model in the main conversation.
        tools: what was called and has not answered, by id, oldest first; those of subagents too.
        last_tool: the label of the tool that was called, or has answered, last.
        error: what Claude Code calls the API error that the turn has met, "" for none.
        messages: what became of the messages that it was sent, by their identifier: `queued`, `started`,
            `completed`, `cancelled`, `discarded`, `refused`; the last ones.
        recent_calls: hashes of the last tool calls with their input, oldest first; without those that only ask how
            something is getting on, which are the same each time.
        retries: how often the last request was sent again.
        todos: the plan, where Claude keeps one.
        denial_count: how many there were; `denials` are the first of them. Those beyond are counted when their
            turn has ended.
    """

    cost_before_usd: float = 0.0
    bytes_read: int = 0
    offset_bytes: int = 0
    lines: int = 0
    unreadable_lines: int = 0
    long_lines: int = 0
    session_id: str = ""
    model: str = ""
    cwd: str = ""
    permission_mode: str = ""
    claude_version: str = ""
    read_at: float = 0.0
    phase: Phase = Phase.STARTING
    phase_since: float | None = None
    active_at: float | None = None
    is_turn_open: bool = False
    is_compacting: bool = False
    message_id: str = ""
    turns: int = 0
    tools: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])
    last_tool: str = ""
    error: str = ""
    messages: dict[str, str] = field(default_factory=dict[str, str])
    recent_calls: list[str] = field(default_factory=list[str])
    retry: Retry | None = None
    retries: int = 0
    rate_limit: RateLimit | None = None
    todos: list[Todo] = field(default_factory=list[Todo])
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    denials: list[Denial] = field(default_factory=list[Denial])
    denial_count: int = 0
    results: int = 0
    result: Result | None = None
    total_cost_usd: float | None = None
    listed_cost_usd: float = 0.0
    is_cost_listed: bool = True
    usage: Usage = field(default_factory=Usage)

    @property
    def running_tools(self) -> list[ToolCall]:
        """The tools that the main conversation waits for, oldest first."""
        return [call for call in self.tools.values() if call.parent_id is None]

    @property
    def background(self) -> list[Job]:
        """The work that goes on in the background."""
        return [job for job in self.jobs.values() if job.is_background]

    @property
    def phase_until(self) -> float | None:
        """When the phase will end by itself, where it says so: the next try, or the reset of a limit."""
        if self.phase is Phase.RATE_LIMITED and self.rate_limit and self.rate_limit.resets_at is not None:
            return self.rate_limit.resets_at
        if self.phase in {Phase.RETRYING, Phase.RATE_LIMITED} and self.retry:
            return self.retry.until
        return None

    @property
    def run_cost_usd(self) -> float | None:
        """What this run has cost by its results; None before the first.

        `total_cost_usd` is cumulative over resumes and inherited by forks, so the cost of a run is what its
        results list as used since the one before. Where they list nothing, it is what the total exceeds that
        known before by; a smaller total is that of a session which does not know of its former cost.
        """
        if self.total_cost_usd is None:
            return None
        if self.is_cost_listed:
            return self.listed_cost_usd
        more_usd = self.total_cost_usd - self.cost_before_usd
        return more_usd if more_usd >= 0 else self.total_cost_usd

    def to_json(self) -> JSON:
        """The state as JSON, for `from_json`; some kB, and never more than about 100."""
        return {"version": VERSION, **_adapter().dump_python(self, mode="json")}

    @classmethod
    def from_json(cls, value: Any) -> StreamState | None:
        """What `to_json` gave; None if that was another version's or is damaged."""
        try:
            fields = {**value}
            if fields.pop("version", None) != VERSION:
                return None
            return _adapter().validate_python(fields)
        except (TypeError, ValidationError):
            return None


@cache
def _adapter() -> TypeAdapter[StreamState]:
    return TypeAdapter(StreamState)
