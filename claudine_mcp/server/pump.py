"""Events on their way to the client, by every route that its era has, while nothing is being called.

A client that reads slowly holds up this and nothing else. It loses no event either: all are in the registry, and
the cursor of WaitForEvents reads them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp_types import EmptyResult, SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.server.session import AGAIN_AFTER_S, LOGGER, Session

log = logging.getLogger(__name__)

LEVELS = {"alert": Severity.CRITICAL, "emergency": Severity.CRITICAL}
"""Log levels that are no severity of ours."""
CHANNEL = "notifications/claude/channel"
CHANNEL_CAPABILITY = "claude/channel"
MOVES_THE_QUEUE = frozenset({"task:queued", "task:requeued", "task:started", "task:ended"})


class Pump:
    """Carries events to one client.

    Args:
        session: of the client.
        bus: whoever listens to changes of resources in the modern era.
        channel: whether alerts are also sent as messages of a channel of Claude Code.
    """

    def __init__(self, session: Session, bus: InMemorySubscriptionBus, *, channel: bool = False) -> None:
        self._session = session
        self._bus = bus
        self._channel = channel
        self._level = Severity.INFO
        self._subscribed: set[str] = set()

    def register(self, server: Server[Session]) -> None:
        """Offer what only the handshake era has: a level for log messages, and subscriptions to resources."""
        server.add_request_handler("logging/setLevel", SetLevelRequestParams, self._set_level)
        server.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    async def run(self) -> None:
        """Carry what happens from now on. Does not return."""
        from claudine_mcp.front.clients import concerning  # noqa: PLC0415 - start-up time
        from claudine_mcp.front.following import watch_events  # noqa: PLC0415

        front = await self._session.standing_by()

        async def tell(events: Sequence[Event]) -> None:
            for event in await concerning(front, events):
                await self._tell(event)
            await self._update(resources_of(events))

        while True:
            try:
                await watch_events(front, tell)
            except (ClaudineError, OSError) as error:
                log.warning("events cannot be read: %s", error)
                await anyio.sleep(AGAIN_AFTER_S)

    async def _tell(self, event: Event) -> None:
        from claudine_mcp.core.alerts import is_notable  # noqa: PLC0415 - start-up time
        from claudine_mcp.core.payload import event_payload  # noqa: PLC0415
        from claudine_mcp.core.pointers import pointer  # noqa: PLC0415

        if self._session.client is None:
            return
        if event.severity.rank >= self._level.rank:
            message = {"level": event.severity.value, "logger": LOGGER, "data": event_payload(event)}
            await self._session.client.notify("notifications/message", message)
        if self._channel and is_notable(event):
            meta = {"type": event.type, "severity": event.severity.value, "seq": str(event.seq)}
            if event.task_id is not None:
                meta["task_id"] = event.task_id
            await self._session.client.notify(CHANNEL, {"content": untagged(pointer([event])), "meta": meta})

    async def _update(self, uris: Iterable[str]) -> None:
        for uri in uris:
            await self._bus.publish(ResourceUpdated(uri=uri))
            if self._session.client is not None and uri in self._subscribed:
                await self._session.client.send_resource_updated(uri)

    async def _set_level(
        self, _: ServerRequestContext[Session, Any], params: SetLevelRequestParams
    ) -> EmptyResult:
        self._level = LEVELS.get(params.level) or Severity(params.level)
        return EmptyResult()

    async def _subscribe(
        self, _: ServerRequestContext[Session, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        self._subscribed.add(str(params.uri))
        return EmptyResult()

    async def _unsubscribe(
        self, _: ServerRequestContext[Session, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._subscribed.discard(str(params.uri))
        return EmptyResult()


def untagged(text: str) -> str:
    """Replace what could close the tag in which Claude Code gives its model such a message, or open another."""
    return text.translate({ord("<"): "[", ord(">"): "]", ord("&"): "+"})


def resources_of(events: Iterable[Event]) -> list[str]:
    """Give the resources that read differently after these events, each once."""
    found: dict[str, None] = {}
    for event in events:
        found["claudine://events"] = None
        if event.task_id is None:
            found["claudine://system"] = None
            if event.type.startswith("queue:"):
                found["claudine://queue"] = None
            continue
        found["claudine://tasks"] = None
        if event.type in MOVES_THE_QUEUE:
            found["claudine://queue"] = None
        found[f"claudine://tasks/{event.task_id}"] = None
        if event.type in {"task:active", "task:ended"}:
            found[f"claudine://tasks/{event.task_id}/logs"] = None
    return list(found)
