"""Stopping a whole tree where it stands, and letting it go on; both looked at until they are true."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from claudine_mcp.core.identity import Identity
from claudine_mcp.host.processes import Process, boot_id, pid_namespace, reader
from claudine_mcp.host.signals import send

ROUNDS: Final = 20
"""How often one `press` looks for processes that were forked meanwhile."""

_STOPPED: Final = frozenset("Tt")
_DEAD: Final = frozenset("ZX")
_UNINTERRUPTIBLE: Final = frozenset("D")


@dataclass(frozen=True, slots=True)
class Standing:
    """The living processes of a tree, by what they do.

    Attributes:
        stopped: every thread of it is stopped, by a signal or a debugger.
        waiting: threads of it wait inside the kernel, and nothing else of it runs: those that were sent SIGSTOP
            stop when they come out. The parent of a `vfork` waits so until its child has begun something else, which
            it cannot do while it is stopped.
        running: all others, asleep or not.
    """

    stopped: tuple[Process, ...] = ()
    waiting: tuple[Process, ...] = ()
    running: tuple[Process, ...] = ()

    @property
    def count(self) -> int:
        """How many processes there are."""
        return len(self.stopped) + len(self.waiting) + len(self.running)


def standing(processes: Iterable[Process]) -> Standing:
    """Look at what each of these processes does now; those that have gone are left out."""
    found: dict[str, list[Process]] = {"stopped": [], "waiting": [], "running": []}
    for process in processes:
        states = set(reader().states(process.pid)) - _DEAD
        if not states:
            continue
        if states <= _STOPPED:
            found["stopped"].append(process)
        elif states <= _STOPPED | _UNINTERRUPTIBLE:
            found["waiting"].append(process)
        else:
            found["running"].append(process)
    return Standing(*map(tuple, found.values()))


@dataclass
class Suspender:
    """One suspension of one tree: call `press` until nothing runs.

    Attributes:
        scan: gives the living processes of the tree, parents first.
    """

    scan: Callable[[], list[Process]]
    _known: list[Process] = field(default_factory=list[Process])

    def press(self) -> Standing:
        """Send SIGSTOP to whatever is new or still runs, parents first; look again until nothing new appears."""
        held = Standing()
        for _ in range(ROUNDS):
            # Before the look: what is stopped by now has no children that the look would miss.
            held = standing(self._known)
            known = {(process.pid, process.start) for process in self._known}
            self._known = self.scan()
            fresh = [process for process in self._known if (process.pid, process.start) not in known]
            for process in (*fresh, *held.running):
                send(_identity(process), signal.SIGSTOP)
            if not fresh:
                return held
        return standing(self._known)


@dataclass
class Resumer:
    """The end of a suspension: call `press` until nothing is stopped.

    Children go on before their parents: a shell that controls jobs would otherwise find a child stopped, and take
    it for one that the user has put aside.

    Attributes:
        scan: gives the living processes of the tree, parents first.
    """

    scan: Callable[[], list[Process]]
    reached: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def press(self) -> Standing:
        """Send SIGCONT to whatever is stopped, or is about to be; give how all stand then."""
        processes = self.scan()
        held = standing(processes)
        stopped, waiting = set(held.stopped), set(held.waiting)
        for process in reversed(processes):
            is_news = (process.pid, process.start) not in self.reached
            is_due = process in stopped or (process in waiting and is_news)
            if is_due and send(_identity(process), signal.SIGCONT):
                self.reached.add((process.pid, process.start))
        return standing(processes)


def _identity(process: Process) -> Identity:
    return Identity(boot_id(), pid_namespace(), process.pid, process.start)
