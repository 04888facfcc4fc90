"""Who is connected: the sessions that have a server, and which of them an event concerns."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from claudine_mcp.core import alerts
from claudine_mcp.core.alerts import Caller
from claudine_mcp.core.models import Event
from claudine_mcp.core.paths import presence_directory
from claudine_mcp.front.front import Front
from claudine_mcp.host.presence import attend, is_attended
from claudine_mcp.host.processes import identify
from claudine_mcp.registry.submitted import submitters_of

log = logging.getLogger(__name__)


def process_session() -> str:
    """Name the session of a client that names none: it is one for as long as this process lives."""
    return str(identify(os.getpid()))


def caller_of(front: Front) -> Caller:
    """Say who a front speaks for. One that belongs to no session is a session of its own."""
    return Caller(front.origin.get("session") or process_session(), front.origin["project"])


@contextmanager
def present(front: Front) -> Generator[None]:
    """Have the others know that this client's session is there: inside, and for as long as this process lives."""
    fd: int | None = None
    try:
        fd = attend(presence_directory(front.state_dir), caller_of(front).session)
    except OSError as error:
        log.warning("others in this project may be told what is for this session: %s", error)
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)


def concerns(front: Front, submitter: Mapping[str, Any] | None) -> bool:
    """Whether what happens to a task of this submitter concerns this client; None: it is about the machine."""
    folder = presence_directory(front.state_dir)
    return alerts.concerns(submitter, caller_of(front), lambda session: is_attended(folder, session))


async def concerning(front: Front, events: Sequence[Event]) -> list[Event]:
    """Give those of some events that concern this client."""
    async with front.db.read() as tx:
        submitters = await submitters_of(tx, {event.task_id for event in events if event.task_id is not None})
    known = {task_id: concerns(front, submitter) for task_id, submitter in submitters.items()}
    return [event for event in events if event.task_id is None or known.get(event.task_id, False)]
