"""What a run prints, read as it grows and understood by its workload; and how far it says that it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from claudine_mcp.core.models import JSON, Task
from claudine_mcp.core.progress.model import ACTIVITY, TURNS, Progress
from claudine_mcp.core.progress.track import ProgressTrack
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.supervisor.tails import ReportFile, Tails
from claudine_mcp.workloads import WORKLOADS

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**20
"""What one step reads: 20 ms, in which nobody else is served."""
STORE_EVERY_S = 1.0
LOOK_EVERY_SAMPLES = 2
"""Progress is looked for so seldom: once in two seconds, by default."""


class RunOutput:
    """Follows what one run prints.

    Attributes:
        follower: what understands all of its standard output; None for tasks of whose output only the end is
            looked at, for what it may say of progress.
        track: how far the run is, in the course of time.
        is_suspended: whether the run is; set by whoever knows.
    """

    def __init__(self, ctx: Context, task: Task, seen: ObservedRun, state: Mapping[str, Any] | None) -> None:
        stored = dict(state or {})
        self.track = ProgressTrack(stored.pop("progress", None))
        tails: JSON | None = stored.pop("tails", None)
        self.follower = WORKLOADS[task.kind].follower(task, seen.path, stored or None)
        self.is_suspended = False
        self._ctx = ctx
        self._run = seen.run
        self._path = seen.path / "stdout.log"
        self._offset = 0 if self.follower is None else self.follower.offset
        self._tails = Tails(seen.path, tails) if self.follower is None else None
        self._report = ReportFile(seen.path / "progress")
        self._shown: Mapping[str, Any] = task.seen or {}
        self._stored_at = -STORE_EVERY_S
        self._look_at = 0.0
        self._has_given_up = False

    def has_grown(self) -> bool:
        """Whether there is something to read that must be read."""
        if self.follower is None:
            return False
        try:
            return self._path.stat().st_size > self._offset
        except OSError:
            return False

    def read(self) -> bool:
        """Read a piece; give whether there is more."""
        if self.follower is None:
            return False
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            data = os.pread(fd, CHUNK_BYTES, self._offset)
        finally:
            os.close(fd)
        self._offset += len(data)
        self.follower.feed(data, self._ctx.wall())
        return len(data) == CHUNK_BYTES

    def read_to_end(self) -> None:
        """Read all that is left; blocks for as long as that takes."""
        while self.read():
            pass
        if self.follower is not None:
            self.follower.finish()
        self._look(is_over=True)

    def look(self) -> bool:
        """See how far the run is, if it is time to; give whether there is something to write down."""
        now = self._ctx.mono()
        monitoring = self._ctx.settings.monitoring
        if now < self._look_at or not monitoring.enabled:
            return False
        self._look_at = now + LOOK_EVERY_SAMPLES * monitoring.sample_interval / 1000
        self._look()
        return self.announcement() is not None or (self.due_in_s() <= 0 and self.has_news())

    def _look(self, *, is_over: bool = False) -> None:
        if not self._ctx.settings.monitoring.enabled or self._has_given_up:
            return
        try:
            if self._tails is not None:
                self._tails.look(self._ctx.mono(), is_over=is_over)
            self._report.look()
        except Exception:
            # A mistake of ours in reading what a task may print must not concern anything but its progress.
            log.exception("run %s: its progress cannot be read, and is not looked for any more", self._run.id)
            self._has_given_up = True
        self.observe()

    def observe(self) -> None:
        """Take note of how far the run is, by what has been read."""
        self.track.observe(self._progress(), self._ctx.mono(), is_suspended=self.is_suspended)

    def _progress(self) -> Progress | None:
        """Give how far the run is by who knows best: a Claude Code's own list, then the run's report."""
        told = self._report.report.progress
        if self._tails is not None:
            return told or self._tails.progress()
        own = None if self.follower is None else self.follower.progress()
        return told if told is not None and (own is None or own.source in {TURNS, ACTIVITY}) else own

    def announcement(self) -> Progress | None:
        """Give the progress that an event should tell of, None if none should."""
        is_on = self._ctx.settings.monitoring.enabled
        return self.track.announcement(self._ctx.mono()) if is_on else None

    def has_news(self) -> bool:
        """Whether something is to be written down when it is time."""
        shown = self._to_show()
        return bool(shown) and shown != self._shown

    def due_in_s(self) -> float:
        """Give in how many seconds news may be written down."""
        return max(0.0, self._stored_at + STORE_EVERY_S - self._ctx.mono())

    def news(self, *, force: bool = False) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """Give what to show and what to keep, if there is news and it is time to write it down; else None."""
        shown = self._to_show()
        now = self._ctx.mono()
        if not shown or (not force and (shown == self._shown or now - self._stored_at < STORE_EVERY_S)):
            return None
        self._shown, self._stored_at = shown, now
        return shown, self._to_keep()

    def _to_show(self) -> JSON:
        shown = {} if self.follower is None else self.follower.seen()
        progress = self.track.shown(self._ctx.mono(), self._ctx.wall())
        note = self._report.report.problem
        if progress is not None or note is not None:
            told = {} if note is None else {"note": note}
            shown = {**shown, "progress": {"run": self._run.n, **(progress or {}), **told}}
        return shown

    def _to_keep(self) -> JSON:
        kept = {} if self.follower is None else self.follower.state()
        kept = {**kept, "progress": self.track.to_json()}
        return kept if self._tails is None else {**kept, "tails": self._tails.to_json()}
