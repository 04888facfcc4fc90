"""What people and agents are shown: models in the spelling of the interface, made from the registry's.

Times are RFC 3339 UTC, durations name their unit, memory is in bytes. Fields that say nothing are left out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from claudine_mcp.core.admission import describe_hold
from claudine_mcp.core.alerts import ENDED
from claudine_mcp.core.models import Command, Event, Run, Task
from claudine_mcp.core.paths import run_directory
from claudine_mcp.core.payload import event_payload
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.core.units import format_time
from claudine_mcp.front.alert_views import AlertView
from claudine_mcp.front.progress_views import EtaView, ProgressView, progress_view
from claudine_mcp.front.view import View
from claudine_mcp.front.worktree_views import WorktreeView


class QueueView(View):
    """Why a task waits."""

    position: int = Field(description="1 is next among those that are held by a cap")
    reason: str
    until: str | None = None


class RunView(View):
    """One start of a task."""

    run: int
    started_at: str | None = None
    ended_at: str | None = None
    outcome: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None


class QuestionView(View):
    """What a delegated Claude Code asks a person; AnswerAlert answers."""

    alert_id: int
    tool: str
    summary: str = Field(description="the call in one line")
    input: dict[str, Any] = Field(description="what the tool is to be called with; empty in lists")
    since: str
    until: str = Field(description="when it is denied, if nobody has answered")


class TaskRow(View):
    """A task in a list."""

    task_id: str
    name: str
    kind: str
    state: str
    outcome: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    priority: str
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    runtime_seconds: float | None = Field(default=None, description="suspended time apart")
    stopped: dict[str, str] | None = Field(
        default=None, description="who suspended or hibernated it (user, policy), since when and why"
    )
    leftovers: int | None = Field(default=None, description="processes that it started and that live on")
    labels: list[str] | None = None
    supervised: bool | None = Field(
        default=None, description="false: its keeper is gone; it is watched from outside"
    )
    progress: ProgressView | None = None
    question: QuestionView | None = Field(default=None, description="it waits for a person to answer this")
    alert: str | None = Field(default=None, description="what is wrong with it, the most severe")


class PhaseView(View):
    """What a delegated Claude Code is doing, as far as it says so."""

    name: str = Field(description="starting, model, tool, retrying, rate_limited, result, background")
    since: str | None = None
    tools: list[str] | None = Field(default=None, description="that it waits for")
    until: str | None = Field(default=None, description="when it goes on by itself")
    attempt: str | None = None
    error: str | None = None


class SampleView(View):
    """What a task's whole process tree used when it was last looked at."""

    age_seconds: float
    processes: int
    stopped: int | None = Field(default=None, description="of the processes, by a signal")
    threads: int
    rss_bytes: int = Field(description="shared pages count more than once")
    pss_bytes: int | None = Field(default=None, description="its fair share; read every 30 s")
    cpu_percent: float | None = Field(default=None, description="of one processor")
    fds: int | None = Field(default=None, description="open descriptors")


class TaskView(TaskRow):
    """A task whole."""

    cwd: str
    command: str | list[str] | None = None
    run: int | None = None
    killed_for_memory: bool | None = None
    queue: QueueView | None = None
    worktree: WorktreeView | None = None
    depends_on: list[dict[str, str]] | None = None
    not_before: str | None = None
    timeout_seconds: float | None = None
    on_timeout: str | None = None
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    eta: EtaView | None = Field(default=None, description="while it runs")
    open_alerts: list[AlertView] | None = Field(
        default=None, description="what is wrong with it; AnswerAlert answers"
    )
    silent_for_seconds: float | None = Field(
        default=None, description="since its last output, or since it was resumed, while it is active"
    )
    sample: SampleView | None = Field(default=None, description="while it is active; TaskMetrics has more")
    session_id: str | None = None
    model: str | None = None
    phase: PhaseView | None = None
    turns: int | None = None
    todos: list[dict[str, str]] | None = None
    background: list[str] | None = None
    result: str | None = Field(default=None, description="its last answer")
    permission_denials: list[dict[str, str]] | None = None
    unread_messages: list[str] | None = Field(
        default=None, description="sent to its last run, which ended without having read them"
    )
    cost_usd: float | None = Field(default=None, description="of the last run")
    total_cost_usd: float | None = Field(default=None, description="of the session")
    spent_usd: float | None = Field(default=None, description="of all runs of the task")
    budget_left_usd: float | None = Field(default=None, description="of maxBudgetUsd")
    resumes: int | None = Field(default=None, description="how often it went on by itself; claude.maxResumes")
    checkpoints: dict[str, Any] | None = Field(
        default=None, description="how many, and the newest; ListCheckpoints has all"
    )
    earlier_runs: list[RunView] | None = None
    note: str | None = None


class EventView(View):
    """Something that happened; `seq` is the cursor."""

    seq: int
    type: str
    severity: str
    task_id: str | None = None
    run_id: str | None = None
    at: str
    message: str
    data: dict[str, Any]
    suggestions: list[dict[str, Any]] | None = None


def moment(epoch_s: float | None) -> str | None:
    """Give a time as it is shown, None for none."""
    return None if epoch_s is None else format_time(epoch_s)


