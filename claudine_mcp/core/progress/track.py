"""A run's progress in the course of time: since when it has not moved, and when it will be over.

Times are seconds of the clock that it is given, which nobody sets and which stands while the machine sleeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from claudine_mcp.core.activity import SILENT, Activity
from claudine_mcp.core.eta import Eta, Pace, Unknown
from claudine_mcp.core.models import JSON
from claudine_mcp.core.progress.model import ACTIVITY, TURNS, Progress

VERSION: Final = 1
"""Of the stored form. One of another version is not used, and the track begins anew."""
ANNOUNCE_EVERY_S: Final = 10.0
"""A run's progress is announced no more often than that."""
ANNOUNCE_STEP: Final = 10
"""Per cent from one announcement to the next, within a phase."""
_UNSTEADY: Final = frozenset((TURNS, ACTIVITY))

_YEAR_S: Final = 365 * 86400.0  # nobody has measured a pace so well that it tells more than that
_SHOWN_EVERY_S: Final = 30.0  # what has changed by less than a per cent
_SHIFT: Final = 0.1  # of the time that is left: what an estimate may move without being shown anew
_LEAST_SHIFT_S: Final = 5.0


class ProgressTrack:
    """Follows the progress of one run.

    Args:
        stored: what `to_json` gave to an earlier one.

    Attributes:
        progress: the last that was observed; None while nothing is known.
        moved_at: when it last changed, or another phase began; None while nothing is known.
        phase_since: when the present phase was first seen, None without one. What a Claude Code does just now, while
            it keeps no list, is no phase.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None) -> None:
        stored = stored if stored is not None and stored.get("version") == VERSION else {}
        known = stored.get("progress")
        self.progress: Progress | None = None if known is None else Progress(**known)
        self.moved_at: float | None = stored.get("movedAt")
        self.phase_since: float | None = stored.get("phaseSince")
        self._active_s: float = stored.get("active", 0.0)
        self._seen_at: float | None = stored.get("seenAt")
        self._is_suspended: bool = stored.get("isSuspended", False)
        self._pace = Pace(stored.get("pace"))
        self._announced: JSON = stored.get("announced", {})
        self._activity = SILENT
        self._given_for: tuple[Activity | None, Progress | None] = (None, None)
        self._shown: JSON | None = None
        self._shown_at = 0.0
        self._shown_eta: Eta | Unknown = Unknown("")

    def to_json(self, *, announcing: Progress | None = None, at: float = 0.0) -> JSON:
        """Give all of it, about a kB.

        Args:
            announcing: what is announced in the transaction that stores this, None if nothing is.
            at: now; for what is announced.
        """
        return {
            "version": VERSION,
            "progress": None if self.progress is None else asdict(self.progress),
            "movedAt": self.moved_at,
            "phaseSince": self.phase_since,
            "active": self._active_s,
            "seenAt": self._seen_at,
            "isSuspended": self._is_suspended,
            "pace": self._pace.to_json(),
            "announced": self._announced if announcing is None else _announcement(announcing, at),
        }

    def observe(self, progress: Progress | None, at: float, *, is_suspended: bool = False) -> None:
        """Take what is known now; None leaves what was known before.

        Args:
            progress: how far the run is.
            at: now.
            is_suspended: whether it is stopped from now on. The time until the next call is counted or not by it.
        """
        self._active_s = self._active(at)
        self._seen_at, self._is_suspended = at, is_suspended
        if progress is None:
            return
        before = self.progress
        self.progress = before if progress == before else progress
        if before is None or _phase(progress) != _phase(before):
            self.phase_since = None if _phase(progress) is None else at
        if before is None or (progress.amount, progress.phase) != (before.amount, before.phase):
            self.moved_at = at
        amount = progress.amount
        if amount is None:
            return
        if before is None or (before.source, before.total is None) != (
            progress.source,
            progress.total is None,
        ):
            self._pace = Pace()
        self._pace.advance(amount[0], self._active_s)

    def _active(self, at: float) -> float:
        """Give how long the run was followed and not suspended."""
        if self._seen_at is None or self._is_suspended:
            return self._active_s
        return self._active_s + max(at - self._seen_at, 0.0)

    def activity(self, own: Activity = SILENT) -> Activity:
        """Add to what a run does the part of the work that it is at, and how far it is; for the rules.

        Args:
            own: what is known of it otherwise.

        Returns:
            The same object as before, until something changes.
        """
        progress = self.progress
        if progress is None or progress.source in _UNSTEADY:
            return own
        if own is not self._given_for[0] or progress is not self._given_for[1]:
            self._given_for = own, progress
            found = replace(own, stage=progress.phase or "", progress=progress.percent)
            if found != self._activity:
                self._activity = found
        return self._activity

    def eta(self, at: float) -> Eta | Unknown:
        """Give how much longer the run takes by its own progress."""
        progress = self.progress
        if progress is None:
            return Unknown("it reports no progress")
        amount = progress.amount
        if amount is None:
            return Unknown("it says what it does, not how far it is")
        reason = self._why_unknown(progress, is_complete=amount[0] >= amount[1])
        if reason is not None:
            return Unknown(reason)
        eta = self._pace.eta(amount[1], self._active(at))
        if isinstance(eta, Eta) and not eta.p90_s <= _YEAR_S:
            return Unknown("at its pace it may take more than a year")
        return eta

    def _why_unknown(self, progress: Progress, *, is_complete: bool) -> str | None:
        if self._is_suspended:
            return "it is suspended"
        if progress.source == TURNS:
            return "its turns say how much it may still do, not how much there is to do"
        if progress.is_of_phase and is_complete:
            return "what it counted is complete, and it goes on"
        if progress.is_of_phase:
            return "its progress is that of one phase, and what follows is not known"
        return None

    # -- what others are told ---------------------------------------------------------------------------

    def announcement(self, at: float) -> Progress | None:
        """Give what is worth an event now; None if nothing is. `announced` says that it was written."""
        progress = self.progress
        if progress is None or progress.source in _UNSTEADY:
            return None
        last: float | None = self._announced.get("at")
        if last is not None and at - last < ANNOUNCE_EVERY_S:
            return None
        is_new_phase = progress.phase is not None and progress.phase != self._announced.get("phase")
        return progress if is_new_phase or _step(progress) != self._announced.get("step", 0) else None

    def announced(self, progress: Progress, at: float) -> None:
        """Note that an announcement was written."""
        self._announced = _announcement(progress, at)

    def shown(self, at: float, wall: float) -> JSON | None:
        """Give what people are shown, with moments in seconds since the epoch; the same until it is worth a change.

        Args:
            at: now.
            wall: now, in seconds since the epoch.
        """
        if self.progress is None:
            return None
        eta = self.eta(at)
        if self._shown is None or self._is_worth_showing(eta, at):
            self._shown = self._show(self.progress, eta, at, wall)
            self._shown_eta, self._shown_at = eta, at
        return self._shown

    def _show(self, progress: Progress, eta: Eta | Unknown, at: float, wall: float) -> JSON:
        shown: JSON = {
            "source": progress.source,
            "percent": progress.percent,
            "done": progress.done,
            "total": progress.total,
            "phase": progress.phase,
            "ofPhase": progress.is_of_phase or None,
            "movedAt": None if self.moved_at is None else wall - (at - self.moved_at),
            "phaseSince": None if self.phase_since is None else wall - (at - self.phase_since),
        }
        if isinstance(eta, Eta):
            shown["eta"] = {"p50At": wall + eta.p50_s, "p90At": wall + eta.p90_s}
        else:
            shown["eta"] = {"unknown": eta.because}
        return {key: value for key, value in shown.items() if value is not None}

    def _is_worth_showing(self, eta: Eta | Unknown, at: float) -> bool:
        progress, shown = self.progress, self._shown
        if progress is None or shown is None:
            return False
        is_other = (progress.source, progress.phase, progress.is_of_phase) != (
            shown["source"],
            shown.get("phase"),
            shown.get("ofPhase", False),
        )
        return (
            is_other
            or _whole(progress.percent) != _whole(shown.get("percent"))
            or (progress.percent != shown.get("percent") and at - self._shown_at >= _SHOWN_EVERY_S)
            or self._has_shifted(eta, at)
        )

    def _has_shifted(self, eta: Eta | Unknown, at: float) -> bool:
        before = self._shown_eta
        if isinstance(eta, Unknown) or isinstance(before, Unknown):
            return eta != before
        passed_s = at - self._shown_at
        return any(
            abs(was_s - passed_s - now_s) > max(_SHIFT * now_s, _LEAST_SHIFT_S)
            for was_s, now_s in zip(before, eta, strict=True)
        )


def _phase(progress: Progress) -> str | None:
    return None if progress.source in _UNSTEADY else progress.phase


def _announcement(progress: Progress, at: float) -> JSON:
    return {"at": at, "phase": progress.phase, "step": _step(progress)}


def _step(progress: Progress) -> int | None:
    return None if progress.percent is None else int(progress.percent // ANNOUNCE_STEP)


def _whole(percent: float | None) -> int | None:
    return None if percent is None else int(percent)
