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
        grace_s: how long processes may take between SIGTERM and SIGKILL.
        began: when the stop began, on the monotonic clock.
    """

    grace_s: float
    began: float
    _asked: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    _sent: dict[str, None] = field(default_factory=dict[str, None])

    def reached(self, identity: Identity | None) -> bool:
        """Whether a signal of ours reached this process."""
        return identity is not None and (identity.pid, identity.start) in self._asked

    def press(self, scan: Callable[[], list[Process]], now: float) -> int:
        """Send what is due to every living process of the tree; give how many there were at the last look."""
        processes = scan()
        if now - self.began < self.grace_s:
            for process in processes:
                if (process.pid, process.start) not in self._asked:
                    self._send(process, signal.SIGTERM)
                    self._send(process, signal.SIGCONT)  # a stopped process cannot act upon SIGTERM
            return len(processes)
        for _ in range(RESCANS):
            if not processes:
                break
            for process in processes:
                self._send(process, signal.SIGKILL)
            processes = scan()
        return len(processes)

    def _send(self, process: Process, number: signal.Signals) -> None:
        if send(Identity(boot_id(), pid_namespace(), process.pid, process.start), number):
            self._asked.add((process.pid, process.start))
            self._sent[number.name] = None

    def report(self, now: float) -> JSON:
        """Say what was done: processes reached, signals in the order of their first use, seconds."""
        return {
            "processes": len(self._asked),
            "signals": [name for name in self._sent if name != signal.SIGCONT.name],
            "tookSeconds": round(now - self.began, 3),
        }
