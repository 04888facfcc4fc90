"""What it costs to judge a thousand runs, tick by tick."""

from __future__ import annotations

import random
import time

from harness import Row, p95, spread

from claudine_mcp.core.recognition import Recognition, Seen
from claudine_mcp.core.rules import MachineLimits, RunLimits
from claudine_mcp.core.samples import SystemSample, TreeSample

RUNS = 1000
SILENT = 3
"""One run in so many says nothing, and is stalled after a while."""
START = 10_000.0


def measure(*, quick: bool) -> list[Row]:
    """Judge a thousand runs of three processes for some minutes; a third of them stall meanwhile."""
    ticks = 360 if quick else 900
    recognition, limits, machine = Recognition(), RunLimits(), MachineLimits(soft_max_concurrent=RUNS)
    rng, told = random.Random(1), 0
    calm: list[float] = []
    stalled: list[float] = []
    for tick in range(ticks):
        seen = {f"t{number}.1": Seen(_sample(tick, number, rng), limits) for number in range(RUNS)}
        system = SystemSample(START + tick, 64 * 10**9, 40 * 10**9, 0, 0, 1.0, 8.0, 10**11, 10**12)
        # Processor time of this thread: what else the machine does is not the rules' cost.
        began = time.thread_time()
        for run_id in seen:
            recognition.wants(run_id, limits)
        told += len(recognition.tick(seen, system, machine, START + tick))
        spent = time.thread_time() - began
        (calm if tick < limits.stall_s else stalled).append(spent)
    return [
        Row(f"rules for {RUNS} runs, a tick (p95)", 1000 * p95(calm), "ms", 20, spread(calm)),
        Row(
            "… a third of which are stalled (p95)",
            1000 * p95(stalled),
            "ms",
            20,
            f"{spread(stalled)}; {told} told",
        ),
    ]


def _sample(tick: int, number: int, rng: random.Random) -> TreeSample:
    return TreeSample(
        at=START + tick,
        processes=3,
        stopped=0,
        runnable=0,
        threads=9,
        rss_bytes=300_000_000 + rng.randrange(10**6),
        vsz_bytes=10**9,
        cpu_s=0.01 * tick,
        switches=20 * tick,
        output_bytes=100 * tick if number % SILENT else 0,
        pss_bytes=200_000_000,
        pss_at=START + tick - tick % 30,
        fds=50,
        most_fds=20,
        read_bytes=1000 * (tick // 5),
        written_bytes=1000 * (tick // 5),
    )
