"""Trees of processes for tests of what is done with all of them, and how to see whether any of them makes progress."""

from __future__ import annotations

import sys
from pathlib import Path

from support import Home, in_state, wait_for

from claudine_mcp.core.models import Task
from claudine_mcp.core.states import State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.processes import reader

NOTE = "import os, sys, time\nopen('pids', 'a').write(f'{os.getpid()}\\n')\n"
"""Every process of a tree notes its pid."""
WORK = "while not os.path.exists('done'): time.sleep(0.001); sum(range(1000))\n"
"""Uses a little processor time all the time, until the test has seen enough."""
_CHILD = "    " + NOTE.replace("\n", "\n    ") + WORK + "    os._exit(0)\n"
_ESCAPED = f"if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n{_CHILD}"

TREES = {
    "one": (NOTE + WORK, 1),
    "children": (NOTE + f"for _ in range(3):\n  if os.fork() == 0:\n{_CHILD}" + WORK, 4),
    "a child in a session of its own": (NOTE + f"if os.fork() == 0:\n    os.setsid()\n{_CHILD}" + WORK, 2),
    "a daemonised grandchild": (NOTE + _ESCAPED + WORK, 2),
    "several threads": (
        NOTE + "import threading\nfor _ in range(5):\n"
        "    threading.Thread(target=lambda: [time.sleep(0.001) for _ in iter(lambda: os.path.exists('done'), True)]"
        ").start()\n" + WORK,
        1,
    ),
    "fifty": (NOTE + f"for _ in range(49):\n  if os.fork() == 0:\n{_CHILD}" + WORK, 50),
}
"""Scripts, each with the number of its processes."""


async def tree(home: Home, front: Front, script: str, processes: int) -> tuple[Task, list[int]]:
    """Run a script as a task; give it and the pids of its processes, once all are there."""
    task = await front.submit_command(CommandRequest([sys.executable, "-c", script + "print('right')"]))
    await wait_for(lambda: len(set(home.lines("pids"))) >= processes, what=f"{processes} processes")
    return await in_state(front, task, State.RUNNING), sorted({int(pid) for pid in home.lines("pids")})


def cpu_ticks(pids: list[int]) -> list[int]:
    """Give the processor time of each process so far, its children that it waited for included; 0 if it has gone."""
    return [sum(map(int, (_fields(pid) or ["0"] * 15)[11:15])) for pid in pids]


def switches(pids: list[int]) -> list[int]:
    """Give how often all threads of each process were given a processor: finer than its time."""
    return [sum(_runs(thread) for thread in Path(f"/proc/{pid}/task").glob("*")) for pid in pids]


def _runs(thread: Path) -> int:
    try:
        return int((thread / "schedstat").read_text().split()[2])
    except OSError:
        return 0


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def stopped(pids: list[int]) -> list[bool]:
    """Say of each process whether all of it is stopped, or will be before it does anything: the parent of a vfork."""
    return [set(reader().states(pid)) <= {"T", "D"} for pid in pids]


def marked(run: str) -> list[int]:
    """Give the living processes that carry a run's marker."""
    found = reader().snapshot().values()
    return sorted(item.pid for item in found if not item.zombie and reader().marker(item.pid) == run)
