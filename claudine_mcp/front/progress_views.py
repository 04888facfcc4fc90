"""How far a task is, and when it will be over, as people and agents are shown it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from claudine_mcp.core.models import Task
from claudine_mcp.core.progress.model import ACTIVITY, TURNS
from claudine_mcp.core.states import State
from claudine_mcp.core.units import format_time, human_duration
from claudine_mcp.front.view import View

if TYPE_CHECKING:
    from claudine_mcp.core.eta import PastRun


class ProgressView(View):
    """How far a task is, as far as it says so."""

    percent: float | None = Field(default=None, description="0 to 100; absent while only the phase is known")
    phase: str | None = Field(default=None, description="what it does")
    of_phase: bool | None = Field(
        default=None, description="true: the percentage is that of this phase, and others may follow"
    )
    done: float | None = None
    total: float | None = None
    source: str | None = Field(
        default=None,
        description="file: it says so itself; todos: its own list; turns: turns used of maxTurns, so it may be over "
        "sooner; activity: only what it does; terminal: OSC 9;4; output: a phase that it prints; else the format of "
        "what it prints",
    )
    moved_at: str | None = Field(default=None, description="when it last changed")
    phase_since: str | None = None
    note: str | None = Field(default=None, description="why its last line in $CLAUDINE_PROGRESS was ignored")


class EtaView(View):
    """How much longer a task takes: two numbers, or why there are none."""

    p50_seconds: int | None = Field(default=None, description="it takes no longer in one case of two")
    p90_seconds: int | None = Field(default=None, description="it takes no longer in nine cases of ten")
    basis: str | None = Field(default=None, description="what this follows from")
    unknown: str | None = Field(default=None, description="why there is no estimate")


def progress_of(task: Task) -> Mapping[str, Any] | None:
    """Give what is known of the progress of a task's last run; None if nothing is, or another run is to come.

    What a Claude Code was doing last, or how many turns it had used, is no progress of a run that is over.
    """
    known: Mapping[str, Any] | None = (task.seen or {}).get("progress")
    if known is None or known["run"] != task.run or task.state is State.QUEUED:
        return None
    return None if task.state is State.ENDED and known.get("source") in {TURNS, ACTIVITY} else known


def progress_view(task: Task, *, is_brief: bool = False) -> ProgressView | None:
    """Show how far a task is; of one that has ended, how far it came."""
    known = progress_of(task)
    if known is None:
        return None
    if is_brief:
        if "percent" not in known and "phase" not in known:
            return None
        return ProgressView(
            percent=known.get("percent"), phase=known.get("phase"), of_phase=known.get("ofPhase")
        )
    moments = {
        name: format_time(known[key])
        for name, key in (("moved_at", "movedAt"), ("phase_since", "phaseSince"))
        if key in known
    }
    return ProgressView(
        percent=known.get("percent"),
        phase=known.get("phase"),
        of_phase=known.get("ofPhase"),
        done=known.get("done"),
        total=known.get("total"),
        source=known.get("source"),
        note=known.get("note"),
        **moments,
    )


def needs_history(task: Task) -> bool:
    """Whether only the past of its like can tell when a task will be over."""
    known = progress_of(task)
    return task.state is State.RUNNING and (known is None or "p50At" not in known.get("eta", {}))


def eta_view(task: Task, past: Sequence[PastRun], now: float) -> EtaView | None:
    """Show when a task will be over; None for one that does not run.

    Args:
        task: the task.
        past: runs of its class; they are used where `needs_history`.
        now: in seconds since the epoch.
    """
    if task.state is State.SUSPENDED:
        return EtaView(unknown="it is suspended")
    ran_s = task.ran_s(now)
    if task.state is not State.RUNNING or ran_s is None:
        return None
    known = (progress_of(task) or {}).get("eta", {"unknown": "it reports no progress"})
    if "p50At" in known:
        left_s = known["p90At"] - now
        if left_s < 0:
            return EtaView(unknown=f"by its progress it should have been over {human_duration(-left_s)} ago")
        return _shown(known["p50At"] - now, left_s, "its progress")
    from claudine_mcp.core.classes import class_of  # noqa: PLC0415 - start-up time
    from claudine_mcp.core.eta import Eta, from_history  # noqa: PLC0415

    title = class_of(task.kind, task.cwd, task.spec, task.labels).title
    eta = from_history(past, ran_s, title)
    if isinstance(eta, Eta):
        return _shown(eta.p50_s, eta.p90_s, f"{len(past)} earlier runs of {title}")
    return EtaView(unknown=f"{known['unknown']}; {eta.because}")


def _shown(p50_s: float, p90_s: float, basis: str) -> EtaView:
    return EtaView(p50_seconds=round(max(p50_s, 0.0)), p90_seconds=round(max(p90_s, 0.0)), basis=basis)
