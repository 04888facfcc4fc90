"""What can be seen of a run: its directory, its processes, and what the kernel still knows of them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from claudine_mcp.core.evidence import Evidence, ExitRecord
from claudine_mcp.core.identity import Identity
from claudine_mcp.core.models import Run
from claudine_mcp.core.paths import run_directory
from claudine_mcp.executors.local import Launched, RunDirectory, StartRecord, exit_record, gather, launch
from claudine_mcp.host.children import dead_children
from claudine_mcp.host.exitstatus import wait_status
from claudine_mcp.host.forest import Root, trees
from claudine_mcp.host.processes import Process, descendants, identify, reader
from claudine_mcp.host.signals import open_pidfd, send
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.inbox import Inbox

STATUS_WAIT_S = 10.0
"""How long a process that init took may stay unreaped before its status is given up (1.9 s was seen)."""

RECORDS = ("start", "began", "exit", "gone")


class ObservedRun:
    """One run, looked at. Nothing here changes the registry.

    Attributes:
        directory: where its keeper writes.
        start: what the keeper said before the start, None until then.
        launched: the keeper, if this process started it.
        inbox: the task's standard input, where that takes messages.
        input_ended: whether it was closed by us, so that it takes no more.
    """

    def __init__(self, ctx: Context, run: Run) -> None:
        self.run = run
        self.directory = RunDirectory(run_directory(ctx.state_dir, run.task_id, run.n))
        self.start: StartRecord | None = None
        self.launched: Launched | None = None
        self.inbox = Inbox(self.directory.path / "stdin")
        self.input_ended = False
        self._ctx = ctx
        self._pidfd: int | None = None
        self._missing_since: float | None = None
        self._seen: tuple[bool, ...] | None = None
        ctx.observed[run.id] = self

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @property
    def main(self) -> Identity | None:
        """The task's first process, None before there is one."""
        return None if self.start is None else self.start.main

    def launch(self, spec: dict[str, Any]) -> None:
        """Start a keeper for this run.

        Raises:
            OSError: the run directory cannot be written, or no process can be started.
        """
        self.launched = launch(self.path, spec, self._ctx.keeper, self._ctx.state_dir / "bell")
        self._ctx.children[self.launched.process.pid] = self.launched.process

    def has_changed(self) -> bool:
        """Whether there is other evidence than at the last call. Costs a few system calls."""
        seen = (self.keeper_alive(), *(self.directory.has(name) for name in RECORDS))
        changed = seen != self._seen
        self._seen = seen
        return changed

    def keeper_alive(self) -> bool:
        """Whether the run has a keeper. Of one that this process started, until it is reaped."""
        if self.launched is not None:
            return self.launched.process.returncode is None
        return self.directory.lock_is_held()

    def evidence(self) -> Evidence:
        """Collect what there is to be seen now."""
        keeper_alive = self.keeper_alive()
        if self.start is None:
            self.start = self.directory.start()
        main = self.main
        if main is not None and self._pidfd is None and not self.directory.has("exit"):
            self._pidfd = open_pidfd(main)
        return gather(self.directory, self.start, keeper_alive=keeper_alive)

    def tree(self) -> list[Process]:
        """Give the living processes of the run, parents first."""
        if self.start is None:
            return []
        # All runs at once: what belongs to another may stand below this one's keeper.
        observed = {**self._ctx.observed, self.run.id: self}
        return trees({run_id: run.root() for run_id, run in observed.items()})[self.run.id]

    def root(self) -> Root:
        """Give where its tree begins, as far as that is known."""
        return Root(self.keeper() if self.start is None else self.start.keeper, self.main)

    def keeper(self) -> Identity | None:
        """Give who keeps the run, None if that is not known, or it is gone."""
        if self.launched is not None and self.launched.process.returncode is None:
            return identify(self.launched.process.pid)
        if self.start is None:
            self.start = self.directory.start()
        return None if self.start is None else self.start.keeper

    def shelters_others(self) -> bool:
        """Whether the keeper stays only for processes of other runs: ask when `tree` is empty.

        A front inside a task may have to start the next supervisor. That is then below this keeper, with every
        keeper that it starts.
        """
        keeper = self.keeper()
        if keeper is None or not self.directory.has("exit"):
            return False
        snapshot = reader().snapshot()
        return any(not snapshot[pid].zombie for pid in descendants(snapshot, [keeper.pid]))

    def status_from_kernel(self) -> ExitRecord | None:
        """Give the exit status that waitpid or a pidfd knows, or the admission that nobody does; None: later."""
        now = self._ctx.wall()
        main = self.main
        if main is not None and main.pid in self._ctx.statuses:
            return exit_record(self._ctx.statuses.pop(main.pid), "waitpid", now)
        status = None if self._pidfd is None else wait_status(self._pidfd)
        if status is not None:
            return exit_record(status, "pidfd", now)
        if self._missing_since is None:
            self._missing_since = self._ctx.mono()
        if self._pidfd is not None and self._ctx.mono() - self._missing_since < STATUS_WAIT_S:
            return None
        return ExitRecord("unknown", None, None, now)

    def end_input(self) -> None:
        """Have the keeper close the task's standard input. Without a keeper it is closed already."""
        is_news = not self.input_ended
        if is_news:
            self._ctx.trace("input-ending")
        self.input_ended = True
        if self.start is not None and self.start.keeper is not None:
            send(self.start.keeper, signal.SIGUSR1)
        if is_news:
            self._ctx.trace("input-ended")

    def close(self) -> None:
        """Let go of descriptors; the run itself is not touched."""
        if self._ctx.observed.get(self.run.id) is self:
            del self._ctx.observed[self.run.id]
        self.inbox.close()
        if self.launched is not None:
            self.launched.withhold()
        if self._pidfd is not None:
            with contextlib.suppress(OSError):
                os.close(self._pidfd)
            self._pidfd = None


def reap(ctx: Context) -> None:
    """Take the status of every dead child: keepers, and what keepers that died have left to us."""
    mains = {run.main.pid for run in ctx.observed.values() if run.main is not None}
    for pid, status in dead_children(ctx.children):
        keeper = ctx.children.pop(pid, None)
        if keeper is not None:
            keeper.returncode = os.waitstatus_to_exitcode(status)
        elif pid in mains:
            ctx.statuses[pid] = status
