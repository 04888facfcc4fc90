"""What is going on: tasks by state, who runs, who waits and why, the supervisor, the machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from claudine_mcp.core.admission import is_in_line
from claudine_mcp.core.identity import Identity
from claudine_mcp.core.models import Task
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.front.alert_views import alert_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.metrics import machine
from claudine_mcp.front.reservation_views import reservation_view
from claudine_mcp.front.supervision import ensure_supervisor
from claudine_mcp.front.system_views import Concurrency, Overview, QueuedTask, SupervisorView
from claudine_mcp.front.views import first_questions, queue_view, row_of
from claudine_mcp.host.lease import is_held
from claudine_mcp.host.processes import is_alive
from claudine_mcp.registry.alerts import open_alerts
from claudine_mcp.registry.commands import open_questions
from claudine_mcp.registry.leases import Holder, holder
from claudine_mcp.registry.reservations import reservations
from claudine_mcp.registry.tasks import count_by_state, has_work, tasks_in

MAX_ACTIVE, MAX_QUEUED, MAX_ALERTS = 50, 20, 20
"""Rows that are shown; the counts tell of the others. ListTasks has them all."""


async def overview(front: Front) -> Overview:
    """Look at everything once. Reads only."""
    settings = (await front.settings()).settings
    # The lease first: whoever found it taken by this very look has committed its work before.
    held = await anyio.to_thread.run_sync(_is_supervised, front.state_dir, await _holder(front))
    async with front.db.read() as tx:
        counts = await count_by_state(tx)
        active = await tasks_in(tx, sorted(ACTIVE), MAX_ACTIVE)
        queued = await tasks_in(tx, [State.QUEUED], MAX_QUEUED)
        asked = first_questions(await open_questions(tx))
        alerts = await open_alerts(tx, time.time())
        reserved = await reservations(tx, time.time())
        work = await has_work(tx)
        last = await holder(tx)
    return Overview(
        counts={str(state): count for state, count in counts.items()},
        active=[row_of(task, asked.get(task.id)) for task in active],
        queued=_queued(queued),
        reservations=[reservation_view(each) for each in reserved] or None,
        open_alerts=[alert_view(alert.event) for alert in alerts[:MAX_ALERTS]] or None,
        supervisor=SupervisorView(
            alive=held,
            unattended=work and not held,
            epoch=last.epoch,
            pid=_pid(last) if held else None,
            beat_age_seconds=_beat_age_s(front.state_dir) if held else None,
        ),
        level=settings.monitoring.level,
        concurrency=Concurrency(
            active=sum(count for state, count in counts.items() if state in ACTIVE),
            soft=settings.limits.soft_max_concurrent,
            hard=settings.limits.hard_max_concurrent,
        ),
        machine=await machine(front, [f"{task.id}.{task.run}" for task in active]),
        state_dir=str(front.state_dir),
    )


async def attend(front: Front) -> bool:
    """Start a supervisor if there is work and none; give whether this did.

    Raises:
        SupervisorError: no process can be started.
    """
    async with front.db.read() as tx:
        needed = await has_work(tx)
    return needed and ensure_supervisor(front.state_dir, front.env)


def _queued(first: Sequence[Task]) -> list[QueuedTask]:
    """Show the first queued tasks, in the order in which they would start."""
    shown: list[QueuedTask] = []
    ahead = 0
    for task in first:
        place = queue_view(task, ahead)
        shown.append(QueuedTask(task_id=task.id, name=task.name, priority=task.priority.name, queue=place))
        ahead += is_in_line(task.hold)
    return shown


async def _holder(front: Front) -> Holder:
    async with front.db.read() as tx:
        return await holder(tx)


def _is_supervised(state_dir: Path, last: Holder) -> bool:
    """Whether there is a supervisor, or one is starting.

    The lock is tried only if the last one is dead: trying takes it for a moment, and a front that wants to
    start a supervisor just then would believe that there is one.
    """
    return _pid(last) is not None or is_held(state_dir)


def _pid(last: Holder) -> int | None:
    """Give the pid of the last supervisor, None if it is dead or unknown here."""
    if last.identity is None:
        return None
    identity = Identity.parse(last.identity)
    return identity.pid if is_alive(identity) else None


def _beat_age_s(state_dir: Path) -> float | None:
    try:
        return round(max(0.0, time.time() - (state_dir / "beat").stat().st_mtime), 1)
    except OSError:
        return None
