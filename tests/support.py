"""What tests of real processes share: a state directory of their own, waiting, and leaving nothing behind.

A pytest plugin, loaded in ``conftest.py``. Every state directory lies below one folder of the session, whose
path is therefore in the command line or the environment of all that is started for it: by that, and by the
identities that the registry holds, `stop_supervisor` ends it and `processes_of` proves that nothing is left.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from remains import (
    WAIT_S,
    alive,
    holder_of,
    kill,
    processes_of,
    query,
    stop_supervisor,
    supervisors_of,
    wait_for,
    wait_until,
)

from claudine_mcp.core.identity import Identity
from claudine_mcp.core.models import Event, Task
from claudine_mcp.core.paths import run_directory
from claudine_mcp.core.states import State
from claudine_mcp.front import supervision
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.host.processes import is_alive
from claudine_mcp.host.signals import send
from claudine_mcp.registry.events import events_after

__all__ = [
    "QUICK",
    "WAIT_S",
    "Home",
    "alive",
    "ended",
    "events_of",
    "holder_of",
    "home",
    "in_state",
    "kill",
    "new_home",
    "processes_of",
    "query",
    "session_folder",
    "stop_supervisor",
    "supervisors_of",
    "temporary_home",
    "wait_for",
    "wait_until",
]
"""Those of `remains`, too: tests import everything from here."""

QUICK = {
    "supervisor": {"idleExit": "3s"},
    "limits": {"killGrace": "300ms"},
    "monitoring": {"sampleInterval": "200ms"},
    "scheduling": {"maxLoad": 10_000, "startSpacing": 0},
}
"""Nothing here waits for other work of the machine that tests run on."""


@dataclass
class Home:
    """A state directory with its settings, and a folder for tasks to work in.

    Attributes:
        folder: holds all of it.
        state_dir: CLAUDINE_HOME.
        work: the working directory of fronts and tasks.
        env: what a client of this directory has in its environment.
    """

    folder: Path
    state_dir: Path
    work: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    def configure(self, **sections: dict[str, Any]) -> None:
        """Write the user's file: the quick settings of tests, with these instead of theirs."""
        values = {name: {**QUICK.get(name, {}), **sections.get(name, {})} for name in {**QUICK, **sections}}
        Path(self.env["CLAUDINE_CONFIG"]).write_text(json.dumps(values), encoding="utf-8")

    @asynccontextmanager
    async def front(self, by: str = "a test", *, keep: bool = False) -> AsyncGenerator[Front]:
        """Open a front; with `keep`, it sees to it that there is a supervisor, as a server does."""
        async with (
            open_front(self.env, str(self.work), {"by": by}) as front,
            anyio.create_task_group() as group,
        ):
            if keep:
                group.start_soon(supervision.keep_supervised, front.db, self.state_dir, self.env)
            yield front
            group.cancel_scope.cancel()

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read the registry directly."""
        return query(self.state_dir, sql, *parameters)

    def epoch(self) -> int:
        """Give how often the lease was taken."""
        return self.query("SELECT epoch FROM lease")[0][0]

    async def supervisor(self) -> Identity:
        """Wait until a supervisor holds the lease; give who it is."""

        def living() -> Identity | None:
            holder = holder_of(self.state_dir)
            return holder if holder is not None and is_alive(holder) else None

        found = await wait_for(living, what="a supervisor")
        assert found is not None
        return found

    async def kill_supervisor(self) -> None:
        """End the supervisor with SIGKILL, and wait until it is gone."""
        identity = await self.supervisor()
        assert send(identity, signal.SIGKILL)
        await wait_for(lambda: not is_alive(identity))

    def run_path(self, task: Task | str, n: int = 1) -> Path:
        """Give a run directory."""
        return run_directory(self.state_dir, task if isinstance(task, str) else task.id, n)

    def output(self, task: Task | str, stream: str = "stdout", n: int = 1) -> str:
        """Give what a run has written so far."""
        path = self.run_path(task, n) / f"{stream}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def record(self, task: Task | str, name: str, n: int = 1) -> dict[str, Any]:
        """Give a record of a run's keeper, as soon as it is there."""
        path = self.run_path(task, n) / name
        wait_until(path.exists, what=f"{path}")
        return json.loads(path.read_bytes())

    def keeper_pid(self, task: Task | str, n: int = 1) -> int:
        """Give the pid of a run's keeper."""
        return self.record(task, "start", n)["keeper"]["pid"]

    def main_pid(self, task: Task | str, n: int = 1) -> int:
        """Give the pid of a run's first process."""
        return self.record(task, "start", n)["main"]["pid"]

    def lines(self, name: str) -> list[str]:
        """Give the lines of a file that tasks write in their working directory."""
        path = self.work / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def log(self) -> str:
        """Give the supervisors' log."""
        path = self.state_dir / "supervisor.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


