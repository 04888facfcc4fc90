"""Which process belongs to which run: found once, and remembered for as long as it lives."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from claudine_mcp.core.identity import Identity
from claudine_mcp.host.processes import Process, Snapshot, boot_id, is_alive, pid_namespace, reader

NOBODY = ""
"""Whose the processes are that belong to no run."""


@dataclass(frozen=True, slots=True)
class Root:
    """Where the tree of a run begins; None: not known. Identities of another boot or pid namespace are none."""

    keeper: Identity | None = None
    main: Identity | None = None


class Forest:
    """The trees of all runs.

    A process belongs to the run whose keeper or main process it descends from, however deep, and in whatever
    session. It stays with it when its parent dies. Of a run that has no keeper, new processes are found by the
    marker in their environment too, which then counts more than where they stand: what a dead keeper leaves may
    come below another run's keeper. Keepers, and this very process, belong to nothing; what stands below
    this process and below no keeper is left open, since the next run may turn out to begin there.

    Args:
        marker: gives the run that a process's environment names, None if it names none.
    """

    def __init__(self, marker: Callable[[int], str | None] | None = None) -> None:
        self.members: dict[str, dict[int, Process]] = {}
        """By run, by pid, parents first."""
        self.keepers: dict[str, int] = {}
        """Living keepers: run to pid."""
        self._marker = marker or reader().marker
        self._roots: dict[str, Root] = {}
        self._owner: dict[int, str] = {}

    def __contains__(self, pid: int) -> bool:
        return pid in self._owner

    def follow(self, roots: Mapping[str, Root]) -> bool:
        """Say which runs there are; give whether that has changed."""
        here = {run: Root(_here(root.keeper), _here(root.main)) for run, root in roots.items()}
        if here == self._roots:
            return False
        for run in self._roots.keys() - here.keys():
            for pid in self.members.pop(run):
                del self._owner[pid]
            if run in self.keepers:
                del self._owner[self.keepers.pop(run)]
        before, self._roots = self._roots, here
        for run, root in here.items():
            self.members.setdefault(run, {})
            if before.get(run) == root:
                continue
            for identity in (root.keeper, root.main):
                if identity is not None and self._owner.get(identity.pid, run) != run:
                    self._give_up(identity.pid)
            if root.keeper is None or not is_alive(root.keeper):
                self.forget_nobodies()  # some may turn out to carry its marker
        return True

    def keep_only(self, pids: Collection[int]) -> None:
        """Forget those of no run that are not among these; members leave when they are found to be dead."""
        for pid in [pid for pid, run in self._owner.items() if run == NOBODY and pid not in pids]:
            del self._owner[pid]

    def forget_nobodies(self) -> None:
        """Have everything that belongs to no run looked at again."""
        self._owner = {pid: run for pid, run in self._owner.items() if run != NOBODY}

    def leave(self, pid: int) -> None:
        """A member or a keeper has gone."""
        run = self._owner.pop(pid)
        self.members[run].pop(pid, None)
        if self.keepers.get(run) == pid:
            del self.keepers[run]

    def owner(self, pid: int) -> str | None:
        """Give whose a process is, NOBODY if it belongs to no run, None while that is open."""
        return self._owner.get(pid)

    def place(self, found: Snapshot, *, by_marker: bool = False) -> list[tuple[str, Process]]:
        """Say whose these processes are, which were not known; give the new members with their run, parents first.

        Args:
            found: by pid. What stays open is to be given again.
            by_marker: whether to look at the environment of each, though every run may have its keeper.
        """
        self._find_keepers(found)
        by_marker = by_marker or len(self.keepers) < len(self._roots)
        mains = {root.main.pid: run for run, root in self._roots.items() if root.main is not None}
        placed: list[tuple[str, Process]] = []
        for first in (*(pid for pid in mains if pid in found), *found):
            pid, chain = first, dict[int, Process]()
            owner = self._owner.get(pid)
            while owner is None and pid in found and pid not in chain and pid != os.getpid():
                process = chain[pid] = found[pid]
                owner = self._claimant(process, mains, by_marker=by_marker)
                pid = process.ppid
                owner = self._owner.get(pid) if owner is None else owner
            if owner is None:
                continue  # it stands below this process, or its parent has just left
            for process in reversed(chain.values()):
                self._owner[process.pid] = owner
                if owner != NOBODY:
                    self.members[owner][process.pid] = process
                    placed.append((owner, process))
        return placed

    def _find_keepers(self, found: Snapshot) -> None:
        for run, root in self._roots.items():
            process = None if root.keeper is None else found.get(root.keeper.pid)
            if process is not None and _is(process, root.keeper) and not process.zombie:
                self.keepers[run] = process.pid
                self._owner[process.pid] = run

    def _claimant(self, process: Process, mains: Mapping[int, str], *, by_marker: bool) -> str | None:
        """Give the run that a process belongs to whatever it descends from; None: its parent's."""
        named = self._marker(process.pid) if by_marker else None
        if named in self._roots:
            return named
        run = mains.get(process.pid)
        if run is not None and _is(process, self._roots[run].main):
            return run
        return (
            NOBODY if process.ppid == 0 else None
        )  # its parent is outside of the pid namespace, or it has none

    def _give_up(self, pid: int) -> None:
        """Forget a process that was taken for another's, and what was found below it."""
        run = self._owner[pid]
        if run == NOBODY:
            self.forget_nobodies()
            return
        below = {pid}
        for process in list(self.members[run].values()):
            if process.pid in below or process.ppid in below:
                below.add(process.pid)
                self.leave(process.pid)


def _is(process: Process, identity: Identity | None) -> bool:
    return identity is not None and (process.pid, process.start) == (identity.pid, identity.start)


def _here(identity: Identity | None) -> Identity | None:
    if identity is None or (identity.boot_id, identity.pid_namespace) != (boot_id(), pid_namespace()):
        return None
    return identity


def trees(roots: Mapping[str, Root]) -> dict[str, list[Process]]:
    """Look at all processes now; give the living ones of each run, parents first: never a keeper, never a zombie."""
    forest = Forest()
    forest.follow(roots)
    forest.place(reader().snapshot(), by_marker=True)
    return {
        run: [process for process in members.values() if not process.zombie]
        for run, members in forest.members.items()
    }
