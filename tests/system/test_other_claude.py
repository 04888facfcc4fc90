"""Claude Code that runs on this machine without us: a program of that name that is neither a task nor below one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Home, kill, wait_until

from claudine_mcp.core.samples import OtherClaude
from claudine_mcp.host import claude_processes
from claudine_mcp.host.claude_processes import OtherClaudes, is_orphan
from claudine_mcp.host.forest import Root
from claudine_mcp.host.probes import best_probes
from claudine_mcp.host.processes import Process, identify, reader
from claudine_mcp.host.sampling import TreeSampler


@pytest.fixture
def fake(home: Home) -> Path:
    """A program that is called claude, and sleeps."""
    found = shutil.which("sleep")
    assert found is not None
    path = home.work / "claude"
    shutil.copy(Path(found).resolve(), path)
    path.chmod(0o755)
    return path


@pytest.fixture
def others() -> Iterator[OtherClaudes]:
    probes = best_probes()
    made = OtherClaudes(probes)
    yield made
    made.close()
    probes.close()


def named(process: subprocess.Popen[bytes], name: str) -> Process:
    """Wait until a process has become the program that it was started for."""
    found = wait_until(lambda: (seen := reader().process(process.pid)) and seen.name == name and seen)
    assert isinstance(found, Process)
    return found


def test_only_what_is_called_so_and_has_no_marker_counts_until_it_leaves(
    home: Home, fake: Path, others: OtherClaudes
) -> None:
    env = {"HOME_OF_TEST": str(home.folder)}
    with (
        subprocess.Popen([fake, "300"], env=env) as first,
        subprocess.Popen([fake, "300"], env={**env, "CLAUDINE_RUN": "a.1"}) as task,
        subprocess.Popen(["sleep", "300"], env={**env, "PATH": os.environ["PATH"]}) as other,
    ):
        try:
            found = [named(first, "claude"), named(task, "claude"), named(other, "sleep")]
            others.meet(found)
            seen = others.look(0.0)
            assert (seen.processes, seen.orphans) == (1, 0)
            assert seen.rss_bytes > 0
            others.meet(found)
            assert others.look(0.0) == seen
        finally:
            for process in (first, task, other):
                process.kill()
        first.wait()
        assert others.look(100.0) == OtherClaude()


def test_the_sampler_meets_what_belongs_to_no_run_and_not_what_does(
    home: Home, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: dict[int, str] = {}
    monkeypatch.setattr(
        OtherClaudes, "meet", lambda _, found: met.update({process.pid: process.name for process in found})
    )
    script = f"{fake} 300 >/dev/null & echo $!"
    env = {"HOME_OF_TEST": str(home.folder), "PATH": os.environ["PATH"]}
    pids: list[int] = []
    sampler = TreeSampler()
    try:
        for _ in range(2):  # the parent of each has left
            done = subprocess.run(["sh", "-c", script], env=env, stdout=subprocess.PIPE, check=True)
            pids.append(int(done.stdout))
            wait_until(lambda: (seen := reader().process(pids[-1])) and seen.name == "claude")
        sampler.sample({"a.1": Root(None, identify(pids[1]))}, {}, 0.0)
        assert met[pids[0]] == "claude"
        assert pids[1] not in met
    finally:
        sampler.close()
        for pid in pids:
            kill(pid)


class Machine:
    """A reader that is asked about made-up processes."""

    def __init__(self, *processes: Process, terminals: tuple[int, ...] = ()) -> None:
        self.processes = {process.pid: process for process in processes}
        self.terminals = terminals

    def process(self, pid: int) -> Process | None:
        return self.processes.get(pid)

    def has_terminal(self, pid: int) -> bool:
        return pid in self.terminals


def process(pid: int, ppid: int, *, session: int, name: str = "claude") -> Process:
    return Process(pid, ppid, 1, zombie=False, name=name, session=session)


INIT = process(1, 0, session=1, name="tini")
MANAGER = process(50, 1, session=50, name="systemd")
SHELL = process(60, 50, session=60, name="bash")


@pytest.mark.parametrize(
    ("claude", "terminals", "orphan"),
    [
        (process(99, 1, session=60), (), True),
        (process(99, 50, session=60), (), True),
        (process(99, 1, session=60), (99,), False),
        (process(99, 60, session=60), (), False),
        (process(99, 1, session=99), (), False),
        (process(98, 1, session=60), (), False),
    ],
    ids=["by init", "by the manager", "has a terminal", "has its parent", "leads a session", "gone"],
)
def test_an_orphan_has_lost_terminal_and_parent(
    monkeypatch: pytest.MonkeyPatch, claude: Process, terminals: tuple[int, ...], orphan: bool
) -> None:
    known = (INIT, MANAGER, SHELL, *([claude] if claude.pid == 99 else []))
    monkeypatch.setattr(claude_processes, "reader", lambda: Machine(*known, terminals=terminals))
    assert is_orphan(claude.pid) is orphan
