"""A run of Claude Code, followed: the reader of its stream behind the interface that all workloads share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claudine_mcp.core.activity import Activity
from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import JSON
from claudine_mcp.core.progress.model import Progress
from claudine_mcp.core.units import format_time
from claudine_mcp.workloads.base import Fate
from claudine_mcp.workloads.claude_activity import activity
from claudine_mcp.workloads.claude_judge import judge
from claudine_mcp.workloads.claude_progress import progress_of
from claudine_mcp.workloads.claude_sessions import ANSWERED
from claudine_mcp.workloads.claude_state import Phase, StreamState
from claudine_mcp.workloads.claude_stream import StreamReader

STDERR_BYTES = 4096
MICRODOLLARS = 6  # digits of a dollar that are shown


class ClaudeFollower:
    """Follows one run.

    Args:
        stored: what `state` gave to an earlier follower, None for a run from its beginning.
        prior_cost_usd: what the session had cost before the run.
        run: its directory, where its standard error is.
        max_turns: how many turns a message to it may take, None for any number.
        had_answered: whether the model had answered before the run.
    """

    def __init__(
        self,
        stored: Mapping[str, Any] | None,
        prior_cost_usd: float,
        run: Path,
        *,
        max_turns: int | None = None,
        had_answered: bool = False,
    ) -> None:
        state = None if stored is None else StreamState.from_json(stored)
        self._reader = StreamReader(state or StreamState(cost_before_usd=prior_cost_usd))
        self._run = run
        self._max_turns = max_turns
        self._had_answered = had_answered
        self._fed_at = 0.0

    @property
    def offset(self) -> int:
        """Where in the output a follower that has this one's state must begin."""
        return self._reader.state.offset_bytes

    def feed(self, data: bytes, at: float) -> None:
        """See `Follower`."""
        self._fed_at = at
        self._reader.feed(data, at)

    def finish(self) -> None:
        """See `Follower`."""
        self._reader.finish(self._fed_at)

    def state(self) -> JSON:
        """See `Follower`."""
        return self._reader.state.to_json()

    def fate_of(self, identifier: str) -> Fate | None:
        """See `Follower`."""
        step = self._reader.state.messages.get(identifier)
        if step is None:
            return None
        return {"queued": Fate.WAITING, "discarded": Fate.LOST, "refused": Fate.LOST}.get(step, Fate.READ)

    def takes_messages(self) -> bool:
        """See `Follower`. It says nothing before it has read its first message."""
        return bool(self._reader.state.session_id)

    def activity(self, permission: str) -> Activity:
        """See `Follower`."""
        return activity(self._reader.state, permission=permission)

    def wants_end_of_input(self) -> bool:
        """See `Follower`."""
        state = self._reader.state
        # Only these begin another turn; what was started belongs to the turn that has its result.
        waits = "queued" in state.messages.values()
        return state.phase is Phase.RESULT and not (state.is_turn_open or state.background or waits)

    def seen(self) -> JSON:
        """See `Follower`. The keys are those of `front.views.ClaudeView`."""
        state = self._reader.state
        result = state.result
        is_well = result is not None and result.is_error is False
        shown: JSON = {
            "model": state.model or None,
            "phase": phase(state),
            "turns": state.turns or None,
            "todos": [{"text": item.text, "status": item.status} for item in state.todos] or None,
            "background": [job.description for job in state.background] or None,
            "result": result.text if result is not None and result.text else None,
            "permissionDenials": [
                {"tool": item.tool, "summary": item.summary}
                | ({"reason": item.reason} if item.reason else {})
                for item in state.denials
            ]
            or None,
            ANSWERED: True if state.turns or is_well or self._had_answered else None,
            "costUsd": dollars(state.run_cost_usd),
            "totalCostUsd": dollars(state.total_cost_usd),
        }
        return {key: value for key, value in shown.items() if value is not None}

    def progress(self) -> Progress | None:
        """See `Follower`."""
        return progress_of(self._reader.state, self._max_turns)

    def judge(self, record: ExitRecord, *, stop_reason: str | None) -> Judgement:
        """Say how the run ended; everything that it printed was fed, and `finish` was called."""
        return judge(self._reader.state, record, stop_reason=stop_reason, stderr=self._stderr())

    def _stderr(self) -> str:
        try:
            with open(self._run / "stderr.log", "rb", opener=_open_at_once) as file:
                # Not all of it: however long it is, its beginning may be a hole.
                file.seek(max(0, file.seek(0, os.SEEK_END) - STDERR_BYTES))
                return file.read(STDERR_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""


def _open_at_once(path: str, flags: int) -> int:
    """Wait at no FIFO, and follow no link, that the run has put in the place of a file."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def phase(state: StreamState) -> JSON:
    """Say what a run is doing, and since when."""
    shown: JSON = {"name": state.phase.value}
    if state.phase_since is not None:
        shown["since"] = format_time(state.phase_since)
    if state.running_tools:
        shown["tools"] = [call.label for call in state.running_tools]
    if state.phase_until is not None:
        shown["until"] = format_time(state.phase_until)
    if state.retry is not None and state.phase in {Phase.RETRYING, Phase.RATE_LIMITED}:
        shown["attempt"] = f"{state.retry.attempt} of {state.retry.max_retries}"
        shown["error"] = state.retry.error
    return shown


def dollars(amount: float | None) -> float | None:
    """Round an amount so that it can be read."""
    return None if amount is None else round(amount, MICRODOLLARS)
