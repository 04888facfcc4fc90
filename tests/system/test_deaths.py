"""Workers that are killed, by someone or by the kernel for want of memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Home, ended, in_state, kill, wait_for

from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.submit import CommandRequest

MEMORY_BYTES = 40 * 2**20
EATER = f"exec {sys.executable} -c 'x = bytearray({4 * MEMORY_BYTES}); print(\"ate\")'"


async def test_a_worker_killed_with_sigkill_has_failed_with_signal_9(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest("echo $$ >> begun; exec sleep 300"))
        await in_state(front, task, State.RUNNING)
        await wait_for(lambda: home.lines("begun"))
        kill(home.main_pid(task))
        done = await ended(front, task)
    assert (done.outcome, done.signal, done.exit_code) == (Outcome.FAILED, 9, None)
    assert not done.killed_for_memory
    assert "SIGKILL" in (done.reason or "")


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group that a process joins by writing its pid into the file, and that has little memory."""
    root = Path("/sys/fs/cgroup")
    controllers = root / "cgroup.controllers"
    unified = controllers.exists() and "memory" in controllers.read_text().split()
    group = (root if unified else root / "memory") / f"claudine-test-{os.getpid()}"
    limits = ("memory.max", "memory.swap.max") if unified else ("memory.limit_in_bytes",)
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        for name, value in zip(limits, (MEMORY_BYTES, 0), strict=False):
            try:
                (group / name).write_text(str(value))
            except OSError as error:
                pytest.skip(f"this control group cannot be limited: {error}")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


async def test_a_worker_that_the_kernel_killed_for_memory_is_told_so(home: Home, small_group: Path) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(f"echo $$ > {small_group} && {EATER}"))
        done = await ended(front, task)
    assert (done.outcome, done.signal, done.killed_for_memory) == (Outcome.FAILED, 9, True), done
    assert "memory" in (done.reason or "")
    assert home.output(task) == ""


async def test_a_shell_whose_child_was_killed_for_memory_is_told_so(home: Home, small_group: Path) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(f"(echo 0 > {small_group} && {EATER}); exit $?"))
        done = await ended(front, task)
    assert (done.outcome, done.exit_code, done.killed_for_memory) == (Outcome.FAILED, 137, True), done
    assert "memory" in (done.reason or "")
