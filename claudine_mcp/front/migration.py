"""A registry that an older program has written: a supervisor of this one has to bring it up to date."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from claudine_mcp.core.errors import RegistryError
from claudine_mcp.core.identity import Identity
from claudine_mcp.front.supervision import ensure_supervisor, log_tail
from claudine_mcp.host.lease import is_held
from claudine_mcp.host.signals import send
from claudine_mcp.registry.database import FILE, translated_errors
from claudine_mcp.registry.inspection import version_and_holder
from claudine_mcp.registry.schema import VERSION

LIMIT_S = 30.0
LOOK_EVERY_S = 0.05


async def migrated(state_dir: Path, env: Mapping[str, str]) -> None:
    """Have a registry migrated, and return when it is. A supervisor of the older program is ended first.

    That harms no task: the next supervisor adopts what runs.

    Raises:
        RegistryError: it was not migrated; the text says what the supervisor said.
        SupervisorError: none can be started.
    """
    path = state_dir / FILE
    started, version = False, 0
    with translated_errors(path), anyio.move_on_after(LIMIT_S):
        while True:
            # One look: a supervisor that migrates takes its epoch only afterwards.
            version, holder = await anyio.to_thread.run_sync(version_and_holder, path)
            if version >= VERSION:
                return
            if ensure_supervisor(state_dir, env):
                if started:
                    break
                started = True
            elif holder is not None and holder.identity is not None and is_held(state_dir):
                send(Identity.parse(holder.identity), signal.SIGTERM)
            await anyio.sleep(LOOK_EVERY_S)
    raise RegistryError(
        f"{path}: its version is {version}, this program's is {VERSION}, and it was not migrated. "
        f"The supervisor's log ends with: {log_tail(state_dir)}"
    )
