"""Who is connected: the sessions that have a server, and which of them an event concerns."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from claudine_mcp.core.alerts import Caller, concerns
from claudine_mcp.core.identity import Identity
from claudine_mcp.core.models import Event
from claudine_mcp.front.front import Front
from claudine_mcp.host.processes import identify, is_alive
from claudine_mcp.registry.alerts import Client, add_client, known_clients
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.tasks import submitters_of


def process_session() -> str:
    """Name the session of a client that names none: it is one for as long as this process lives."""
    return str(identify(os.getpid()))


def caller_of(front: Front) -> Caller:
    """Say who a front speaks for. One that belongs to no session is a session of its own."""
    return Caller(front.origin.get("session") or process_session(), front.origin["project"])


async def announce_client(front: Front) -> None:
    """Say that this server is there, so that what its session submitted is told to it and to no other."""
    me = identify(os.getpid())
    if me is None:
        return
    caller = caller_of(front)
    async with front.db.read() as tx:
        gone = [client.identity for client in await known_clients(tx) if not _lives(client)]
    async with front.db.write() as tx:
        await add_client(tx, Client(str(me), caller.session, caller.project), time.time(), gone=gone)


async def concerning(front: Front, events: Sequence[Event]) -> list[Event]:
    """Give those of some events that concern this caller."""
    caller = caller_of(front)
    async with front.db.read() as tx:
        live = await live_sessions(tx)
        submitters = await submitters_of(tx, {event.task_id for event in events if event.task_id is not None})
    return [
        event
        for event in events
        if event.task_id is None
        or (event.task_id in submitters and concerns(submitters[event.task_id], caller, live))
    ]


async def live_sessions(tx: Transaction) -> frozenset[str]:
    """Give the sessions that have a server now."""
    return frozenset(client.session for client in await known_clients(tx) if _lives(client))


def _lives(client: Client) -> bool:
    return is_alive(Identity.parse(client.identity))