async def ended(front: Front, task: Task | str, timeout_s: float = WAIT_S) -> Task:
    """Wait until a task has ended; give it."""
    return await in_state(front, task, State.ENDED, timeout_s=timeout_s)


async def in_state(front: Front, task: Task | str, *states: State, timeout_s: float = WAIT_S) -> Task:
    """Wait until a task is in one of these states; give it."""
    task_id = task if isinstance(task, str) else task.id

    async def there() -> Task | None:
        found = await front.task(task_id)
        return found if found.state in states else None

    found = await wait_for(there, timeout_s, what=f"task {task_id} is {' or '.join(states)}")
    assert found is not None
    return found


async def events_of(front: Front, task: Task | str | None = None, *types: str) -> list[Event]:
    """Give the events of a task so far, oldest first; of these types only, if any are named."""
    ids = () if task is None else (task if isinstance(task, str) else task.id,)
    async with front.db.read() as tx:
        return await events_after(tx, 0, limit=10_000, task_ids=ids, types=types)


@functools.cache
def session_folder() -> Path:
    """Give the folder of this session that holds all state directories."""
    return Path(tempfile.mkdtemp(prefix="claudine-tests-")).resolve()


def new_home(folder: Path) -> Home:
    """Make a state directory with quick settings below `folder`."""
    work = folder / "work"
    work.mkdir()
    made = Home(folder, folder / "state", work)
    made.env |= {
        name: value for name, value in os.environ.items() if not name.startswith(("CLAUDINE", "CLAUDE"))
    }
    made.env |= {"CLAUDINE_HOME": str(made.state_dir), "CLAUDINE_CONFIG": str(folder / "config.json")}
    made.configure()
    return made


@pytest.fixture
def home() -> Iterator[Home]:
    """A state directory of the test's own; whatever runs in it is ended afterwards, and nothing may be left."""
    with temporary_home() as made:
        yield made


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Make a state directory; end whatever runs in it afterwards, and see that nothing is left."""
    folder = Path(tempfile.mkdtemp(dir=session_folder()))
    made = new_home(folder)
    assert supervision.LOOK_EVERY_S <= 1, "a supervisor is there within 2 s"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(supervision, "LOOK_EVERY_S", 0.05)
            yield made
    finally:
        try:
            stop_supervisor(made.state_dir)
        finally:
            left = processes_of(folder)
            for pid in left:
                kill(pid)
            shutil.rmtree(folder)
        assert not left, f"processes were left running: {left}"


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """After all tests: no process names the session's folder, and no state directory is there."""
    yield
    if not session_folder.cache_info().currsize:
        return
    folder = session_folder()
    left = processes_of(folder)
    for pid in left:
        kill(pid)
    files = [str(path.relative_to(folder)) for path in folder.iterdir()]
    shutil.rmtree(folder)
    assert not left, f"processes were left running: {left}"
    assert not files, f"state directories were left: {files}"
