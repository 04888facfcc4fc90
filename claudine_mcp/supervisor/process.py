"""The supervisor as a process: takes the lease and an epoch, and serves until there is nothing left to do."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

import claudine_mcp
from claudine_mcp.core.config import Settings
from claudine_mcp.core.errors import ClaudineError, ConfigError, LeaseLost
from claudine_mcp.executors.local import install_keeper
from claudine_mcp.host.exitstatus import become_subreaper
from claudine_mcp.host.lease import Lease, adopt, try_take
from claudine_mcp.host.processes import identify
from claudine_mcp.host.settings import load_settings, state_dir
from claudine_mcp.host.statedir import prepare
from claudine_mcp.registry.ballast import Ballast
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.commands import overrides
from claudine_mcp.registry.database import (
    FILE,
    Database,
    DiskFull,
    create,
    open_database,
    translated_errors,
    upgrade,
)
from claudine_mcp.registry.leases import take_epoch
from claudine_mcp.registry.tasks import has_work
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.loop import Supervisor
from claudine_mcp.supervisor.retention import remove_unclaimed

log = logging.getLogger("claudine_mcp.supervisor")

DONE, FAILED, HELD, SUPERSEDED = 0, 1, 3, 4


def main(arguments: list[str] | None = None) -> int:
    """Run a supervisor; give the exit code: 0 done, 1 failed, 3 there is one already, 4 superseded."""
    parser = argparse.ArgumentParser(
        prog="claudine-mcp supervise", description="Serve the tasks of a state directory."
    )
    parser.add_argument("--once", action="store_true", help="make one pass in the foreground, then leave")
    parser.add_argument("--lease-fd", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    # A supervisor outlives whoever started it: neither their Ctrl-C nor their terminal's end is for it.
    for number in (signal.SIGHUP, signal.SIGINT) if not options.once else ():
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        directory = state_dir(os.environ)
        prepare(directory)
        lease = try_take(directory) if options.lease_fd is None else adopt(options.lease_fd, directory)
        if lease is None:
            log.error("another supervisor holds the lease of %s", directory)
            return HELD
        os.umask(0o077)
        return anyio.run(serve, directory, lease, options.once)
    except (LeaseLost, BaseExceptionGroup) as error:
        if isinstance(error, BaseExceptionGroup) and error.split(LeaseLost)[1] is not None:
            raise
        log.error("superseded: %s", error)  # noqa: TRY400 - where it happened tells nobody anything
        return SUPERSEDED
    except (ClaudineError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - the text is written for a person
        return FAILED


async def serve(directory: Path, lease: Lease, once: bool) -> int:
    """Serve a state directory with a lease that is held, as often as there is work when it is released."""
    become_subreaper()
    path = directory / FILE
    with translated_errors(path):
        if not path.exists():
            create(path)
        upgrade(path)
    async with open_database(directory) as db:
        held: Lease | None = lease
        while held is not None:
            try:
                await supervise(directory, db, once=once)
            finally:
                held.release()
            if once:
                break
            async with db.read() as tx:
                again = await has_work(tx)
            # Someone may have submitted between our last look and the release, and found the lease held.
            held = try_take(directory) if again else None
    return DONE


async def supervise(directory: Path, db: Database, *, once: bool) -> None:
    """Hold one epoch."""

    async def settings_in_force() -> Settings:
        async with db.read() as tx:
            changed = await overrides(tx, "*")
        return tolerant_settings(changed)

    try:
        db.epoch = epoch = await begin_epoch(db)
    except DiskFull:
        if not Ballast(directory).release():
            raise
        db.epoch = epoch = await begin_epoch(db)
    settings = await settings_in_force()
    log.info("epoch %d in %s, pid %d", epoch, directory, os.getpid())
    await remove_unclaimed(directory, db)
    ctx = Context(db, directory, install_keeper(directory), settings)
    supervisor = Supervisor(ctx, settings_in_force)
    with listen(db.bell) as listener:
        try:
            await supervisor.adopt()
            if once:
                await supervisor.settle(listener)
            else:
                await supervisor.run(listener, settings.supervisor.idle_exit / 1000)
            # Fronts that were killed in the middle of a submission leave environments behind, keys and all.
            await remove_unclaimed(directory, db)
        finally:
            supervisor.close()
    log.info("epoch %d ends: there is nothing to do", epoch)


def tolerant_settings(changed: Mapping[str, Any]) -> Settings:
    """Give the settings in force. A file that is wrong must not leave tasks without a supervisor.

    Fronts refuse new work while the file is wrong, and say why; what already runs is followed with what can
    still be understood.
    """
    nothing: Mapping[str, Any] = {}
    for overrides_taken in (changed, nothing):
        try:
            return load_settings(os.environ, overrides=overrides_taken).settings
        except ConfigError as error:
            log.error("configuration: %s", error)  # noqa: TRY400 - the text is written for a person
    log.warning("the defaults are used until the configuration is mended and a supervisor starts anew")
    return Settings()


async def begin_epoch(db: Database) -> int:
    """Say who supervises from here on; give the number of the epoch."""
    db.epoch = None
    async with db.write() as tx:
        return await take_epoch(tx, str(identify(os.getpid())), claudine_mcp.__version__, Context.wall())
