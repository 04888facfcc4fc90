"""Real processes that misbehave, or look as if they did: each is named rightly, soon enough, once, and over when it is.

All cases of `troubles` run at the same time below one supervisor, once for all tests here.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from alerting import alerts_about
from hearing import Hearing
from support import Home, ended, temporary_home, wait_for
from troubles import CASES, SETTINGS, SOFT_CAP, Case, Course, at_most, deviations

from claudine_mcp.core.models import Event, Task
from claudine_mcp.front.front import Front
from claudine_mcp.front.monitoring import configure
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.updating import update_task

pytestmark = pytest.mark.live

PROGRAM = Path(__file__).parents[1] / "misbehaving.py"
GRACE = 1.5
"""Times what is allowed that is waited: what comes late is told as that, and not as missing."""
HAS_STRESS = shutil.which("stress-ng") is not None


@dataclass
class Suite:
    """All cases, run.

    Attributes:
        courses: by name of the case.
        machine: what was told of no task, oldest first.
    """

    courses: dict[str, Course]
    machine: list[Event]


class Player:
    """Runs a case from its submission to its end."""

    def __init__(self, home: Home, front: Front, hearing: Hearing, case: Case, number: int) -> None:
        self.case = case
        self.course = Course()
        self.is_told = anyio.Event()
        self._home = home
        self._front = front
        self._hearing = hearing
        self._key = f"case{number}"

    async def play(self, before: anyio.Event | None, turn: anyio.Semaphore) -> None:
        """Let it misbehave until that was told, then behave, then end; `before`: what must have happened first."""
        async with turn if self.case.computes else nullcontext():
            task = await self._submit()
            self.course.told = self._hearing.told[task.id]
            try:
                await self._let_it_be_told(task, before)
                await self._let_it_pass(task)
            finally:
                self.is_told.set()
                for what in ("over", "end"):
                    self._path(what).touch()
            await ended(self._front, task, at_most(60))
            self.course.open_after = [alert.type for alert in await alerts_about(self._front, task.id)]

    async def _submit(self) -> Task:
        kind, *arguments = self.case.act
        command = [sys.executable, str(PROGRAM), kind, self._key, *arguments]
        # Only what is urgent passes the soft cap.
        request = CommandRequest(command, name=self.case.name, priority="P0", **self.case.options)
        task = await self._front.submit_command(request)
        if self.case.watch:
            await configure(self._front, self.case.watch, task=task, reset=False, by_agent=False)
        return task

    async def _let_it_be_told(self, task: Task, before: anyio.Event | None) -> None:
        await wait_for(self._path("began").exists, at_most(60), what=f"{self.case.name} begins")
        self.course.began = float(self._path("began").read_text(encoding="utf-8"))
        if self.case.stops:
            self._send(task, signal.SIGSTOP)
        troubles = self.case.troubles
        longest_s = max((at_most(trouble.after_s) for trouble in troubles), default=0.0)
        await self._hearing.until(
            lambda: all(self.course.of_type(trouble.type) for trouble in troubles), GRACE * longest_s
        )
        self.is_told.set()
        if before is not None:
            await before.wait()
        await anyio.sleep(max(0.0, self.course.began + self.case.stays_s - time.time()))

    async def _let_it_pass(self, task: Task) -> None:
        self.course.over = time.time()
        match self.case.ends:
            case "signal":
                os.kill(self._home.main_pid(task), signal.SIGUSR1)
            case "continue":
                self._path("over").touch()
                self._send(task, signal.SIGCONT)
            case "write":
                await anyio.to_thread.run_sync(self._path("fifo").write_text, "at last")
            case "time":
                await update_task(self._front, task.id, timeout="1h")
            case _:
                self._path("over").touch()
        passing = [trouble for trouble in self.case.troubles if trouble.over_s is not None]
        longest_s = max((at_most(trouble.over_s or 0.0) for trouble in passing), default=0.0)
        await self._hearing.until(
            lambda: all(self.course.recovered(trouble.type) for trouble in passing), GRACE * longest_s
        )

    def _path(self, what: str) -> Path:
        return self._home.work / f"{self._key}.{what}"

    def _send(self, task: Task, number: int) -> None:
        child = self._path("child")
        pid = (
            int(child.read_text(encoding="utf-8"))
            if self.case.stops == "child"
            else self._home.main_pid(task)
        )
        os.kill(pid, number)


async def _play_all(home: Home) -> Suite:
    cases = [case for case in CASES if HAS_STRESS or not case.needs_stress]
    async with home.front() as front:
        hearing = Hearing(front)
        players = {case.name: Player(home, front, hearing, case, n) for n, case in enumerate(cases)}
        turn = anyio.Semaphore(1)
        async with anyio.create_task_group() as listening:
            listening.start_soon(hearing.listen)
            async with anyio.create_task_group() as group:
                for player in players.values():
                    first = players.get(player.case.waits_for)
                    group.start_soon(player.play, None if first is None else first.is_told, turn)
            listening.cancel_scope.cancel()
        await hearing.look()
    return Suite({name: player.course for name, player in players.items()}, hearing.told[None])


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    """All cases, run."""
    with temporary_home() as home:
        home.configure(**{name: dict(values) for name, values in SETTINGS.items()})
        yield anyio.run(_play_all, home)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_told_of_it_is_true_and_comes_once_in_time_and_goes(suite: Suite, case: Case) -> None:
    if case.needs_stress and not HAS_STRESS:
        pytest.skip("stress-ng is not there; it is a package of Debian's")
    course = suite.courses[case.name]
    for event in course.told:
        print(f"{event.at - course.began:7.1f} s  {event.severity:8} {event.type:18} {event.message}")  # noqa: T201
    assert deviations(case.troubles, course) == []


def test_more_tasks_than_the_soft_cap_are_told_once_and_it_is_over_when_fewer_are(suite: Suite) -> None:
    (told,) = [event for event in suite.machine if event.type == "limit:concurrency"]
    assert told.data["active"] > told.data["soft"] == SOFT_CAP
    (over,) = [event for event in suite.machine if event.data.get("alertId") == told.seq]
    assert over.seq > told.seq
