"""Ending a whole tree: asked first, then made to, and looked at again until nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from claudine_mcp.core.identity import Identity
from claudine_mcp.core.models import JSON
from claudine_mcp.host.processes import Process, boot_id, pid_namespace
from claudine_mcp.host.signals import send

RESCANS = 20
"""How often one round of SIGKILL looks for processes that were forked meanwhile."""


@dataclass
class Stopper:
    """One stop of one tree. Call `press` until the tree is empty.

    Attributes:
        grace_s: how long processes may take between the first signal and SIGKILL.
        began: when the stop began, on the monotonic clock.
        gentle: the main process of a program that on SIGINT ends what it has begun, and writes down what it has;
            for half of the grace, and as long as it lives, nothing else is asked to end.
    """

    grace_s: float
    began: float
    gentle: Identity | None = None
    _asked: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    _told_to_end: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    _sent: dict[str, None] = field(default_factory=dict[str, None])

    def reached(self, identity: Identity | None) -> bool:
        """Whether a signal of ours reached this process."""
        return identity is not None and _key(identity) in self._asked

    def press(self, scan: Callable[[], list[Process]], now: float) -> int:
        """Send what is due to every living process of the tree; give how many there were at the last look."""
        processes = scan()
        if now - self.began < self.grace_s:
            if self._is_gentle(processes, now):
                return len(processes)
            for process in processes:
                if (process.pid, process.start) not in self._told_to_end:
                    if self._send(process, signal.SIGTERM):
                        self._told_to_end.add((process.pid, process.start))
                    self._send(process, signal.SIGCONT)  # a stopped process cannot act upon SIGTERM
            return len(processes)
        for _ in range(RESCANS):
            if not processes:
                break
            for process in processes:
                self._send(process, signal.SIGKILL)
            processes = scan()
        return len(processes)

    def _is_gentle(self, processes: list[Process], now: float) -> bool:
        """Ask the main process alone, once; give whether it still has time."""
        if self.gentle is None or now - self.began >= self.grace_s / 2:
            return False
        main = next((item for item in processes if (item.pid, item.start) == _key(self.gentle)), None)
        if main is None:
            return False
        if not self.reached(self.gentle):
            self._send(main, signal.SIGINT)
            self._send(main, signal.SIGCONT)
        return True

    def _send(self, process: Process, number: signal.Signals) -> bool:
        is_sent = send(Identity(boot_id(), pid_namespace(), process.pid, process.start), number)
        if is_sent:
            self._asked.add((process.pid, process.start))
            self._sent[number.name] = None
        return is_sent

    def report(self, now: float) -> JSON:
        """Say what was done: processes reached, signals in the order of their first use, seconds."""
        return {
            "processes": len(self._asked),
            "signals": [name for name in self._sent if name != signal.SIGCONT.name],
            "tookSeconds": round(now - self.began, 3),
        }


def _key(identity: Identity) -> tuple[int, int]:
    return identity.pid, identity.start
