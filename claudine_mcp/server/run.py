"""The stdio server as a process: served until its client leaves or says so, and gone within milliseconds."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import anyio
from mcp.server.runner import serve_loop
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPDeprecationWarning

from claudine_mcp.server.app import ClaudineServer, build_server
from claudine_mcp.server.pump import CHANNEL_CAPABILITY

LEAVING_S = 0.2
"""Claude Code sends SIGKILL half a second after the first signal."""


def main(arguments: list[str]) -> int:
    """Serve one client on stdin and stdout. Does not return: the process ends with its client."""
    parser = argparse.ArgumentParser(prog="claudine-mcp", description="An MCP server on stdin and stdout.")
    parser.add_argument(
        "--era",
        choices=["auto", "legacy"],
        default="auto",
        help="legacy: offer only the protocol with a handshake (2025-11-25 and before)",
    )
    parser.add_argument(
        "--channel",
        action="store_true",
        help="with --era legacy: send alerts as channel messages, too (a research preview of Claude Code)",
    )
    options = parser.parse_args(arguments)
    if options.channel and options.era != "legacy":
        parser.error("--channel needs --era legacy: the newer protocol has no such messages")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
    warnings.simplefilter(
        "ignore", MCPDeprecationWarning
    )  # log messages, for the clients that still have them
    channel = options.channel or (options.era == "legacy" and _has_channel())
    server = build_server(os.environ, str(Path.cwd()), channel=channel)
    gc.freeze()  # the modules and models of the start are no garbage, and need no looking through
    gc.enable()
    anyio.run(serve, server, options.era, channel)
    return 0


def _has_channel() -> bool:
    """Whether the user's file wants messages of a channel. What is wrong in it the first tool that needs it says."""
    from claudine_mcp.core.errors import ConfigError  # noqa: PLC0415 - start-up time
    from claudine_mcp.host.settings import load_settings  # noqa: PLC0415

    try:
        return load_settings(os.environ).settings.notifications.channel
    except ConfigError:
        return False


async def serve(server: ClaudineServer, era: str, channel: bool = False) -> None:
    """Serve until end of input, SIGINT or SIGTERM; then end the process.

    The SDK's reader is a thread that is blocked in `read`, which nothing can interrupt. So the serving is
    cancelled, its cleanup runs, and the process leaves without waiting for that thread.
    """
    async with stdio_server() as (reader, writer):
        with anyio.CancelScope() as serving:
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_on_signal, serving)
                low = server.lowlevel
                if era == "legacy":
                    experimental: dict[str, dict[str, Any]] | None = (
                        {CHANNEL_CAPABILITY: {}} if channel else None
                    )
                    said = low.create_initialization_options(experimental_capabilities=experimental)
                    async with low.lifespan(low) as state:
                        await serve_loop(low, reader, writer, lifespan_state=state, init_options=said)
                else:
                    await low.run(reader, writer, low.create_initialization_options())
                serving.cancel()
        os._exit(0)


async def _cancel_on_signal(serving: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        async for _ in received:
            serving.cancel()
            # What is being written to a client that does not read holds up the end; nothing of ours needs it.
            asyncio.get_running_loop().call_later(LEAVING_S, os._exit, 0)
            return
