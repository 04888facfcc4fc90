"""What the registry holds: tasks, runs, events, commands. Times are seconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from claudine_mcp.core.states import Outcome, State

JSON = dict[str, Any]


class Kind(StrEnum):
    """What a task runs; each has a module in `claudine_mcp.workloads`."""

    COMMAND = "command"
    CLAUDE = "claude"


class Priority(IntEnum):
    """P0 goes first and may pass the soft cap; P1 is the default; P2 can wait."""

    P0 = 0
    P1 = 1
    P2 = 2


class Severity(StrEnum):
    """The MCP log levels that events use, least severe first."""

    DEBUG = "debug"
    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least severe."""
        return list(Severity).index(self)


class CommandKind(StrEnum):
    """What a front may ask of the supervisor."""

    CANCEL = "cancel"
    RETRY = "retry"
    UPDATE = "update"
    REMOVE = "remove"
    CONFIGURE = "configure"
    SEND = "send"
    ASK = "ask"
    WITHDRAW = "withdraw"
    ANSWER = "answer"
    SUSPEND = "suspend"
    RESUME = "resume"
    HIBERNATE = "hibernate"
    CHECKPOINT = "checkpoint"
    RESTORE = "restore"
    PAUSE = "pause"
    RESERVE = "reserve"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A task that must have ended first; with `on == "success"` it must have succeeded."""

    task_id: str
    on: str = "success"


@dataclass(frozen=True, slots=True)
class Task:
    """One row of `tasks`.

    Attributes:
        spec: the request as it was checked; it never holds environment values.
        session_id: of a Claude Code session; one run of a session at a time.
        seen: what its output tells of it, as its workload understands it; None while nothing.
        stopped: of one that is suspended, hibernating or hibernated: `by` ("user", "policy" or "other"), `at`
            (seconds since the epoch), `why`.
        resumes: how often it was resumed by itself since anybody asked for that.
        worktree: the git worktree that it was given: see `core.worktree`.
        suspended_s: of its run, as in `Run`.
    """

    id: str
    kind: Kind
    name: str
    cwd: str
    spec: JSON
    priority: Priority
    state: State
    created_at: float
    queued_at: float
    labels: tuple[str, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    outcome: Outcome | None = None
    reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    killed_for_memory: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    not_before: float | None = None
    run: int = 0
    hold: JSON | None = None
    supervised: bool = True
    leftovers: int = 0
    session_id: str | None = None
    seen: JSON | None = None
    stopped: JSON | None = None
    resumes: int = 0
    worktree: JSON | None = None
    suspended_s: float = 0.0
    submitter: JSON = field(default_factory=dict[str, Any])
    seq: int = 0

    def ran_s(self, now: float) -> float | None:
        """Give for how long its run has run, or ran, suspended time apart; None before its start.

        Args:
            now: seconds since the epoch.
        """
        if self.started_at is None:
            return None
        end = now if self.ended_at is None else self.ended_at
        if self.stopped is not None:
            end = min(end, self.stopped["at"])
        return max(0.0, end - self.started_at - self.suspended_s)


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a task: row of `runs`.

    Attributes:
        keeper: as `main`, an `Identity` in its text form.
        suspended_s: for how long it has been suspended, a suspension that lasts apart.
        resumed_at: when the last suspension was over.
    """

    task_id: str
    n: int
    admitted_at: float
    keeper: str | None = None
    main: str | None = None
    started_at: float | None = None
    exited_at: float | None = None
    gone_at: float | None = None
    overdue_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    suspended_s: float = 0.0
    resumed_at: float | None = None

    @property
    def id(self) -> str:
        """The name of this run in `CLAUDINE_RUN` and in events: `TASK.N`."""
        return f"{self.task_id}.{self.n}"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in the past tense; `seq` is the cursor by which it is read, 0 until stored."""

    type: str
    severity: Severity
    message: str
    at: float
    task_id: str | None = None
    run_id: str | None = None
    data: JSON = field(default_factory=dict[str, Any])
    suggestions: tuple[JSON, ...] = ()
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a task had come to: row of `checkpoints`.

    Attributes:
        cause: "user", "interval", "end", or the kind of the intervention that it was made before.
        state: the task's, then.
        repository: the work tree's top folder; None: the task did not work in one, and `details` say so.
        ref: the ref that keeps `commit_id`, the commit of the work tree.
        details: of the rest: where its transcript and logs had come to, what was not stored, and why.
    """

    id: str
    task_id: str
    run: int
    at: float
    cause: str
    state: State
    label: str | None = None
    session_id: str | None = None
    repository: str | None = None
    ref: str | None = None
    commit_id: str | None = None
    details: JSON = field(default_factory=dict[str, Any])
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """What a front asked for. `result` is set, once, in the transaction that carries it out."""

    id: str
    kind: CommandKind
    task_id: str | None
    args: JSON
    origin: JSON
    created_at: float
    taken_at: float | None = None
    done_at: float | None = None
    result: JSON | None = None
    seq: int = 0
