"""The processes of one run, and what they have used together: counters that never fall.

What a parent takes over from children that it has waited for (wait(2)) makes them complete: a process that came and
went between two passes is in its parent's times, a main process and orphans in the keeper's. Not counted is what nobody
of the tree has waited for: of children of a process that ignores SIGCHLD what they used after their last reading, and
what the supervisor or init reaped for a dead keeper. Switches are those of processes that were seen.
"""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from typing import Final

from claudine_mcp.core.samples import TreeSample
from claudine_mcp.host.probes import Probe, Reading, Transfer
from claudine_mcp.host.wait_channels import wait_channels

SLOW_S: Final = 5.0
"""Between two readings of descriptors, and of what is read from disk and written to it."""
WEIGH_S: Final = 30.0
"""Between two readings of PSS: 0.2 ms for a process of 10 MB, 6 ms for one of 300 MB, 12 ms for one of 1 GB."""
FIRST_WEIGHED_S: Final = 5.0
CHANNELS_S: Final = 5.0
"""Between two looks at what threads wait for: 10 µs each."""

_NOTHING: Final = Reading(0, 0, 0, 0, 0, 0, 0, 0, 0)


class Inherited:
    """A counter that is summed over a tree in which a parent takes over the number of a child that has ended."""

    def __init__(self) -> None:
        self.total = 0
        self._last = 0
        self._owed = 0

    def fold(self, summed: int) -> int:
        """Take the sum as it is now; give the counter, which does not fall.

        A sum that has fallen has lost a child whose parent was read just before it took the number over. The parent's
        next reading has it, and that is no news; nor is it owed any longer, since the parent may never take it.
        """
        gain, self._last = summed - self._last, summed
        self.total += max(0, gain - self._owed)
        self._owed = max(0, -gain)
        return self.total


