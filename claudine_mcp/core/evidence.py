"""What a run left behind, and what follows from it: the whole of recovery, without looking at anything."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum

from claudine_mcp.core.requeue import Passing
from claudine_mcp.core.states import Outcome


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How the main process ended.

    `source` is `keeper`, `waitpid` (the supervisor inherited the process), `pidfd` (the kernel still knew)
    or `unknown`: the process is gone and nobody knows how; then `code` and `signal` are both None.
    """

    source: str
    code: int | None
    signal: int | None
    at: float
    exec_error: str | None = None
    oom_kills: int = 0
    max_rss_bytes: int | None = None
    cpu_s: float | None = None
    killed_for_memory: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """The run directory and the processes, as they are now.

    `alive` counts processes of the run by identity, `same_boot` is whether the machine still is the one
    that the run was started on (None before `start` says so).
    """

    keeper_alive: bool
    started: bool
    start_error: str | None
    began: bool
    exit: ExitRecord | None
    gone: bool
    main_alive: bool
    same_boot: bool | None


class Verdict(StrEnum):
    """What the evidence of a run amounts to."""

    WAIT = "wait"
    READY = "ready"
    SPAWN_FAILED = "spawn_failed"
    NEVER_BEGAN = "never_began"
    RUNNING = "running"
    UNSUPERVISED = "unsupervised"
    EXITED = "exited"
    VANISHED = "vanished"


def recover(evidence: Evidence) -> Verdict:  # noqa: PLR0911 - a decision list
    """Say what became of a run, from evidence alone; asking twice gives the same answer.

    A lock without `began` means that the keeper is between two of its steps, so nothing is decided until
    one of the two changes. An exit record speaks louder than anything that is alive.
    """
    if evidence.exit is not None:
        return Verdict.EXITED
    if not evidence.began:
        if evidence.start_error is not None:
            return Verdict.SPAWN_FAILED
        if evidence.keeper_alive:
            return Verdict.READY if evidence.started else Verdict.WAIT
        return Verdict.NEVER_BEGAN
    if evidence.same_boot is False:
        return Verdict.VANISHED
    if evidence.keeper_alive:
        return Verdict.RUNNING
    return Verdict.UNSUPERVISED if evidence.main_alive else Verdict.VANISHED


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a run ended, and the reason in words; `passing`: what it failed by, if the same may work later."""

    outcome: Outcome
    reason: str
    passing: Passing | None = None


def judge_exit(record: ExitRecord, *, stop_reason: str | None) -> Judgement:
    """Give the outcome that an exit record supports for a program that speaks by its exit status.

    Args:
        record: how the main process ended.
        stop_reason: why we had asked it to stop before it exited; None when we had not.
    """
    if stop_reason is not None:
        return Judgement(Outcome.CANCELLED, stop_reason)
    if record.exec_error is not None:
        return Judgement(Outcome.NOT_STARTED, record.exec_error)
    if record.source == "unknown":
        return Judgement(
            Outcome.INTERRUPTED,
            "its keeper was gone when it ended, so nobody saw its exit status; it may have finished its work",
        )
    if record.signal is not None:
        memory = ": the kernel ended it because memory ran out" if record.killed_for_memory else ""
        return Judgement(
            Outcome.FAILED, f"killed by signal {record.signal} ({signal_name(record.signal)}){memory}"
        )
    if record.code == 0:
        return Judgement(Outcome.SUCCEEDED, "exit code 0")
    memory = ""
    if record.killed_for_memory:
        memory = "; the kernel ended one of its processes because memory ran out"
    elif record.code is not None and record.code > 128 and is_signal(record.code - 128):  # noqa: PLR2004
        memory = f", which is what a shell says of {signal_name(record.code - 128)}"
    return Judgement(Outcome.FAILED, f"exit code {record.code}{memory}")


def is_signal(number: int) -> bool:
    """Whether the number names a signal here."""
    return number in {item.value for item in signal.Signals}


def signal_name(number: int) -> str:
    """Give `SIGKILL` for 9; a number without a name is given as it is."""
    return signal.Signals(number).name if is_signal(number) else str(number)
