"""Waits that outlive the call that began them: each is a file, so that another server can go on with it."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError

from claudine_mcp.core.errors import WaitNotFound
from claudine_mcp.core.models import JSON
from claudine_mcp.core.paths import waits_directory
from claudine_mcp.front.waiting import Wanted
from claudine_mcp.host.files import write_durable

KEPT_S = 14 * 86_400.0
"""From its beginning; as long as an ended task is kept by default."""
ID = re.compile(r"[0-9a-z]{1,32}-wait-[0-9a-f]{16}")


class Form(BaseModel):
    """What was shown to a client's user.

    Attributes:
        alert_id: of the alert that it is about.
        kind: a delegated run's question for a permission, or a warning with a choice of what to do.
        notice: what the user is told instead of being asked.
        closed: what came back: an answer, nothing (it was put aside), something that is no answer, or that it is to
            be asked again later.
    """

    model_config = ConfigDict(frozen=True)

    alert_id: int
    kind: Literal["permission", "choice"] = "permission"
    notice: str | None = None
    closed: Literal["answered", "put_aside", "invalid", "snoozed"] | None = None


class End(BaseModel):
    """How a wait ended.

    Attributes:
        result: of the tool call, as the client is given it; None: the wait was cancelled.
    """

    model_config = ConfigDict(frozen=True)

    result: JSON | None = None


class Wait(BaseModel):
    """A tool call that is answered later. Times are seconds since the epoch.

    Attributes:
        answers: what the call gives: a task as it is at its end, or events.
        wanted: what is waited for, with the cursor from which on.
        timeout_s: how long at most; None: for ever.
        forms: what the user was asked, by key.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    answers: Literal["task", "events"]
    wanted: Wanted
    timeout_s: float | None = None
    began_at: float
    changed_at: float
    forms: dict[str, Form] = {}
    end: End | None = None


class Waits:
    """The waits of a state directory. One process at a time goes on with each.

    Args:
        state_dir: where they are kept.
    """

    def __init__(self, state_dir: Path) -> None:
        self._folder = waits_directory(state_dir)
        self._changing = anyio.Lock()

    async def begin(
        self, answers: Literal["task", "events"], wanted: Wanted, timeout_s: float | None
    ) -> Wait:
        """Keep a new wait.

        Raises:
            OSError: it cannot be written; there is none.
        """
        now = time.time()
        # A model is told this id, and nothing else, until the wait ends: so it begins with the task's own.
        of = wanted.task_ids[0] if answers == "task" else "events"
        wait = Wait(
            id=f"{of}-wait-{secrets.token_hex(8)}",
            answers=answers,
            wanted=wanted,
            timeout_s=timeout_s,
            began_at=now,
            changed_at=now,
        )
        await anyio.to_thread.run_sync(self._forget_old, now)
        await anyio.to_thread.run_sync(self._write, wait)
        return wait

    async def get(self, wait_id: str) -> Wait:
        """Give a wait.

        Raises:
            WaitNotFound: there is none, or not any more.
        """
        return await anyio.to_thread.run_sync(self._read, wait_id)

    async def show(self, wait_id: str, forms: dict[str, Form]) -> Wait:
        """Add forms, or replace those that have these keys; one that was closed stays so.

        Raises:
            WaitNotFound: there is no such wait.
            OSError: it cannot be written.
        """
        return await self._change(wait_id, forms=forms)

    async def end(self, wait_id: str, end: End) -> Wait:
        """End a wait; one that has ended stays as it is.

        Raises:
            WaitNotFound: there is no such wait.
            OSError: it cannot be written.
        """
        return await self._change(wait_id, end=end)

    async def _change(
        self, wait_id: str, *, forms: dict[str, Form] | None = None, end: End | None = None
    ) -> Wait:
        async with self._changing:
            wait = await self.get(wait_id)
            if wait.end is not None:
                return wait
            closed = {key: form for key, form in wait.forms.items() if form.closed is not None}
            changed: dict[str, Any] = {"forms": wait.forms | (forms or {}) | closed, "end": end}
            wait = wait.model_copy(update={**changed, "changed_at": time.time()})
            await anyio.to_thread.run_sync(self._write, wait)
            return wait

    def _path(self, wait_id: str) -> Path:
        return self._folder / f"{wait_id}.json"

    def _read(self, wait_id: str) -> Wait:
        if not ID.fullmatch(wait_id):
            raise WaitNotFound(wait_id)
        try:
            wait = Wait.model_validate_json(self._path(wait_id).read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise WaitNotFound(wait_id) from error
        if time.time() - wait.began_at >= KEPT_S:
            raise WaitNotFound(wait_id)
        return wait

    def _write(self, wait: Wait) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_durable(self._path(wait.id), wait.model_dump_json().encode())

    def _forget_old(self, now: float) -> None:
        with contextlib.suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    # Not changed for so long, so begun before that, too.
                    if now - path.stat().st_mtime >= KEPT_S:
                        path.unlink()
