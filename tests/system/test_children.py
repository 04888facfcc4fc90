"""A process that reaps whatever dies, and threads in it that wait for programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import wait_until

from claudine_mcp.host.children import dead_children, own_child
from claudine_mcp.host.git import GitError, git

FAILS = [sys.executable, "-c", "raise SystemExit(7)"]


def own_child_that_fails() -> subprocess.Popen[bytes]:
    with own_child(FAILS) as process:
        process.wait()
    return process


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="there nobody but the caller is asked for")
def test_how_a_program_ended_is_for_the_thread_that_waits_for_it() -> None:
    stop = threading.Event()
    stranger = subprocess.Popen(FAILS)
    reaped: dict[int, int] = {}

    def reap() -> None:
        while not stop.is_set():
            reaped.update(dead_children([]))

    with ThreadPoolExecutor(3) as pool:
        reaping = pool.submit(reap)
        try:
            own = list(pool.map(lambda _: own_child_that_fails(), range(20)))
            wait_until(lambda: stranger.pid in reaped)
        finally:
            stop.set()
            reaping.result()
    stranger.returncode = os.waitstatus_to_exitcode(reaped[stranger.pid])
    assert [process.returncode for process in own] == [7] * 20
    assert stranger.returncode == 7
    assert reaped.keys().isdisjoint(process.pid for process in own)


def test_the_children_that_are_known_are_reaped_while_another_hides_the_rest() -> None:
    with own_child([sys.executable, "-c", "pass"]) as hiding:
        os.waitid(os.P_PID, hiding.pid, os.WEXITED | os.WNOWAIT)
        known = subprocess.Popen(FAILS)
        found: dict[int, int] = {}
        wait_until(lambda: found.update(dead_children([known.pid])) or found)
        known.returncode = os.waitstatus_to_exitcode(found[known.pid])
    assert known.returncode == 7
    assert hiding.returncode == 0


def test_a_git_that_fails_beside_the_reaper_is_seen_to_fail(tmp_path: Path) -> None:
    stop = threading.Event()

    def reap() -> None:
        while not stop.is_set():
            list(dead_children([]))

    with ThreadPoolExecutor(1) as pool:
        reaping = pool.submit(reap)
        try:
            for _ in range(10):
                with pytest.raises(GitError, match="rev-parse failed"):
                    git(tmp_path, "rev-parse", "--verify", "HEAD")
        finally:
            stop.set()
            reaping.result()
