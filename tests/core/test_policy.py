"""The policy of protective mode, decision by decision."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claudine_mcp.core.fields import Level
from claudine_mcp.core.models import Priority
from claudine_mcp.core.policy import Action, Cause, Condition, Decision, Machine, Standing, State, decide

GB = 10**9
RESERVE = 2 * GB
SHORT, SOME, PLENTY = GB, 3 * GB, 20 * GB


@dataclass
class World:
    """Tasks and a machine in virtual time, second by second; what is decided happens at once."""

    tasks: dict[str, Standing]
    available: int = PLENTY
    exhausted_in_s: float | None = None
    now: float = 1000.0
    state: State = field(default_factory=State)
    told: list[tuple[float, Decision]] = field(default_factory=list[tuple[float, Decision]])

    def pass_s(self, seconds: int) -> list[Decision]:
        """Let time pass; give what was decided in it."""
        before = len(self.told)
        for _ in range(seconds):
            self.now += 1
            machine = Machine(self.available, RESERVE, self.exhausted_in_s)
            decisions, state = decide(self.state, self.now, machine, list(self.tasks.values()))
            self.state = State.of(state.to_json())
            for decision in decisions:
                self.told.append((self.now, decision))
                self.happens(decision)
        return [decision for _, decision in self.told[before:]]

    def happens(self, decision: Decision) -> None:
        """Carry a decision out."""
        match decision.action:
            case Action.SUSPEND:
                self.change(decision.task_id, condition=Condition.SUSPENDED, stopped_by="policy")
            case Action.HIBERNATE:
                self.available += self.tasks[decision.task_id or ""].memory_bytes
                self.change(
                    decision.task_id, condition=Condition.HIBERNATED, stopped_by="policy", memory_bytes=0
                )
            case Action.RESUME | Action.TRIAL:
                self.change(decision.task_id, condition=Condition.RUNNING, stopped_by="")
            case _:
                pass

    def change(self, task_id: str | None, **values: Any) -> None:
        """Change how a task stands."""
        self.tasks[task_id or ""] = replace(self.tasks[task_id or ""], **values)


def world(*tasks: Standing, **values: Any) -> World:
    return World({task.task_id: task for task in tasks}, **values)


def actions(decisions: list[Decision]) -> list[tuple[Action, str | None]]:
    return [(decision.action, decision.task_id) for decision in decisions]


def task(task_id: str, **values: Any) -> Standing:
    return Standing(task_id, **{"memory_bytes": GB, **values})


def test_no_action_ends_a_task() -> None:
    assert {each.value for each in Action} == {
        "suspend",
        "resume",
        "trial",
        "hibernate",
        "checkpoint",
        "ask",
        "settled",
    }


def test_memory_that_is_short_for_less_than_five_seconds_is_no_reason() -> None:
    here = world(task("a"), task("b"), available=SHORT)
    assert here.pass_s(5) == []
    here.available = PLENTY
    here.pass_s(1)
    here.available = SHORT
    assert here.pass_s(5) == []
    assert [each.action for each in here.pass_s(1)] == [Action.SUSPEND]


def test_memory_that_will_be_used_up_within_two_minutes_is_short_now() -> None:
    here = world(task("a"), task("b"), exhausted_in_s=121)
    assert here.pass_s(30) == []
    here.exhausted_in_s = 119
    assert here.pass_s(1)[0].action is Action.SUSPEND


ORDER: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("what takes more than it may, before what is less important", {"memory_bytes": 3 * GB}, {"priority": Priority.P2}),
    ("what is less important, before what grows faster", {"priority": Priority.P2}, {"growth": 1e9}),
    ("what grows faster, before what is larger", {"growth": 2e6}, {"growth": 1e6, "memory_bytes": int(1.5 * GB)}),
]  # fmt: skip


@pytest.mark.parametrize(("first", "then"), [row[1:] for row in ORDER], ids=[row[0] for row in ORDER])
def test_the_first_to_be_stopped_is(first: dict[str, Any], then: dict[str, Any]) -> None:
    here = world(task("a", **first), task("b", **then), task("c", priority=Priority.P0), available=SHORT)
    assert actions(here.pass_s(30))[:2] == [(Action.SUSPEND, "a"), (Action.SUSPEND, "b")]


def test_one_is_stopped_every_fifteen_seconds() -> None:
    here = world(*(task(name) for name in "abcd"), available=SHORT)
    here.pass_s(60)
    times = [at for at, decision in here.told if decision.action is Action.SUSPEND]
    assert [later - sooner for sooner, later in itertools.pairwise(times)] == [15, 15]


def test_the_last_that_runs_is_spared() -> None:
    here = world(task("a"), available=SHORT)
    assert Action.SUSPEND not in {each.action for each in here.pass_s(600)}


def test_one_that_is_not_protective_counts_as_running_and_is_never_touched() -> None:
    here = world(task("a"), task("b", level=Level.ACTIVE, memory_bytes=9 * GB), available=SHORT)
    here.pass_s(300)
    assert {decision.task_id for _, decision in here.told} == {"a", None}


def test_the_last_that_runs_is_stopped_if_it_is_what_exhausts_the_machine() -> None:
    here = world(task("a", growth=2e7, leak=2e7), available=SHORT)
    assert actions(here.pass_s(6)) == [(Action.SUSPEND, "a")]


def test_a_single_step_of_the_last_that_runs_is_no_leak() -> None:
    here = world(task("a", growth=2e8), available=SHORT)
    assert Action.SUSPEND not in {each.action for each in here.pass_s(60)}


def test_what_was_stopped_goes_on_after_a_minute_with_room_for_it() -> None:
    here = world(task("a", growth=1e7, leak=1e7), task("b", priority=Priority.P0), available=SHORT)
    assert actions(here.pass_s(6)) == [(Action.SUSPEND, "a")]
    here.available = 2 * RESERVE + 500_000_000  # but not the minute's growth besides
    assert Action.RESUME not in {each.action for each in here.pass_s(300)}
    here.available += 200_000_000
    assert here.pass_s(60) == []
    assert actions(here.pass_s(1)) == [(Action.RESUME, "a")]


def test_one_goes_on_at_a_time_the_most_important_first() -> None:
    here = world(task("a", priority=Priority.P2), task("b"), task("c", priority=Priority.P0), available=SHORT)
    here.pass_s(30)
    here.available = PLENTY
    assert actions(here.pass_s(200)) == [(Action.RESUME, "b"), (Action.RESUME, "a")]
    assert here.told[-1][0] - here.told[-2][0] >= 60


def test_what_was_resumed_too_soon_waits_twice_as_long_the_next_time() -> None:
    here = world(task("a", priority=Priority.P2), task("b"), available=SHORT)
    waits: list[float] = []
    for _ in range(3):
        here.available = SHORT
        here.pass_s(30)
        here.available, began = PLENTY, here.now
        here.pass_s(400)
        waits.append(
            next(at for at, each in here.told if each.action is Action.RESUME and at > began) - began
        )
        here.now -= 250  # the relapse is soon after it
        here.state.resumed_at = here.now
    assert waits == sorted(waits)
    assert waits[1] >= 120


def test_what_the_user_stopped_is_never_resumed() -> None:
    here = world(task("a", condition=Condition.SUSPENDED, stopped_by="user"), task("b"))
    assert here.pass_s(3600) == []


def test_what_the_user_stopped_once_more_is_out_of_our_hands() -> None:
    here = world(task("a", priority=Priority.P2), task("b"), available=SHORT)
    here.pass_s(6)
    here.change("a", stopped_by="user")
    here.available = PLENTY
    assert here.pass_s(3600) == []


def test_what_the_user_lets_go_on_is_left_alone_for_a_minute() -> None:
    here = world(task("a", priority=Priority.P2), task("b", priority=Priority.P0), available=SHORT)
    here.pass_s(30)
    here.change("a", condition=Condition.RUNNING, stopped_by="")
    here.change("b", level=Level.ACTIVE)
    assert {each.task_id for each in here.pass_s(60)} == {None}
    assert actions(here.pass_s(1)) == [(Action.SUSPEND, "a")]


OVER: dict[str, Any] = {"memory_bytes": 5 * GB}


def test_a_task_above_its_own_limit_is_stopped_even_if_nothing_else_runs() -> None:
    here = world(task("a", **OVER))
    assert here.pass_s(5) == []
    decisions = here.pass_s(1)
    assert actions(decisions) == [(Action.SUSPEND, "a")]
    assert decisions[0].cause is Cause.LIMIT


def test_a_task_above_its_own_limit_has_three_trials_of_a_minute_and_then_the_user_decides() -> None:
    here = world(task("a", **OVER), task("b"))
    here.pass_s(3600)
    assert [each.action for _, each in here.told] == [
        Action.SUSPEND,
        *[Action.TRIAL, Action.SUSPEND] * 3,
        Action.ASK,
    ]
    trials = [at for at, each in here.told if each.action is Action.TRIAL]
    stops = [at for at, each in here.told if each.action is Action.SUSPEND][1:]
    assert all(60 <= stop - trial <= 63 for trial, stop in zip(trials, stops, strict=True))
    assert here.told[-1][1].task_id == "a"


def test_a_task_that_has_come_back_below_its_limit_goes_on() -> None:
    here = world(task("a", **OVER), task("b"))
    here.pass_s(80)
    here.change("a", memory_bytes=GB)
    assert here.pass_s(600) == []
    here.change("a", **OVER)
    assert [each.action for each in here.pass_s(3600)].count(Action.TRIAL) == 3


def test_a_task_that_the_user_lets_go_on_above_its_limit_is_not_stopped_for_that_again() -> None:
    here = world(task("a", **OVER), task("b"))
    here.pass_s(3600)
    here.change("a", condition=Condition.RUNNING, stopped_by="")
    assert actions(here.pass_s(3600)) == [(Action.SETTLED, "a")]
    here.change("a", memory_bytes=GB)
    here.pass_s(10)
    here.change("a", **OVER)
    assert actions(here.pass_s(6)) == [(Action.SUSPEND, "a")]


def test_without_room_there_is_no_trial() -> None:
    here = world(task("a", **OVER), task("b"), available=SOME)
    here.pass_s(3600)
    assert Action.TRIAL not in {each.action for _, each in here.told}


def test_only_what_its_submitter_consented_to_is_hibernated() -> None:
    here = world(task("a"), task("b"), task("c", priority=Priority.P0), available=SHORT)
    here.pass_s(600)
    assert Action.HIBERNATE not in {each.action for _, each in here.told}
    here = world(task("a", may_hibernate=True), task("c", priority=Priority.P0), available=SHORT)
    assert actions(here.pass_s(25)) == [(Action.SUSPEND, "a"), (Action.HIBERNATE, "a")]


def test_what_cannot_be_hibernated_is_not_tried_again_and_the_next_is_stopped() -> None:
    here = world(task("a", may_hibernate=True), task("b"), task("c", priority=Priority.P0), available=SHORT)
    here.pass_s(10)
    here.happens = lambda decision: None  # type: ignore[method-assign]
    assert actions(here.pass_s(12)) == [(Action.HIBERNATE, "a")]
    del here.happens
    assert actions(here.pass_s(30))[0] == (Action.SUSPEND, "b")


def test_what_was_hibernated_goes_on_when_there_is_room_for_all_that_it_took() -> None:
    here = world(
        task("a", memory_bytes=int(1.9 * GB), may_hibernate=True),
        task("c", priority=Priority.P0),
        available=SHORT,
    )
    here.pass_s(25)
    here.available = 2 * RESERVE + GB
    assert here.pass_s(300) == []
    here.available = 2 * RESERVE + 2 * GB
    assert actions(here.pass_s(62)) == [(Action.RESUME, "a")]


def test_the_user_is_asked_once_when_nothing_more_can_be_done_and_told_when_that_is_over() -> None:
    here = world(task("a", priority=Priority.P2), task("b"), available=SHORT)
    asked = [each for each in here.pass_s(600) if each.action is Action.ASK]
    assert [(each.task_id, each.cause) for each in asked] == [(None, Cause.MACHINE)]
    here.available = PLENTY
    assert (Action.SETTLED, None) in actions(here.pass_s(5))


def test_a_lone_leak_without_room_waits_for_the_user() -> None:
    here = world(task("a", growth=2e7, leak=2e7), available=SHORT)
    here.pass_s(6)
    here.available = RESERVE + 1  # no longer short, and yet no room to go on
    assert actions(here.pass_s(600)) == [(Action.ASK, None)]


def test_when_what_ran_has_ended_one_of_the_stopped_goes_on_without_room() -> None:
    here = world(task("a", priority=Priority.P2), task("b"), available=SHORT)
    here.pass_s(30)
    del here.tasks["b"]
    assert actions(here.pass_s(1)) == [(Action.TRIAL, "a")]


def test_a_task_whose_time_is_over_is_stopped_and_goes_on_when_it_is_given_more() -> None:
    here = world(task("a", is_overdue=True, level=Level.ACTIVE), task("b"))
    decisions = here.pass_s(1)
    assert (actions(decisions), decisions[0].cause) == ([(Action.SUSPEND, "a")], Cause.OVERDUE)
    assert here.pass_s(3600) == []
    here.change("a", is_overdue=False)
    assert actions(here.pass_s(1)) == [(Action.RESUME, "a")]


def test_a_task_that_the_user_lets_go_on_beyond_its_time_is_not_stopped_again() -> None:
    here = world(task("a", is_overdue=True), task("b"))
    here.pass_s(20)
    here.change("a", condition=Condition.RUNNING, stopped_by="")
    assert here.pass_s(3600) == []


def test_what_was_stopped_before_the_state_was_lost_is_not_forgotten() -> None:
    here = world(task("a", condition=Condition.SUSPENDED, stopped_by="policy"), task("b"))
    assert actions(here.pass_s(100)) == [(Action.RESUME, "a")]


def test_what_was_stopped_goes_on_although_the_level_is_lower_by_now() -> None:
    here = world(task("a", priority=Priority.P2), task("b"), available=SHORT)
    here.pass_s(6)
    here.change("a", level=Level.ACTIVE)
    here.available = PLENTY
    assert actions(here.pass_s(100)) == [(Action.RESUME, "a")]


def test_a_suspension_that_failed_is_not_taken_for_the_users_word() -> None:
    here = world(task("a", priority=Priority.P2), task("b"), available=SHORT)
    here.happens = lambda decision: None  # type: ignore[method-assign]
    assert actions(here.pass_s(22)) == [(Action.SUSPEND, "a"), (Action.SUSPEND, "a")]


def test_nothing_more_is_decided_about_a_task_with_an_open_command() -> None:
    here = world(task("a", priority=Priority.P2), task("b", condition=Condition.MOVING), available=SHORT)
    here.change("a", condition=Condition.MOVING)
    assert [each for each in here.pass_s(10) if each.task_id] == []


# -- the founding document's edge cases ---------------------------------------------------------------------


def test_edge_case_memory_leak_the_one_that_grows_is_stopped_once_it_takes_more_than_it_may() -> None:
    here = world(
        task("leak", memory_bytes=3 * GB, growth=2e7, leak=2e7), task("a"), task("b"), available=SHORT
    )
    assert actions(here.pass_s(10)) == [(Action.SUSPEND, "leak")]


def test_edge_case_infinite_loop_is_warned_of_and_nothing_else_is_done() -> None:
    """Computing exhausts nothing: tasks are nice, and the rule `runaway-cpu` tells the user."""
    assert world(task("spins"), task("a")).pass_s(3600) == []


def test_edge_case_deadlock_a_checkpoint_is_made_once() -> None:
    here = world(task("a", is_deadlocked=True), task("b"))
    assert actions(here.pass_s(3600)) == [(Action.CHECKPOINT, "a")]
    here.change("a", is_deadlocked=False)
    here.pass_s(1)
    here.change("a", is_deadlocked=True)
    assert actions(here.pass_s(60)) == [(Action.CHECKPOINT, "a")]


def test_edge_case_resource_spike_is_suspended_and_resumed_by_itself() -> None:
    here = world(task("spiky", **OVER), task("b"))
    assert actions(here.pass_s(70)) == [(Action.SUSPEND, "spiky"), (Action.TRIAL, "spiky")]
    here.change("spiky", memory_bytes=GB)
    assert here.pass_s(600) == []


def test_edge_case_system_overload_the_important_keeps_running() -> None:
    here = world(
        *(task(f"p{priority}-{n}", priority=Priority(priority)) for priority in (0, 1, 2) for n in "ab"),
        available=SHORT,
    )
    assert [each.task_id for each in here.pass_s(70)][:4] == ["p2-a", "p2-b", "p1-a", "p1-b"]


# -- properties ---------------------------------------------------------------------------------------------

standings = st.builds(
    Standing,
    task_id=st.just(""),
    priority=st.sampled_from(Priority),
    level=st.sampled_from([Level.PROTECTIVE, Level.PROTECTIVE, Level.ACTIVE, Level.PASSIVE]),
    memory_bytes=st.integers(0, 6 * GB),
    growth=st.sampled_from([0.0, 1e6, 1e8]),
    leak=st.sampled_from([0.0, 0.0, 1e6, 1e8]),
    may_hibernate=st.booleans(),
)
moments = st.tuples(
    st.integers(1, 90),
    st.sampled_from([0, GB // 2, RESERVE - 1, RESERVE, 2 * RESERVE, PLENTY]),
    st.sampled_from([None, None, 30.0]),
    st.sampled_from(["", "", "user stops", "user resumes", "ends", "shrinks"]),
    st.integers(0, 5),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(standings, min_size=1, max_size=6), st.lists(moments, max_size=25))
def test_whatever_happens(
    given_tasks: list[Standing], course: list[tuple[int, int, float | None, str, int]]
) -> None:
    """One victim every 15 s; no task of another level; nothing that the user stopped; never all but for a reason."""
    here = world(*(replace(each, task_id=str(number)) for number, each in enumerate(given_tasks)))
    for seconds, available, soon, what, which in course:
        here.available, here.exhausted_in_s = available, soon
        users_word(here, what, sorted(here.tasks)[which % len(here.tasks)] if here.tasks else "")
        for _ in range(seconds):
            stand_before = dict(here.tasks)
            decisions = here.pass_s(1)
            running = [each for each in stand_before.values() if each.is_running]
            for decision in decisions:
                check(decision, stand_before, running)
    stops = [at for at, each in here.told if each.action in {Action.SUSPEND, Action.HIBERNATE}]
    assert all(later - sooner >= 15 for sooner, later in itertools.pairwise(stops))


def users_word(here: World, what: str, task_id: str) -> None:
    """Let the user, or the task, do something."""
    if not task_id:
        return
    if what == "user stops":
        here.change(task_id, condition=Condition.SUSPENDED, stopped_by="user")
    elif what == "user resumes":
        here.change(task_id, condition=Condition.RUNNING, stopped_by="")
    elif what == "shrinks":
        here.change(task_id, memory_bytes=GB // 10, growth=0.0, leak=0.0)
    elif what == "ends":
        del here.tasks[task_id]


def check(decision: Decision, tasks: dict[str, Standing], running: list[Standing]) -> None:
    """See that a decision was allowed."""
    if decision.task_id is None:
        return
    about = tasks[decision.task_id]
    if decision.action is Action.SUSPEND:
        assert about.is_running
        assert about.level is Level.PROTECTIVE
        if decision.cause is Cause.MACHINE and running == [about]:
            assert about.leak > 0, "the last that runs is spared"
    if decision.action is Action.HIBERNATE:
        assert about.may_hibernate
        assert about.level is Level.PROTECTIVE
    if decision.action in {Action.RESUME, Action.TRIAL, Action.HIBERNATE}:
        assert about.stopped_by == "policy"


@settings(max_examples=25, deadline=None)
@given(st.lists(standings, min_size=1, max_size=6), st.integers(1, 600))
def test_with_room_everything_goes_on_but_what_is_above_its_limit(
    given_tasks: list[Standing], short_s: int
) -> None:
    here = world(
        *(replace(each, task_id=str(number), leak=0.0) for number, each in enumerate(given_tasks)),
        available=SHORT,
    )
    here.pass_s(short_s)
    here.available = 10 * PLENTY
    here.pass_s(3600)
    for each in here.tasks.values():
        used_bytes = given_tasks[int(each.task_id)].memory_bytes  # what is hibernated uses none
        assert each.is_running or used_bytes > each.critical_bytes


@settings(max_examples=25, deadline=None)
@given(st.lists(standings, min_size=2, max_size=6), st.integers(1, 300))
def test_what_is_remembered_survives_a_restart(given_tasks: list[Standing], short_s: int) -> None:
    here = world(
        *(replace(each, task_id=str(number)) for number, each in enumerate(given_tasks)), available=SHORT
    )
    here.pass_s(short_s)
    stored = json.loads(json.dumps(here.state.to_json()))
    again = State.of(stored)
    assert again.to_json() == here.state.to_json()
