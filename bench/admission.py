"""What it costs to decide about a thousand queued tasks while a hundred run, beside sorting them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from harness import Row, p95, spread

from claudine_mcp.core.admission import (
    Active,
    Caps,
    Machine,
    Reservation,
    Situation,
    Starts,
    Waiting,
    decide,
    order,
)
from claudine_mcp.core.demand import Need
from claudine_mcp.core.eta import Eta
from claudine_mcp.core.models import Kind, Priority

QUEUED, RUNNING = 1000, 100
NOW = 1_000_000.0
GB = 10**9
MOST_MS = 10.0


def measure(*, quick: bool) -> list[Row]:
    """Decide again and again, about other queues each time: held by a cap, held by memory, and with much to start."""
    rounds = 40 if quick else 200
    rows: list[Row] = []
    for what, caps, free, reservations in (
        ("held by the soft cap", Caps(RUNNING, 2 * RUNNING), 500, 0),
        ("held by memory, some backfilled", Caps(500, 1000), 9, 2),
        ("all started", Caps(QUEUED + RUNNING, QUEUED + RUNNING), 50_000, 0),
    ):
        rng = random.Random(1)
        decided: list[float] = []
        sorted_only: list[float] = []
        admitted = 0
        for _ in range(rounds):
            situation = _situation(rng, caps, free * GB, reservations)
            admitted += len(decide(situation).admit)
            decided.append(_cpu_s(lambda given=situation: decide(given)))
            sorted_only.append(_cpu_s(lambda given=situation: _sort(given)))
        rows.append(
            Row(
                f"{QUEUED} queued, {RUNNING} running, {what}: a decision (p95)",
                1000 * p95(decided),
                "ms",
                MOST_MS,
                f"{spread(decided)}; {admitted / rounds:.0f} started; sorting alone: {spread(sorted_only)}",
            )
        )
    return rows


def _cpu_s(work: Callable[[], object]) -> float:
    """Give the processor time of this thread: what else the machine does is not the decision's cost."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _sort(situation: Situation) -> list[Waiting]:
    return sorted(situation.waiting, key=lambda task: order(task, situation.now, situation.ageing_s))


def _situation(rng: random.Random, caps: Caps, free_bytes: int, reservations: int) -> Situation:
    active = [
        Active(
            f"a{number}",
            need=_need(rng),
            memory_bytes=rng.randrange(GB),
            ends=_eta(rng) if number % 3 else None,
            admitted_at=NOW - rng.uniform(0, 900),
        )
        for number in range(RUNNING)
    ]
    grow = sum(max(0.0, task.need.mean_bytes - (task.memory_bytes or 0)) for task in active if task.need)
    waiting = [
        Waiting(
            f"t{number}",
            number,
            rng.choice(list(Priority)),
            NOW - rng.uniform(0, 2000),
            kind=rng.choice(list(Kind)),
            need=_need(rng),
            preferred=_need(rng) if number % 10 == 0 else None,
            lasts=_eta(rng) if number % 3 else None,
        )
        for number in range(QUEUED)
    ]
    machine = Machine(512 * GB, round(grow) + GB + free_bytes, GB, load=1.0, processors=64.0)
    kept = [Reservation(f"r{number}", GB, 1, f"t{number}") for number in range(reservations)]
    starts = Starts(QUEUED, 2.0, [NOW - 1.0] * 10)
    return Situation(
        waiting, active, caps, NOW, machine=machine, max_load=4.0, starts=starts, reservations=kept
    )


def _need(rng: random.Random) -> Need:
    mean = rng.uniform(0.05, 2.0) * GB
    return Need(mean, 0.2 * mean, 1.3 * mean)


def _eta(rng: random.Random) -> Eta:
    p50_s = rng.uniform(5, 600)
    return Eta(p50_s, p50_s * rng.uniform(1.2, 4))
