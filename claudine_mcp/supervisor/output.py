"""What a run prints, read as it grows and understood by its workload; and how far it says that it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claudine_mcp.core.activity import SILENT, Activity
from claudine_mcp.core.models import JSON, Task
from claudine_mcp.core.progress.model import ACTIVITY, TURNS, Progress
from claudine_mcp.core.progress.track import ProgressTrack
from claudine_mcp.host.files import open_regular, regular_bytes
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.supervisor.tails import ReportFile, Tails
from claudine_mcp.workloads import WORKLOADS

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**20
"""What one step reads: 20 ms, in which nobody else is served."""
LOOK_EVERY_SAMPLES = 2
"""Progress is looked for so seldom: once in two seconds, by default."""


@dataclass(frozen=True, slots=True)
class News:
    """What the output of a run tells.

    Attributes:
        shown: what people are shown.
        state: what a reader goes on from.
        offset: how far it was read.
        from_offset: where a reader with this state goes on.
        progress: what is worth an event, None if nothing is.
    """

    shown: JSON
    state: JSON
    offset: int
    from_offset: int
    progress: Progress | None


class RunOutput:
    """Follows what one run prints.

    Attributes:
        follower: what understands all of its standard output; None for tasks of whose output only the end is
            looked at, for what it may say of progress.
        track: how far the run is, in the course of time.
        is_suspended: whether the run is; `suspend` says when that changes.
        stored_offset: up to where everything that it tells is in the registry: nobody reads that again.
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
        self._kept, self._kept_offset = task.seen, self._offset
        self._activity = SILENT
        self._active_until: tuple[int, str] | None = None
        self.stored_offset = self._offset
        self._is_pressed = False
        self._has_moved = False
        self._tails = Tails(seen.path, tails) if self.follower is None else None
        self._report = ReportFile(seen.path / "progress")
        self._look_at = 0.0
        self._is_over = False
        self._has_given_up = False

    def has_grown(self) -> bool:
        """Whether there is something to read that must be read."""
        if self.follower is None:
            return False
        return regular_bytes(self._path) > self._offset

    def read(self) -> bool:
        """Read a piece; give whether there is more."""
        if self.follower is None:
            return False
        try:
            fd = open_regular(self._path)
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
        self._is_over = True
        self._look()

    def wants_end_of_input(self) -> bool:
        """Whether the run has nothing more to do unless it is told something."""
        return self.follower is not None and self.follower.wants_end_of_input()

    def look(self) -> None:
        """See how far the run is, if it is time to."""
        now = self._ctx.mono()
        monitoring = self._ctx.settings.monitoring
        if self._is_over or now < self._look_at or not monitoring.enabled:
            return
        self._look_at = now + LOOK_EVERY_SAMPLES * monitoring.sample_interval / 1000
        self._look()
        self._has_moved = self._to_show() != (self._kept or {}) or self._announcement() is not None

    def _look(self) -> None:
        if not self._ctx.settings.monitoring.enabled or self._has_given_up:
            return
        try:
            if self._tails is not None:
                self._tails.look(self._ctx.mono(), is_over=self._is_over)
            self._report.look()
        except Exception:
            # A mistake of ours in reading what a task may print must not concern anything but its progress.
            log.exception("run %s: its progress cannot be read, and is not looked for any more", self._run.id)
            self._has_given_up = True
        self._observe()

    def _observe(self) -> None:
        self.track.observe(self._progress(), self._ctx.mono(), is_suspended=self.is_suspended)

    def _progress(self) -> Progress | None:
        """Give how far the run is by who knows best: a Claude Code's own list, then the run's report."""
        told = self._report.report.progress
        if self._tails is not None:
            return told or self._tails.progress()
        own = None if self.follower is None else self.follower.progress()
        return told if told is not None and (own is None or own.source in {TURNS, ACTIVITY}) else own

    def _announcement(self) -> Progress | None:
        is_on = self._ctx.settings.monitoring.enabled and not self._is_over
        return self.track.announcement(self._ctx.mono()) if is_on else None

    def suspend(self, *, is_suspended: bool) -> None:
        """The run is suspended, or goes on: from now on its time does not count, or does."""
        self.is_suspended = is_suspended
        self._look()
        self._has_moved = True  # no estimate is shown of one that is suspended

    def press(self) -> None:
        """Have what is known written down soon, whether it is news or not: the log is to be shortened."""
        self._is_pressed = self.follower is not None and self.follower.offset > self.stored_offset

    def activity(self, permission: str) -> Activity:
        """Give what the run is doing: the same object as before, as long as nothing has changed.

        Args:
            permission: what it asks to be allowed, which its output does not tell.
        """
        if self.follower is not None and (self._offset, permission) != self._active_until:
            self._active_until = self._offset, permission
            found = self.follower.activity(permission)
            if found != self._activity:
                self._activity = found
        return self.track.activity(self._activity)

    def may_have_news(self) -> bool:
        """Whether anything was read since something was kept, progress was seen, or something is to be kept anyway."""
        return self._is_pressed or self._has_moved or self._offset != self._kept_offset

    def news(self, *, force: bool = False) -> News | None:
        """Give what is to be written down, if it tells more than what was kept, or is to be kept anyway; else None."""
        self._observe()
        shown = self._to_show()
        progress = self._announcement()
        is_wanted = force or self._is_pressed or progress is not None or shown != self._kept
        if not is_wanted or (self.follower is None and not shown):
            self._kept_offset, self._has_moved = self._offset, False
            return None
        from_offset = 0 if self.follower is None else self.follower.offset
        return News(shown, self._to_keep(progress), self._offset, from_offset, progress)

    def keep(self, news: News) -> None:
        """Note that this was written down."""
        self._kept, self._kept_offset, self._has_moved = news.shown, news.offset, False
        self.stored_offset, self._is_pressed = news.from_offset, False
        if news.progress is not None:
            self.track.announced(news.progress, self._ctx.mono())

    def _to_show(self) -> JSON:
        shown = {} if self.follower is None else self.follower.seen()
        progress = self.track.shown(self._ctx.mono(), self._ctx.wall())
        note = self._report.report.problem
        if progress is not None or note is not None:
            told = {} if note is None else {"note": note}
            shown = {**shown, "progress": {"run": self._run.n, **(progress or {}), **told}}
        return shown

    def _to_keep(self, announcing: Progress | None) -> JSON:
        kept = {} if self.follower is None else self.follower.state()
        kept = {**kept, "progress": self.track.to_json(announcing=announcing, at=self._ctx.mono())}
        return kept if self._tails is None else {**kept, "tails": self._tails.to_json()}
