"""The trees of all runs, read in one pass: each process once, and of the rest of the machine only what is new."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from claudine_mcp.core.samples import OtherClaude, TreeSample
from claudine_mcp.host.claude_processes import OtherClaudes
from claudine_mcp.host.forest import NOBODY, Forest, Root
from claudine_mcp.host.probes import Probes, best_probes
from claudine_mcp.host.processes import reader
from claudine_mcp.host.tree import Tree

WEIGH_CPU_S: Final = 0.02
"""What weighing may take of one pass; one tree is weighed in any case, the others in the next passes."""
SURVEY_S: Final = 30.0
"""Between two looks at every process of the machine, whatever is known of it already."""
_GOLDEN: Final = 0.618034
"""Its multiples are spread evenly between whole numbers, however many there are."""


class TreeSampler:
    """Samples the trees of all runs. Blocks for as long as that takes; not for two threads at once.

    Args:
        probes: how processes are read; None: as fast as this system can.
    """

    def __init__(self, probes: Probes | None = None) -> None:
        self._probes = best_probes() if probes is None else probes
        self._forest = Forest()
        self._trees: dict[str, Tree] = {}
        self._others = OtherClaudes(self._probes)
        self._followed = 0
        self._surveyed_at: float | None = None
        self._leaves_open = False

    def sample(
        self,
        roots: Mapping[str, Root],
        outputs: Mapping[str, int],
        at: float,
        *,
        weigh: Collection[str] = (),
        look_into: Collection[str] = (),
    ) -> dict[str, TreeSample]:
        """Make one pass; give a sample of each run.

        Args:
            roots: where each run begins, by run id.
            outputs: bytes that each run has printed.
            at: now, on the monotonic clock.
            weigh: runs whose PSS is read now, though it is not due.
            look_into: runs of which one wants to know what their threads wait for.
        """
        changed = self._follow(roots)
        for tree in self._trees.values():
            for pid in tree.read(at):
                self._forest.leave(pid)
        self._discover(at, afresh=changed or self._leaves_open)
        samples = {run: tree.sample(at, outputs.get(run, 0)) for run, tree in self._trees.items()}
        for run in self._weigh(at, weigh):
            samples[run] = self._trees[run].with_weight(samples[run])
        for run in look_into:
            if run in samples:
                samples[run] = replace(samples[run], wait_channels=self._trees[run].wait_channels(at))
        return samples

    def other_claude(self, at: float) -> OtherClaude:
        """Give what was found of Claude Code that is not ours; read again every few seconds."""
        return self._others.look(at)

    def close(self) -> None:
        """Let go of everything."""
        for tree in self._trees.values():
            tree.close()
        self._others.close()
        self._probes.close()

    def _follow(self, roots: Mapping[str, Root]) -> bool:
        if not self._forest.follow(roots):
            return False
        for run in self._trees.keys() - roots.keys():
            self._trees.pop(run).close()
        for run in roots.keys() - self._trees.keys():
            self._followed += 1
            self._trees[run] = Tree(self._followed * _GOLDEN % 1)
        for run, tree in self._trees.items():
            # A run that is new here may begin with a process that was taken for another run's.
            for pid in tree.probes.keys() - self._forest.members[run].keys():
                tree.remove(pid)
        return True

    def _discover(self, at: float, *, afresh: bool) -> None:
        """Find processes that are new, and say whose they are."""
        census = self._probes.census(afresh=afresh)
        if census is None:
            return
        if census.reused or self._surveyed_at is None or at - self._surveyed_at >= SURVEY_S:
            self._surveyed_at = at
            self._forest.forget_nobodies()
        self._forest.keep_only(set(census.pids))
        read = reader().process
        found = {pid: process for pid in census.pids if pid not in self._forest and (process := read(pid))}
        gone: list[int] = []
        for run, process in self._forest.place(found):
            probe = self._probes.open(process)
            if probe is None:
                gone.append(process.pid)
            else:
                self._trees[run].add(probe)
        for run, pid in self._forest.keepers.items():
            if self._trees[run].keeper is None:
                keeper = self._probes.open(found[pid])
                if keeper is None:
                    gone.append(pid)
                else:
                    self._trees[run].keep(keeper)
        for pid in gone:
            self._forest.leave(pid)
        self._leaves_open = any(pid not in self._forest for pid in found if pid != os.getpid())
        self._others.meet(process for pid, process in found.items() if self._forest.owner(pid) == NOBODY)

    def _weigh(self, at: float, wanted: Collection[str]) -> list[str]:
        """Weigh those that are wanted, and of those that are due as many as there is time for."""
        due = sorted((tree.weigh_at, run) for run, tree in self._trees.items() if tree.weigh_at <= at)
        weighed: list[str] = []
        began = time.thread_time()
        for run in dict.fromkeys([*wanted, *(run for _, run in due)]):
            if run in self._trees and (
                run in wanted or not weighed or time.thread_time() - began < WEIGH_CPU_S
            ):
                self._trees[run].weigh(at)
                weighed.append(run)
        return weighed
