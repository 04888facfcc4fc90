"""Priorities in motion: who gives way to whom, how few of them, and when they go on again."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claudine_mcp.core.admission import Active, Caps, MemoryHold, Situation, Waiting
from claudine_mcp.core.admission import Machine as Looked
from claudine_mcp.core.admission import decide as admit
from claudine_mcp.core.demand import Need
from claudine_mcp.core.fields import Level
from claudine_mcp.core.models import Dependency, Priority
from claudine_mcp.core.policy import (
    Action,
    Cause,
    Condition,
    Decision,
    Machine,
    Pace,
    Standing,
    State,
    decide,
    displace,
    memory_hold,
)
from claudine_mcp.core.policy.state import Phase, Record

GB = 10**9
P0, P1, P2 = Priority
RESERVE, TOTAL = 2 * GB, 10 * GB
AGEING_S = 600.0
PACE = Pace()
STEPS = frozenset({Action.SUSPEND, Action.HIBERNATE, Action.RESUME, Action.TRIAL})


@dataclass
class Job:
    """A task: what it takes, and how long it runs; at the end of that it is gone.

    Attributes:
        cpu: processes of it that would compute; where there are more of them than processors, each has a share.
    """

    task_id: str
    priority: Priority = P1
    arrives: float = 0.0
    takes_s: float = 1e9
    size: int = GB
    cpu: float = 0.0
    consents: bool = False
    level: Level = Level.ACTIVE
    after: str | None = None
    state: str = "coming"
    stopped_by: str = ""
    stopped_for: str = ""
    stopped_at: float = 0.0
    queued_at: float = 0.0
    ran_s: float = 0.0

    @property
    def need(self) -> Need:
        return Need(self.size, 0.0, self.size)

    @property
    def holds(self) -> int:
        return self.size if self.state in {"running", "suspended"} else 0


@dataclass
class World:
    """Jobs on a machine in virtual time, second by second; what is decided happens at once."""

    jobs: dict[str, Job]
    foreign_load: float = 0.0
    processors: float = 2.0
    max_load: float | None = None
    caps: Caps = field(default_factory=lambda: Caps(20, 50))
    now: float = 0.0
    state: State = field(default_factory=State)
    told: list[tuple[float, Decision]] = field(default_factory=list[tuple[float, Decision]])
    foreign: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])
    hold: MemoryHold | None = None

    @property
    def available(self) -> int:
        others = sum(size for begins, ends, size in self.foreign if begins <= self.now < ends)
        return TOTAL - others - sum(job.holds for job in self.jobs.values())

    @property
    def load(self) -> float:
        return self.foreign_load + sum(job.cpu for job in self.those("running"))

    def those(self, *states: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.state in states]

    def situation(self) -> Situation:
        load = self.load
        displaced = [
            Waiting(
                job.task_id,
                0,
                job.priority,
                job.stopped_at,
                need=job.need.besides(job.holds),
                is_stopped=job.state == "suspended",
            )
            for job in self.those("suspended", "hibernated")
            if job.stopped_by == "policy" and job.stopped_for
        ]
        return Situation(
            [
                Waiting(
                    job.task_id,
                    0,
                    job.priority,
                    job.queued_at,
                    depends_on=() if job.after is None else (Dependency(job.after),),
                    need=job.need,
                )
                for job in self.those("queued")
            ],
            [
                Active(
                    job.task_id,
                    job.priority,
                    need=job.need,
                    memory_bytes=job.holds,
                    is_suspended=job.state == "suspended",
                )
                for job in self.those("running", "suspended")
            ],
            self.caps,
            self.now,
            {job.after: None for job in self.those("queued") if job.after is not None},
            Looked(
                TOTAL, self.available, RESERVE, load, self.processors, 90.0 if load > self.processors else 0
            ),
            ageing_s=AGEING_S,
            max_load=self.max_load,
            memory=self.hold,
            displaced=displaced,
        )

    def standings(self) -> list[Standing]:
        conditions = {
            "running": Condition.RUNNING,
            "suspended": Condition.SUSPENDED,
            "hibernated": Condition.HIBERNATED,
            "queued": Condition.MOVING,
        }
        return [
            Standing(
                job.task_id,
                job.priority,
                job.level,
                conditions[job.state],
                job.stopped_by,
                job.stopped_for if job.stopped_by == "policy" else "",
                job.cpu * min(1.0, self.processors / max(self.load, 0.1)) if job.state == "running" else 0.0,
                job.holds,
                request_bytes=TOTAL,
                critical_bytes=TOTAL,
                may_hibernate=job.consents,
            )
            for job in self.jobs.values()
            if job.state in {"running", "suspended"}
            or (job.state == "hibernated" and job.stopped_by == "policy")
            or (job.state == "queued" and self.state.record(job.task_id).is_going_on)
        ]

    def pass_s(self, seconds: int) -> list[Decision]:
        """Let time pass; give what was decided in it."""
        before = len(self.told)
        for _ in range(seconds):
            self.now += 1
            for job in self.those("running"):
                job.ran_s += 1
                if job.ran_s >= job.takes_s:
                    job.state = "ended"
            for job in self.those("coming"):
                if job.arrives <= self.now:
                    job.state, job.queued_at = "queued", self.now
            for task_id in admit(self.situation()).admit:
                self.jobs[task_id].state = "running"
            machine, tasks = Machine(self.available, RESERVE), self.standings()
            decided = decide(self.state, self.now, machine, tasks, PACE) if self.foreign else None
            if decided is None or not any(each.action in STEPS for each in decided.decisions):
                state = self.state.at_ease() if decided is None else decided.state
                decided = displace(state, self.now, tasks, self.situation(), PACE)
            self.state = State.of(json.loads(json.dumps(decided.state.to_json())))
            self.hold = memory_hold(self.state, self.now, machine, tasks, PACE) if self.foreign else None
            for decision in decided.decisions:
                if decision.action in STEPS:
                    self.told.append((self.now, decision))
                    self.happens(decision)
        return [decision for _, decision in self.told[before:]]

    def happens(self, decision: Decision) -> None:
        """Carry a decision out."""
        job = self.jobs[decision.task_id or ""]
        if decision.action in {Action.RESUME, Action.TRIAL}:
            job.state = "running" if job.state == "suspended" else "queued"
            job.queued_at = job.stopped_at
            job.stopped_by = job.stopped_for = ""
        else:
            job.state = "suspended" if decision.action is Action.SUSPEND else "hibernated"
            job.stopped_by, job.stopped_at = "policy", self.now
            job.stopped_for = decision.data.get("for", "")


def world(*jobs: Job, **values: Any) -> World:
    return World({job.task_id: job for job in jobs}, **values)


def what(decisions: list[Decision]) -> list[tuple[Action, str | None]]:
    return [(each.action, each.task_id) for each in decisions]


LARGE: dict[str, Any] = {"size": 6 * GB}
WHO = [
    # higher, lower, the lower one's level, whether it gives way
    (P0, P2, Level.ACTIVE, True),
    (P1, P2, Level.ACTIVE, True),
    (P0, P2, Level.PROTECTIVE, True),
    (P1, P2, Level.PROTECTIVE, True),
    (P0, P1, Level.PROTECTIVE, True),
    (P0, P1, Level.ACTIVE, False),
    (P0, P2, Level.PASSIVE, False),
    (P0, P1, Level.PASSIVE, False),
    *((each, each, Level.PROTECTIVE, False) for each in Priority),
    (P2, P1, Level.PROTECTIVE, False),
    (P1, P0, Level.PROTECTIVE, False),
]


@pytest.mark.parametrize(("higher", "lower", "level", "gives_way"), WHO)
def test_who_gives_way_to_whom(higher: Priority, lower: Priority, level: Level, *, gives_way: bool) -> None:
    here = world(
        Job("low", lower, consents=True, level=level, **LARGE), Job("high", higher, arrives=10, **LARGE)
    )
    decisions = here.pass_s(60)
    assert what(decisions) == ([(Action.HIBERNATE, "low")] if gives_way else [])
    assert here.jobs["high"].state == ("running" if gives_way else "queued")


def test_what_keeps_its_memory_and_does_not_consent_is_not_stopped_for_memory() -> None:
    here = world(Job("low", P2, **LARGE), Job("high", P0, arrives=10, **LARGE))
    assert here.pass_s(600) == []


def test_for_processors_a_task_is_suspended_and_keeps_its_memory() -> None:
    here = world(
        Job("low", P2, cpu=2.0, consents=True),
        Job("high", P0, arrives=10, cpu=1.0),
        max_load=1.0,
        foreign_load=0.5,
    )
    assert what(here.pass_s(60)) == [(Action.SUSPEND, "low")]
    assert here.jobs["high"].state == "running"


def test_for_processors_nothing_is_stopped_that_uses_none() -> None:
    here = world(Job("low", P2, cpu=0.1), Job("high", P0, arrives=10), max_load=1.0, foreign_load=4.0)
    assert here.pass_s(600) == []


def test_a_hold_must_last_five_seconds() -> None:
    here = world(
        Job("low", P2, consents=True, **LARGE),
        Job("short", P1, takes_s=13, size=GB),
        Job("high", P0, arrives=10, size=GB + 1),
    )
    here.jobs["low"].size = 6 * GB
    assert here.pass_s(30) == []
    assert here.jobs["high"].state == "running"


def test_a_task_that_was_expected_to_grow_is_only_suspended_where_that_is_enough() -> None:
    """It holds little of what it is expected to need: standing still, it leaves the rest."""
    here = world(Job("low", P2, consents=True, **LARGE), Job("high", P0, arrives=10, size=5 * GB))
    here.pass_s(9)
    small = replace(
        here.situation(),
        active=[Active("low", P2, need=here.jobs["low"].need, memory_bytes=GB)],
        waiting=[Waiting("high", 0, P0, 10.0, need=here.jobs["high"].need)],
        machine=Looked(TOTAL, 9 * GB, RESERVE, 0.0, 2.0),
    )
    tasks = [Standing("low", P2, Level.ACTIVE, memory_bytes=GB, may_hibernate=True)]
    state = displace(State(), 100.0, tasks, small).state
    assert what(displace(state, 106.0, tasks, small).decisions) == [(Action.SUSPEND, "low")]


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("softCap", {"caps": Caps(1, 50)}),
        ("hardCap", {"caps": Caps(1, 1)}),
        ("dependency", {}),
    ],
)
def test_what_stopping_does_not_mend_stops_nothing(rule: str, more: dict[str, Any]) -> None:
    after = "low" if rule == "dependency" else None
    here = world(Job("low", P2, consents=True), Job("high", P1, arrives=10, after=after), **more)
    here.pass_s(60)
    assert admit(here.situation()).hold["high"]["rule"] == rule
    assert here.told == []


def test_as_few_as_are_enough_the_least_important_first() -> None:
    here = world(
        Job("p1", P1, consents=True, level=Level.PROTECTIVE, size=4 * GB),
        Job("a", P2, consents=True, size=GB),
        Job("b", P2, consents=True, size=2 * GB),
        Job("c", P2, consents=True, size=GB // 2),
        Job("high", P0, arrives=10, size=int(2.4 * GB)),
    )
    assert what(here.pass_s(60)) == [(Action.HIBERNATE, "b")]
    assert here.jobs["high"].state == "running"


def test_several_give_way_where_one_is_not_enough_and_p1_only_where_p2_is_not() -> None:
    def here(size: float) -> World:
        return world(
            Job("p1", P1, consents=True, level=Level.PROTECTIVE, size=4 * GB),
            Job("a", P2, consents=True, size=GB),
            Job("b", P2, consents=True, size=2 * GB),
            Job("c", P2, consents=True, size=GB // 2),
            Job("high", P0, arrives=10, size=int(size * GB)),
        )

    assert sorted(each.task_id or "" for each in here(3.4).pass_s(60)) == ["a", "b"]
    assert sorted(each.task_id or "" for each in here(4.5).pass_s(60)) == ["p1"]


def test_what_a_waiting_task_depends_on_is_not_stopped_for_another() -> None:
    here = world(
        Job("low", P2, consents=True, **LARGE),
        Job("high", P0, arrives=10, **LARGE),
        Job("after", P0, arrives=10, after="low"),
    )
    assert here.pass_s(600) == []


def test_that_one_task_may_always_run_is_no_reason_to_suspend_what_runs() -> None:
    here = world(Job("low", P2, **LARGE), Job("high", P0, arrives=5, size=9 * GB))
    assert here.pass_s(600) == []
    here.jobs["low"].consents = True
    assert here.pass_s(600) == [], "9 GB do not fit above the reserve, whoever is stopped"


# -- going on -----------------------------------------------------------------------------------------------


def test_it_goes_on_by_itself_after_a_minute_with_room_and_says_for_whom_it_had_stopped() -> None:
    here = world(
        Job("low", P2, consents=True, **LARGE),
        Job("high", P0, arrives=10, takes_s=100, **LARGE),
        Job("small", P1, size=GB // 10),  # something runs
    )
    here.pass_s(100)
    assert here.jobs["low"].state == "hibernated"
    ends_at = next(at for at in itertools.count(101) if here.pass_s(1) or here.jobs["high"].state == "ended")
    decisions = here.pass_s(120)
    assert what(decisions) == [(Action.RESUME, "low")]
    assert here.told[-1][0] - ends_at >= PACE.resume_dwell_s - 1
    assert decisions[0].data == {"for": "high", "isOver": True}
    assert here.jobs["low"].state == "running"


def test_it_goes_on_at_once_where_nothing_runs_any_more() -> None:
    here = world(
        Job("low", P2, consents=True, takes_s=600, **LARGE), Job("high", P0, arrives=10, takes_s=30, **LARGE)
    )
    here.pass_s(60)
    assert here.jobs["low"].state == "running"
    here.pass_s(800)
    assert {job.state for job in here.jobs.values()} == {"ended"}


def test_it_goes_on_beside_the_other_where_there_is_room() -> None:
    here = world(
        Job("low", P2, consents=True, size=4 * GB),
        Job("other", P1, size=3 * GB, takes_s=100),
        Job("high", P0, arrives=10, size=4 * GB),
    )
    here.pass_s(300)
    assert what([each for _, each in here.told]) == [(Action.HIBERNATE, "low"), (Action.RESUME, "low")]
    assert here.told[-1][1].data == {"for": "high", "isOver": False}
    assert here.jobs["low"].state == here.jobs["high"].state == "running"


def test_it_waits_while_processors_would_be_short_again_but_not_for_ever() -> None:
    here = world(
        Job("low", P2, cpu=2.0),
        Job("high", P0, arrives=10, cpu=0.5, takes_s=100),
        Job("small", P1),
        max_load=2.0,
        foreign_load=2.1,
    )
    here.pass_s(400)
    assert what([each for _, each in here.told]) == [(Action.SUSPEND, "low")]
    here.foreign_load = 2.01
    assert here.pass_s(150) == []
    assert what(here.pass_s(200)) == [(Action.RESUME, "low")], "it has aged"


def test_what_is_queued_behind_it_does_not_take_its_room() -> None:
    here = world(
        Job("low", P1, consents=True, level=Level.PROTECTIVE, **LARGE),
        Job("small", P1, size=GB // 10),
        Job("high", P0, arrives=10, takes_s=100, **LARGE),
        Job("later", P2, arrives=20, **LARGE),
    )
    here.pass_s(400)
    assert here.jobs["low"].state == "running"
    assert here.jobs["later"].state == "queued"


@pytest.mark.parametrize(("soft", "hard"), [(2, 9), (9, 3)])
def test_a_slot_that_is_kept_for_it_is_named_to_those_behind(soft: int, hard: int) -> None:
    """It has its slot of the hard cap already, as long as it is only suspended."""
    for is_stopped in (True, False):
        low = Waiting("low", 0, P1, 0.0, is_stopped=is_stopped)
        there = [Active("low", is_suspended=True)] if is_stopped else []
        more = Active("other", is_suspended=not is_stopped) if hard == 3 and not is_stopped else None
        active = [Active("runs"), *there, *([] if more is None else [more])]
        queue = Situation([Waiting("later", 1, P2, 0.0)], active, Caps(soft, hard), 1.0, displaced=[low])
        answer = admit(queue)
        assert answer.go_on == ["low"]
        if soft == 2 or (len(active) == hard - 1 and not is_stopped):
            assert answer.hold["later"] == {"rule": "displaced", "taskId": "low"}
        else:
            assert answer.admit == ["later"]


def test_what_is_suspended_keeps_its_place_within_the_hard_cap() -> None:
    low = Waiting("low", 0, P2, 0.0, is_stopped=True)
    active = [Active("runs"), Active("low", is_suspended=True)]
    queue = Situation([Waiting("high", 1, P0, 0.0)], active, Caps(1, 2), 1.0, displaced=[low])
    answer = admit(queue)
    assert answer.hold["high"]["rule"] == "hardCap"
    assert answer.go_on == []


def test_what_has_waited_for_long_comes_before_what_is_more_important() -> None:
    here = world(
        Job("low", P2, consents=True, **LARGE),
        *(Job(f"p1-{n}", P1, arrives=10 + 100 * n, takes_s=400, **LARGE) for n in range(20)),
    )
    here.pass_s(int(3 * AGEING_S))
    back = [at for at, each in here.told if each.action is Action.RESUME]
    assert back, "it waits for ever"
    assert back[0] <= 2 * AGEING_S + 400 + 60


def test_what_the_user_has_suspended_stays_so() -> None:
    here = world(Job("low", P2, consents=True, **LARGE), Job("high", P0, arrives=10, takes_s=60, **LARGE))
    here.pass_s(30)
    here.jobs["low"].stopped_by = "user"
    assert here.pass_s(3600) == []


def test_what_the_user_lets_go_on_does_not_give_way_again() -> None:
    here = world(
        Job("low", P2, cpu=2.0),
        Job("high", P0, arrives=10, cpu=1.0, takes_s=100),
        Job("next", P0, arrives=200, cpu=1.0),
        max_load=1.0,
        foreign_load=0.5,
    )
    here.pass_s(30)
    low = here.jobs["low"]
    assert low.state == "suspended"
    low.state, low.stopped_by = "running", ""
    assert here.pass_s(600) == []


def test_what_could_not_be_hibernated_is_not_tried_again_for_a_minute() -> None:
    here = world(Job("low", P2, consents=True, **LARGE), Job("high", P0, arrives=10, **LARGE))
    here.happens = lambda decision: None  # type: ignore[method-assign]
    here.pass_s(200)
    tries = [at for at, _ in here.told]
    assert len(tries) > 1
    assert all(later - sooner >= PACE.resume_dwell_s for sooner, later in itertools.pairwise(tries))


def test_what_went_on_runs_for_a_minute_before_it_gives_way_again_and_then_waits_longer() -> None:
    here = world(
        Job("low", P2, consents=True, **LARGE),
        Job("small", P1, size=GB // 10),
        *(Job(f"p0-{n}", P0, arrives=10 + 200 * n, takes_s=50, **LARGE) for n in range(10)),
    )
    here.pass_s(2500)
    times = {
        action: [at for at, each in here.told if each.action is action]
        for action in (Action.HIBERNATE, Action.RESUME)
    }
    waits = [back - away for away, back in zip(times[Action.HIBERNATE], times[Action.RESUME], strict=False)]
    assert len(waits) > 1
    assert waits[1] > waits[0]
    for back, away in zip(times[Action.RESUME], times[Action.HIBERNATE][1:], strict=False):
        assert away - back >= PACE.resume_dwell_s


def test_after_the_machine_was_started_anew_it_still_goes_on() -> None:
    here = world(Job("low", P2, state="suspended", stopped_by="policy", stopped_for="gone"), Job("small", P1))
    assert what(here.pass_s(62)) == [(Action.RESUME, "low")]


# -- memory that is short -----------------------------------------------------------------------------------


def held_for_memory(available: int) -> Situation:
    return Situation(
        [Waiting("high", 0, P0, 0.0, need=Need(GB, 0.0, GB))],
        [
            Active("low", P2, need=Need(3 * GB, 0, 3 * GB), memory_bytes=3 * GB, is_suspended=True),
            Active("runs", P1, need=Need(GB, 0, GB), memory_bytes=GB),
        ],
        Caps(10, 20),
        100.0,
        machine=Looked(TOTAL, available, RESERVE, 0.0, 2.0),
        memory=MemoryHold({"rule": "protective", "available": available, "reserve": RESERVE}),
    )


def test_what_memory_has_suspended_is_hibernated_for_what_is_more_important_where_that_ends_the_shortage() -> (
    None
):
    low = Standing("low", P2, condition=Condition.SUSPENDED, stopped_by="policy", may_hibernate=True)
    tasks = [replace(low, memory_bytes=3 * GB), Standing("runs", P1, memory_bytes=GB)]
    state = State(short_since=1.0, records={"low": Record(Phase.STOPPED, Cause.MACHINE)})
    for available, expected in ((GB, [(Action.HIBERNATE, "low")]), (-2 * GB, [])):
        queue = held_for_memory(available)
        pressed = displace(state, 100.0, tasks, queue).state
        assert what(displace(pressed, 106.0, tasks, queue).decisions) == expected


def test_what_is_more_important_than_all_that_memory_has_stopped_is_held_only_while_memory_is_short() -> None:
    tasks = [Standing("low", P1, condition=Condition.SUSPENDED, stopped_by="policy")]
    state = State(records={"low": Record(Phase.STOPPED, Cause.MACHINE)})
    queue = held_for_memory(5 * GB)
    hold = memory_hold(state, 10.0, Machine(5 * GB, RESERVE), tasks, PACE)
    assert admit(replace(queue, memory=hold)).admit == ["high"]
    equal = replace(queue, waiting=[replace(queue.waiting[0], priority=P1)], memory=hold)
    assert admit(equal).hold["high"]["rule"] == "protective"
    state.short_since = 1.0
    hold = memory_hold(state, 10.0, Machine(GB, RESERVE), tasks, PACE)
    assert admit(replace(queue, memory=hold)).hold["high"]["rule"] == "protective"


def test_the_queue_starts_nothing_beside_what_memory_has_just_let_go_on() -> None:
    tasks = [Standing("a", P1, condition=Condition.SUSPENDED, stopped_by="policy"), Standing("b", P0)]
    state, machine = State(records={"a": Record(Phase.STOPPED, Cause.MACHINE)}), Machine(9 * GB, RESERVE)
    state = decide(state, 100.0, machine, tasks, PACE).state
    decided = decide(state, 161.0, machine, tasks, PACE)
    assert what(decided.decisions) == [(Action.RESUME, "a")]
    later = replace(held_for_memory(9 * GB).waiting[0], priority=P2)
    for seconds, is_held in ((0, True), (14, True), (15, False)):
        runs = [replace(tasks[0], condition=Condition.RUNNING, stopped_by=""), tasks[1]] if seconds else tasks
        state = decide(decided.state, 161.0 + seconds, machine, runs, PACE).state
        hold = memory_hold(state, 161.0 + seconds, machine, runs, PACE)
        assert (hold is not None and hold.applies_to(later)) is is_held


# -- properties ---------------------------------------------------------------------------------------------

jobs = st.builds(
    Job,
    task_id=st.just(""),
    priority=st.sampled_from(Priority),
    arrives=st.integers(0, 300).map(float),
    takes_s=st.integers(5, 400).map(float),
    size=st.sampled_from([GB // 10, GB, 3 * GB, 5 * GB, 7 * GB]),
    cpu=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    consents=st.booleans(),
    level=st.sampled_from(Level),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(jobs, min_size=2, max_size=9), st.sampled_from([None, 1.0, 2.0]), st.booleans())
def test_whatever_comes_nobody_gives_way_in_vain_or_to_an_equal_and_everybody_has_a_turn(
    given_jobs: list[Job], max_load: float | None, is_capped: bool
) -> None:
    here = world(
        *(replace(each, task_id=str(number)) for number, each in enumerate(given_jobs)),
        max_load=max_load,
        caps=Caps(3, 4) if is_capped else Caps(20, 50),
    )
    for _ in range(400):
        told = len(here.told)
        for _ in range(20):
            here.pass_s(1)
            assert len(here.those("running", "suspended")) <= here.caps.hard
        for _, each in here.told[told:]:
            if each.action is not Action.RESUME:
                check(here, each)
        if not here.those("queued", "coming", "running", "suspended", "hibernated"):
            break
    assert {job.state for job in here.jobs.values()} == {"ended"}, "somebody waits for ever"
    for task_id in here.jobs:
        steps = [(at, each.action) for at, each in here.told if each.task_id == task_id]
        for (sooner, one), (later, other) in itertools.pairwise(steps):
            assert (one, other) in NEXT
            assert one is not Action.RESUME or later - sooner >= PACE.resume_dwell_s, "it flaps"


NEXT = {
    (Action.SUSPEND, Action.RESUME),
    (Action.SUSPEND, Action.HIBERNATE),  # for another one, which needs its memory
    (Action.HIBERNATE, Action.RESUME),
    (Action.RESUME, Action.SUSPEND),
    (Action.RESUME, Action.HIBERNATE),
}


def check(here: World, decision: Decision) -> None:
    """See that it was allowed to stop this for that."""
    victim, other = here.jobs[decision.task_id or ""], here.jobs[decision.data["for"]]
    assert victim.priority > other.priority
    assert victim.level is not Level.PASSIVE
    assert victim.priority is P2 or victim.level is Level.PROTECTIVE
    assert victim.consents or decision.action is Action.SUSPEND


@settings(max_examples=25, deadline=None)
@given(st.lists(jobs, min_size=1, max_size=6), st.sampled_from([P0, P1]), st.sampled_from([1, 3, 5, 7]))
def test_what_is_stopped_is_enough_and_none_of_it_could_have_been_spared(
    given_jobs: list[Job], priority: Priority, gigabytes: int
) -> None:
    running = [
        replace(each, task_id=str(number), state="running", takes_s=1e9)
        for number, each in enumerate(given_jobs)
    ]
    here = world(*running, Job("high", priority, state="queued", size=gigabytes * GB), max_load=1.0)
    decisions = here.pass_s(7)
    victims = {each.task_id: each.action for each in decisions}
    if not victims:
        return

    def starts(but_for: str | None) -> bool:
        """Whether it is let in when one of them runs on."""
        again = world(*(replace(each) for each in here.jobs.values()), max_load=1.0, now=here.now)
        again.jobs["high"].state = "queued"
        if but_for is not None:
            again.jobs[but_for].state, again.jobs[but_for].stopped_by = "running", ""
        # Nothing runs only because something else always may.
        again.jobs["one"] = Job("one", P0, state="running", size=0)
        return "high" in admit(again.situation()).admit

    assert starts(None)
    assert not any(starts(each) for each in victims if each is not None)


foreign = st.tuples(
    st.integers(0, 900).map(float), st.integers(5, 400).map(float), st.sampled_from([GB, 4 * GB, 8 * GB])
).map(lambda item: (item[0], item[0] + item[1], item[2]))


@settings(max_examples=25, deadline=None)
@given(st.lists(jobs, min_size=2, max_size=7), st.lists(foreign, min_size=1, max_size=4))
def test_beside_protective_mode_nothing_is_forgotten(
    given_jobs: list[Job], others: list[tuple[float, float, int]]
) -> None:
    """Whatever others take of the memory for a time: afterwards everything goes on and ends."""
    here = world(
        *(replace(each, task_id=str(number)) for number, each in enumerate(given_jobs)), foreign=others
    )
    for _ in range(500):
        for each in here.pass_s(20):
            if each.cause is Cause.PRIORITY and each.action in {Action.SUSPEND, Action.HIBERNATE}:
                check(here, each)
        if not here.those("queued", "coming", "running", "suspended", "hibernated"):
            break
    assert {job.state for job in here.jobs.values()} == {"ended"}, "somebody waits for ever"
