"""Claude Code on this machine that no task of ours has started: seen, and never touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from claudine_mcp.core.samples import OtherClaude
from claudine_mcp.host.probes import Probe, Probes, best_probes
from claudine_mcp.host.processes import Process, reader

NAME: Final = "claude"
"""What it is called, the native program as well as the one that Node.js runs."""
LOOK_EVERY_S: Final = 5.0
GUARDIANS: Final = frozenset({"systemd", "init", "launchd"})
"""Who takes the children of a parent that has died, besides process 1."""


class OtherClaudes:
    """Those that are known, and what they use."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._known: dict[int, Probe] = {}
        self._last = OtherClaude()
        self._due_at: float | None = None

    def meet(self, found: Iterable[Process]) -> None:
        """Take note of processes that belong to no run of ours."""
        for process in found:
            known = self._known.get(process.pid)
            if process.name != NAME or (known is not None and known.process.start == process.start):
                continue
            # One with a marker is a task's of another state directory.
            if process.zombie or reader().marker(process.pid) is not None:
                continue
            if (probe := self._probes.open(process)) is not None:
                self._forget(process.pid)
                self._known[process.pid] = probe
                self._due_at = None

    def look(self, at: float) -> OtherClaude:
        """Give how many there are and what they use, as it was a few seconds ago or is now."""
        if self._due_at is None or at >= self._due_at:
            self._due_at = at + LOOK_EVERY_S
            for pid, probe in list(self._known.items()):
                reading = probe.read(afresh=True)
                if reading is None or not reading.alive:
                    self._forget(pid)
            living = self._known.values()
            self._last = OtherClaude(
                processes=len(living),
                rss_bytes=sum(probe.reading.rss_bytes for probe in living),
                orphans=sum(is_orphan(probe.process.pid) for probe in living),
            )
        return self._last

    def close(self) -> None:
        """Let go of them."""
        for pid in list(self._known):
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        if (probe := self._known.pop(pid, None)) is not None:
            probe.close()


def is_orphan(pid: int) -> bool:
    """Whether a process has lost terminal and parent; not one that leads a session of its own, as a service does."""
    process = reader().process(pid)
    if process is None or process.session == pid or reader().has_terminal(pid):
        return False
    parent = reader().process(process.ppid)
    return process.ppid == 1 or (parent is not None and parent.name in GUARDIANS)


def count_other_claude() -> OtherClaude:
    """Look at all processes now."""
    probes = best_probes()
    others = OtherClaudes(probes)
    try:
        others.meet(reader().snapshot().values())
        return others.look(0.0)
    finally:
        others.close()
        probes.close()
