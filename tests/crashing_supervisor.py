"""A supervisor that kills itself at a chosen point, to be run in place of the ordinary one.

``CRASH_AT`` is the name of a point and the number of its occurrence, like ``commit>:3``; ``CRASH_LOG`` a file
that every point is appended to as it is passed. A point is what `Context.trace` is told, or one of

- ``commit<``, ``commit>``: before and after a transaction of the registry is committed;
- ``spawn<``, ``spawn>``: before and after a keeper is started, with what it is to run written down;
- ``go<``, ``go>``: before and after a keeper is told to go;
- ``signal<``, ``signal>``: before and after a process gets a signal;
- ``files<``, ``files>``: before and after the files of a removed task go.

With ``PAUSE_AT`` it waits at such a point, as a whole, until the file ``PAUSE_UNTIL`` is there.

It does not sweep what is old: that comes at its own times, and would upset the count of transactions.
``CRASH_KEEPER`` is put in place of the keeper's source. ``CRASH_BLIND`` makes it a supervisor that learns the
exit status of a process neither by waiting for it nor from the kernel. ``CLOCK`` is a file that says by how many
seconds its clock is ahead. ``MEMORY`` is a folder in which tasks of `eating` say how much memory they hold, and
``total`` how much there is: the machine seems to have no more, and protective mode has ten times less patience; that
tasks will need so much nobody foresees. ``load`` in it, if it is there, is the load of two processors that seem short.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from claudine_mcp.core.demand import Demand, Need
from claudine_mcp.core.history import marks
from claudine_mcp.core.policy import Pace
from claudine_mcp.core.samples import OtherClaude, Pressure, SystemSample
from claudine_mcp.executors import local
from claudine_mcp.host import suspending
from claudine_mcp.host.system import SystemSampler
from claudine_mcp.registry.database import Database, Transaction
from claudine_mcp.supervisor import loop, observation, orders, process, stopping
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.protection import Protection
from claudine_mcp.supervisor.retention import Retention

QUICK_PACE = Pace(
    dwell_s=0.5,
    between_s=1.5,
    resume_dwell_s=3.0,
    longest_dwell_s=60.0,
    relapse_s=10.0,
    trial_s=1.5,
    leak_s=30.0,
    load_s=3.0,
)
_passed: Counter[str] = Counter()
_at = os.environ.get("CRASH_AT", "")
_log = Path(os.environ["CRASH_LOG"])


def passing(point: str) -> None:
    """Note that a point was reached; die there if it is the chosen one."""
    _passed[point] += 1
    name = f"{point}:{_passed[point]}"
    with _log.open("a") as file:
        file.write(name + "\n")
    if name == _at:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == os.environ.get("PAUSE_AT"):
        while not Path(os.environ["PAUSE_UNTIL"]).exists():
            time.sleep(0.005)


def around(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Put a point before and after a call."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        passing(f"{name}<")
        result = function(*args, **kwargs)
        passing(f"{name}>")
        return result

    return wrapped


class TracedPopen(subprocess.Popen[bytes]):
    """Passes a point before and after its start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        passing("spawn<")
        super().__init__(*args, **kwargs)
        passing("spawn>")


class Forgetful(dict[int, int]):
    """Keeps nothing."""

    def __setitem__(self, key: int, value: int) -> None:
        pass


class TracedContext(Context):
    """Tells its steps to `passing`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, trace=passing)
        if os.environ.get("CRASH_BLIND"):
            self.statuses = Forgetful()


async def no_sweep(self: Retention) -> None:
    """Leave what is old."""


def patch() -> None:
    """Set the points."""
    write = Database.write

    @asynccontextmanager
    async def traced_write(self: Database) -> AsyncIterator[Transaction]:
        async with write(self) as tx:
            yield tx
            passing("commit<")
        passing("commit>")

    Database.write = traced_write
    local.subprocess.Popen = TracedPopen
    local.Launched.go = around("go", local.Launched.go)
    stopping.send = around("signal", stopping.send)
    suspending.send = around("signal", suspending.send)
    orders.shutil.rmtree = around("files", orders.shutil.rmtree)
    process.Context = TracedContext
    Retention.sweep = no_sweep
    if keeper := os.environ.get("CRASH_KEEPER"):
        local.KEEPER_SOURCE = Path(keeper)
    if os.environ.get("CRASH_BLIND"):
        observation.wait_status = lambda _pidfd: None
        observation.STATUS_WAIT_S = 0.2
    if clock := os.environ.get("CLOCK"):
        Context.wall = staticmethod(lambda: time.time() + float(Path(clock).read_text()))


def narrow(folder: Path) -> None:
    """Make the machine as small as the file `total` says, and used by those alone who say so in the folder."""
    sample = SystemSampler.sample

    def narrowed(self: SystemSampler, at: float, other_claude: OtherClaude) -> SystemSample:
        total = int((folder / "total").read_text())
        used = sum(int(path.read_text() or 0) for path in folder.glob("*.bytes"))
        seen = replace(
            sample(self, at, other_claude), total_bytes=total, available_bytes=max(0, total - used)
        )
        if not (load := folder / "load").exists():
            return seen
        return replace(seen, load=float(load.read_text()), cpus=2, pressure=Pressure(0, 0, 90, 0, 0))

    SystemSampler.sample = narrowed
    Demand.need = lambda self, of, at: Need(0.0, 0.0, 0.0)
    marks.MARK_S = 0.5
    loop.Protection = partial(Protection, pace=QUICK_PACE)


if __name__ == "__main__":
    patch()
    if memory := os.environ.get("MEMORY"):
        narrow(Path(memory))
    sys.exit(process.main())