def _row_fields(task: Task, now: float) -> dict[str, Any]:
    runtime_s = task.ran_s(now)
    return {
        "task_id": task.id,
        "name": task.name,
        "kind": task.kind,
        "state": task.state,
        "outcome": task.outcome,
        "reason": task.reason,
        "exit_code": task.exit_code,
        "signal": task.signal,
        "priority": task.priority.name,
        "created_at": format_time(task.created_at),
        "started_at": moment(task.started_at),
        "ended_at": moment(task.ended_at),
        "runtime_seconds": None if runtime_s is None else round(runtime_s, 3),
        "stopped": _stopped(task),
        "leftovers": task.leftovers or None,
        "labels": list(task.labels) or None,
        "supervised": None if task.supervised else False,
    }


def _stopped(task: Task) -> dict[str, str] | None:
    stopped = task.stopped
    if stopped is None:
        return None
    why: dict[str, str] = {"why": stopped["why"]} if stopped["why"] else {}
    return {"by": stopped["by"], "since": format_time(stopped["at"]), **why}


def row_of(task: Task, asked: Command | None = None, alert: Event | None = None) -> TaskRow:
    """Show a task in a list, with the question that it asks, and the alert about it, if there are such."""
    question = None if asked is None else question_view(asked, task).model_copy(update={"input": {}})
    progress = progress_view(task, is_brief=True) if task.state in ACTIVE else None
    # That it has failed is said by its outcome.
    wrong = None if alert is None or alert.type == ENDED else alert.message
    return TaskRow(**_row_fields(task, time.time()), question=question, progress=progress, alert=wrong)


def view_of(
    task: Task,
    runs: list[Run],
    state_dir: Path,
    *,
    queue: QueueView | None = None,
    question: QuestionView | None = None,
    unread_messages: list[str] | None = None,
) -> TaskView:
    """Show a task whole. Looks at the sizes of its output files."""
    now = time.time()
    folder = run_directory(state_dir, task.id, task.run)
    sizes: dict[str, Any] = {}
    last_output: list[float] = [] if task.started_at is None else [task.started_at]
    for stream in ("stdout", "stderr") if task.run else ():
        try:
            found = (folder / f"{stream}.log").stat()
        except OSError:
            continue
        sizes[f"{stream}_bytes"] = found.st_size
        if found.st_size:
            last_output.append(found.st_mtime)
    last_output += [run.resumed_at for run in runs if run.n == task.run and run.resumed_at is not None]
    active = task.state not in {State.QUEUED, State.ENDED, State.HIBERNATED}
    is_silent = active and task.state is not State.SUSPENDED and bool(last_output)
    timeout: int | None = task.spec.get("timeout")
    seen: dict[str, Any] = {key: value for key, value in (task.seen or {}).items() if key != "progress"}
    if not active:
        seen.pop("phase", None)
    return TaskView(
        **_row_fields(task, now),
        **sizes,
        **seen,
        session_id=task.session_id,
        question=question,
        unread_messages=unread_messages,
        progress=progress_view(task),
        cwd=task.cwd,
        command=task.spec.get("command"),
        run=task.run or None,
        resumes=task.resumes or None,
        killed_for_memory=task.killed_for_memory or None,
        queue=queue,
        depends_on=[{"taskId": item.task_id, "on": item.on} for item in task.depends_on] or None,
        not_before=moment(task.not_before),
        timeout_seconds=None if timeout is None else timeout / 1000,
        on_timeout=task.spec.get("onTimeout"),
        silent_for_seconds=round(max(0.0, now - max(last_output)), 1) if is_silent else None,
        earlier_runs=[run_view(run) for run in runs if run.n < task.run and run.started_at is not None]
        or None,
        note=None
        if task.supervised or task.state is State.ENDED
        else "its keeper is gone; how it ends may stay unknown",
    )


def run_view(run: Run) -> RunView:
    """Show one run."""
    return RunView(
        run=run.n,
        started_at=moment(run.started_at),
        ended_at=moment(run.exited_at),
        outcome=run.outcome,
        reason=run.reason,
        exit_code=run.exit_code,
        signal=run.signal,
    )


def question_view(asked: Command, task: Task) -> QuestionView:
    """Show a question that waits for an answer."""
    from claudine_mcp.workloads.claude_fields import call_label, tool_summary  # noqa: PLC0415 - start-up time

    return QuestionView(
        alert_id=asked.args["alertId"],
        tool=asked.args["tool"],
        summary=call_label(asked.args["tool"], tool_summary(asked.args["input"])),
        input=asked.args["input"],
        since=format_time(asked.created_at),
        until=format_time(asked.created_at + (task.spec.get("askTimeout") or 0) / 1000),
    )


def first_questions(asked: Sequence[Command]) -> dict[str | None, Command]:
    """Give, by task, the question that it asked first."""
    return {question.task_id: question for question in reversed(asked)}


def queue_view(task: Task, ahead: int) -> QueueView:
    """Show why a queued task waits, and where it stands with so many others before it in line."""
    hold = task.hold
    until = moment(hold["until"]) if hold is not None and "until" in hold else None
    return QueueView(position=ahead + 1, reason=describe_hold(hold), until=until)


def event_view(event: Event) -> EventView:
    """Show an event."""
    return EventView(**event_payload(event))


def shown(view: BaseModel) -> Mapping[str, Any]:
    """Give a view as the JSON that everyone sees."""
    return view.model_dump(mode="json", by_alias=True)