class Tree:
    """One run's processes, and its counters.

    Args:
        phase: 0 to 1: when within their intervals the slow readings are due.
    """

    def __init__(self, phase: float) -> None:
        self.keeper: Probe | None = None
        self.probes: dict[int, Probe] = {}
        self.weigh_at = math.inf
        self._phase = phase
        self._slow_at = -math.inf
        self._sums = _NOTHING
        self._started = self._gone_own_us = self._gone_switches = 0
        self._keeper_waited_us = 0
        self._keeper_transfer: Transfer | None = None
        self._waited_us = Inherited()
        self._transferred: dict[int, Transfer] = {}
        self._read_bytes, self._written_bytes = Inherited(), Inherited()
        self._others: dict[int, tuple[int, int | None]] = {}
        self._slow: dict[str, int | None] = {}
        self._channels: frozenset[str] | None = None
        self._channels_at = -math.inf
        self._pss: tuple[int | None, float | None] = (None, None)

    def keep(self, keeper: Probe) -> None:
        """Count what its keeper has reaped."""
        self.keeper = keeper
        self._keeper_waited_us = keeper.reading.waited_us

    def add(self, probe: Probe) -> None:
        """Count a process that belongs to the run."""
        self.probes[probe.process.pid] = probe
        self._started += 1
        self._exchange(_NOTHING, probe.reading)

    def remove(self, pid: int) -> None:
        """Stop counting a process; what it has used stays."""
        probe = self.probes.pop(pid)
        probe.close()
        self._exchange(probe.reading, _NOTHING)
        self._gone_own_us += probe.reading.own_us
        self._gone_switches += probe.reading.switches
        self._transferred.pop(pid, None)
        self._others.pop(pid, None)

    def _exchange(self, before: Reading, after: Reading) -> None:
        self._sums = Reading(*map(operator.add, self._sums, map(operator.sub, after, before)))

    def read(self, at: float) -> list[int]:
        """Read every process; give the pids of those that have gone, the keeper's too, which are dropped."""
        afresh = at >= self._slow_at
        gone: list[int] = []
        # The keeper first, and parents before children: what a child that leaves meanwhile has used is then in no
        # sum until the next pass. In the other order it would be in two.
        if self.keeper is not None:
            reading = self.keeper.read(afresh=afresh)
            if reading is not None:
                self._keeper_waited_us = reading.waited_us
            if reading is None or not reading.alive:
                gone.append(self.keeper.process.pid)
                self.keeper.close()
                self.keeper = None
        for pid, probe in self.probes.items():
            before = probe.reading
            reading = probe.read(afresh=afresh)
            if reading is None:
                gone.append(pid)
            elif reading is not before:
                self._exchange(before, reading)
        for pid in gone:
            if pid in self.probes:
                self.remove(pid)
        return gone

    def sample(self, at: float, output_bytes: int) -> TreeSample:
        """Give what was read, and what is read rarely if it is due."""
        if at >= self._slow_at:
            is_first = self._slow_at == -math.inf
            if is_first:
                self.weigh_at = at + FIRST_WEIGHED_S * (1 + self._phase)
            self._slow_at = at + SLOW_S * (1 - self._phase / 2 if is_first else 1)
            self._read_slowly()
        sums = self._sums
        waited_us = self._waited_us.fold(sums.waited_us + self._keeper_waited_us - self._gone_own_us)
        return TreeSample(
            at=at,
            processes=sums.alive,
            stopped=sums.stopped,
            runnable=sums.runnable,
            threads=sums.threads,
            rss_bytes=sums.rss_bytes,
            vsz_bytes=sums.vsz_bytes,
            cpu_s=(sums.own_us + self._gone_own_us + waited_us) / 1_000_000,
            switches=sums.switches + self._gone_switches,
            output_bytes=output_bytes,
            pss_bytes=self._pss[0],
            pss_at=self._pss[1],
            fds=self._slow.get("fds"),
            most_fds=self._slow.get("most_fds"),
            read_bytes=self._slow.get("read_bytes"),
            written_bytes=self._slow.get("written_bytes"),
            started=self._started,
        )

    def with_weight(self, sample: TreeSample) -> TreeSample:
        """Give a sample with the memory that was weighed after it had been made."""
        return replace(sample, pss_bytes=self._pss[0], pss_at=self._pss[1])

    def weigh(self, at: float) -> None:
        """Read the memory that is really used; of what may not be read, the upper bound."""
        self.weigh_at = at + WEIGH_S
        weights = [
            (probe.pss_bytes(), probe.reading) for probe in self.probes.values() if probe.reading.alive
        ]
        if any(pss is not None for pss, _ in weights):
            self._pss = sum(reading.rss_bytes if pss is None else pss for pss, reading in weights), at

    def wait_channels(self, at: float) -> frozenset[str] | None:
        """Give in which functions of the kernel its threads sleep, read every few seconds; None: nobody tells."""
        if at - self._channels_at >= CHANNELS_S:
            self._channels_at = at
            alive = [probe.process.pid for probe in self.probes.values() if probe.reading.alive]
            self._channels = wait_channels(alive)
        return self._channels

    def _read_slowly(self) -> None:
        alive = [probe for probe in self.probes.values() if probe.reading.alive]
        counted = [fds for probe in alive if (fds := probe.fds()) is not None]
        self._slow = {"fds": sum(counted) if counted else None, "most_fds": max(counted, default=None)}
        # The keeper first, and parents before children, as in `read`.
        if self.keeper is not None:
            self._keeper_transfer = self.keeper.transfer() or self._keeper_transfer
        for probe in alive:
            transfer = probe.transfer()
            if transfer is not None:
                self._transferred[probe.process.pid] = transfer
            self._see_other_threads(probe)
        moved = [*self._transferred.values(), *([self._keeper_transfer] if self._keeper_transfer else [])]
        if moved:
            self._slow["read_bytes"] = self._read_bytes.fold(sum(item.read_bytes for item in moved))
            self._slow["written_bytes"] = self._written_bytes.fold(sum(item.written_bytes for item in moved))

    def _see_other_threads(self, probe: Probe) -> None:
        """Count other threads' switches while the main one does none: it may only be waiting for them."""
        pid, reading = probe.process.pid, probe.reading
        main_before, others_before = self._others.get(pid, (None, None))
        stands = reading.threads > 1 and main_before in {None, reading.switches}
        others = probe.other_switches() if stands else None
        if others is not None and others_before is not None:
            self._gone_switches += max(0, others - others_before)
        self._others[pid] = reading.switches, others

    def close(self) -> None:
        """Let go of every process."""
        for probe in (*self.probes.values(), *([] if self.keeper is None else [self.keeper])):
            probe.close()
        self.probes.clear()
        self.keeper = None
