"""Why the real Claude Code says nothing: each reason is named rightly, once, and over when it goes on.

All cases run at the same time below one supervisor, once for all tests here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import anyio
import pytest
from alerting import alerts_about
from claude_code import claude_env
from delegating import BASH, LIMIT_S, handed_over
from fake_api import FakeApi
from hearing import Hearing
from support import Home, ended, temporary_home, wait_for
from troubles import TICK_S, Course, Trouble, at_most, deviations

from claudine_mcp.core.alerts import is_alert
from claudine_mcp.core.models import Event, Severity, Task
from claudine_mcp.core.rules import RunLimits
from claudine_mcp.core.rules.machine import LIMITED_S
from claudine_mcp.front import alerts
from claudine_mcp.front.front import Front
from claudine_mcp.front.monitoring import configure

pytestmark = pytest.mark.claude

STALL_S: Final = 12.0
AT_ONCE: Final = 3
"""How many start at the same time: a start takes most of a second of a processor, and is silent."""
GRACE: Final = 1.5

REFUSED_AT_ONCE: Final = ("refused, one of three", "refused, two of three", "refused, three of three")


def stalled(why: str, *, lasts_s: float = 0.0, **data: Any) -> Trouble:
    return Trouble("task:stalled", Severity.WARNING, STALL_S, lasts_s, {"why": why, **data}, may_worsen=True)


@dataclass(frozen=True)
class Case:
    """A delegated run.

    Attributes:
        name: of the case and its task.
        script: of the model.
        troubles: what must be told of it, and nothing else.
        ends: how its trouble is brought to an end: "gate" (the file that it waits for is made), "allow" (what it
            was stalled for is allowed), "cancel" (the answer to its alert), "" (it ends by itself).
        outcome: of the task.
        options: of its submission.
        watch: parameters of ConfigureMonitoring for it.
        hooks: commands of Claude Code's hooks in its project, by event.
    """

    name: str
    script: str
    troubles: tuple[Trouble, ...] = ()
    ends: str = ""
    outcome: str = "succeeded"
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    watch: dict[str, str] = field(default_factory=dict[str, str])
    hooks: dict[str, str] = field(default_factory=dict[str, str])


WAITS: Final = "until test -e gate; do sleep 0.3; done"
GOES_ON: Final = "bash echo on | slow 6 | text done"
"""It is looked at once more before it ends: an end clears all that was said, and says no more of it."""
SLOW_S: Final = 2 * STALL_S
"""What takes so long is stalled in the middle of it, and not if it takes a third."""

CASES: Final = (
    Case("a model that takes its time", f"slow {STALL_S / 3} | text done"),
    Case("a slow model", f"slow {SLOW_S} | {GOES_ON}", (stalled("model", lasts_s=SLOW_S, phase="model"),)),
    Case(
        "a model that hangs",
        "hang | text done",
        (replace(stalled("model", phase="model"), over_s=None),),
        ends="cancel",
        outcome="cancelled",
    ),
    Case("a refused tool", "bash touch refused | text done"),
    Case(
        "the same refused tool again and again",
        "bash touch refused | " * RunLimits().repeats
        + f"slow {STALL_S / 3} | bash touch other | slow 3 | text done",
        (Trouble("task:repeating", Severity.WARNING, 0.0, STALL_S / 3, {"tool": "Bash (touch refused)"}),),
    ),
    Case(
        "an API that fails again and again",
        f"error 500 times 5 | {GOES_ON}",
        (stalled("overload", lasts_s=2 * SLOW_S, phase="retrying", attempts=10),),
    ),
    Case(
        "an overloaded API",
        f"error 529 retry-after {SLOW_S:.0f} times 1 | {GOES_ON}",
        (stalled("overload", lasts_s=SLOW_S, phase="retrying", attempt=1, error="overloaded"),),
    ),
    Case(
        "a limit of requests",
        f"error 429 retry-after {SLOW_S:.0f} times 1 | {GOES_ON}",
        (
            stalled(
                "rate-limit", lasts_s=SLOW_S, phase="rate_limited", attempt=1, attempts=10, error="rate_limit"
            ),
        ),
    ),
    Case(
        "a tool that runs long",
        f"bash {WAITS} | {GOES_ON}",
        (stalled("tool", phase="tool", tools=[f"Bash ({WAITS})"]),),
        ends="gate",
        options=BASH,
    ),
    Case(
        "a permission that nobody gives",
        "bash touch allowed | slow 6 | text done",
        (
            Trouble("task:needs-permission", Severity.WARNING, 0.0, 0.0),
            stalled("permission", asks="Bash (touch allowed)"),
        ),
        ends="allow",
        options={"ask_permission": True},
    ),
    Case(
        "work in the background",
        f"background {WAITS} | text first | slow 6 | text second",
        (stalled("background", phase="background"),),
        ends="gate",
        options=BASH,
    ),
    Case(
        "a result without an end",
        "text done",
        # Nothing but its end can follow.
        (replace(stalled("after-result", phase="result"), over_s=None),),
        ends="gate",
        hooks={"SessionEnd": WAITS},
    ),
    *(
        # Last, since once this is told the API's refusals of others are not; and longer than one of those takes.
        Case(
            name,
            f"error 429 retry-after {LIMITED_S + 20:.0f} times 1 | text done",
            watch={"stallThreshold": "40s"},
        )
        for name in REFUSED_AT_ONCE
    ),
)


class Player:
    """Runs a case from its submission to its end."""

    def __init__(self, home: Home, front: Front, hearing: Hearing, case: Case, number: int) -> None:
        self.case = case
        self.course = Course()
        self._home = home
        self._front = front
        self._hearing = hearing
        self._folder = home.work / f"project{number}"

    async def play(self, starting: anyio.Semaphore) -> None:
        """Start it when it is its turn; let it be told what is to be told, let that pass, and let it end."""
        async with starting:
            task = await self._submit()
            await wait_for(lambda: self._home.output(task), LIMIT_S, what=f"{self.case.name} begins")
        course = self.course
        course.told = self._hearing.told[task.id]
        course.began = course.over = time.time()
        try:
            await self._wait(course.of_type, {each.type: each.after_s for each in self.case.troubles})
            if self.case.ends:
                course.over = time.time()
                await self._let_it_pass()
            passing = {each.type: each.over_s for each in self.case.troubles if each.over_s is not None}
            await self._wait(course.recovered, passing)
        finally:
            (self._folder / "gate").touch()
        await ended(self._front, task, LIMIT_S)
        course.open_after = [alert.type for alert in await alerts_about(self._front, task.id)]

    async def _submit(self) -> Task:
        (self._folder / ".claude").mkdir(parents=True)
        hooks = {
            event: [{"hooks": [{"type": "command", "command": command}]}]
            for event, command in self.case.hooks.items()
        }
        (self._folder / ".claude" / "settings.json").write_text(
            json.dumps({"hooks": hooks}), encoding="utf-8"
        )
        task = await handed_over(
            self._front, self.case.script, name=self.case.name, cwd=str(self._folder), **self.case.options
        )
        if self.case.watch:
            await configure(self._front, self.case.watch, task=task, reset=False, by_agent=False)
        return task

    async def _wait(self, told: Callable[[str], Sequence[Event]], within_s: Mapping[str, float]) -> None:
        """Wait until all of this was told; what comes late is waited for, and what never comes is not."""
        longest_s = at_most(max(within_s.values(), default=0.0))
        await self._hearing.until(lambda: all(told(kind) for kind in within_s), GRACE * longest_s)

    async def _let_it_pass(self) -> None:
        match self.case.ends:
            case "gate":
                (self._folder / "gate").touch()
            case action:
                # What has just started may be told of more mildly first, which is nothing to be answered.
                await self._hearing.until(lambda: bool(self._stalls()), at_most(STALL_S))
                for alert in self._stalls()[:1]:
                    await alerts.answer(self._front, alert.seq, action)

    def _stalls(self) -> list[Event]:
        return [event for event in self.course.of_type("task:stalled") if is_alert(event)]


@dataclass
class Suite:
    """All cases, run: their courses by name, and what was told of no task."""

    courses: dict[str, Course]
    machine: list[Event]


async def _play_all(home: Home) -> Suite:
    async with home.front() as front:
        hearing = Hearing(front)
        players = {case.name: Player(home, front, hearing, case, n) for n, case in enumerate(CASES)}
        starting = anyio.Semaphore(AT_ONCE)
        machine = hearing.told[None]
        async with anyio.create_task_group() as listening:
            listening.start_soon(hearing.listen)
            async with anyio.create_task_group() as group:
                for player in players.values():
                    group.start_soon(player.play, starting)
            # With the last run this is over, too.
            await hearing.until(lambda: any(event.type == "system:recovered" for event in machine), LIMIT_S)
            listening.cancel_scope.cancel()
        await hearing.look()
    return Suite({name: player.course for name, player in players.items()}, machine)


@pytest.fixture(scope="module")
def suite(claude_argv: list[str]) -> Iterator[Suite]:
    """All cases, run."""
    with temporary_home() as home, FakeApi() as api:
        ours = {name: home.env[name] for name in ("CLAUDINE_HOME", "CLAUDINE_CONFIG")}
        patient = {"CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS": "600000"}
        home.env = claude_env(home.folder, api.url) | ours | patient
        home.configure(
            claude={"command": claude_argv[0]},
            monitoring={"sampleInterval": f"{TICK_S:g}s", "stallThreshold": f"{STALL_S:g}s"},
            limits={"softMaxConcurrent": len(CASES)},
        )
        yield anyio.run(_play_all, home)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_why_it_is_silent_is_told_once_and_over_when_it_goes_on(suite: Suite, case: Case) -> None:
    course = suite.courses[case.name]
    for event in course.told:
        print(f"{event.at - course.began:7.1f} s  {event.severity:8} {event.type:18} {event.message}")  # noqa: T201
    assert deviations(case.troubles, course, case.outcome) == []


def test_what_the_api_refuses_to_several_runs_is_told_in_one_word_that_names_them(suite: Suite) -> None:
    (limited,) = [event for event in suite.machine if event.type == "api:limited"]
    assert limited.data["why"] == "rate-limit"
    named = {f"{name} (" for name in REFUSED_AT_ONCE}
    assert all(name in limited.message for name in named), limited.message
    (over,) = [event for event in suite.machine if event.data.get("alertId") == limited.seq]
    assert (over.type, over.data["of"]) == ("system:recovered", "api:limited")
