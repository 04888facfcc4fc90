"""Queues in virtual time: generated arrivals, ends, crashes and cancels, and admission asked again at each of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from claudine_mcp.core.admission import (
    Active,
    Caps,
    Decisions,
    Machine,
    Reservation,
    Situation,
    Starts,
    Waiting,
    decide,
)
from claudine_mcp.core.demand import Need
from claudine_mcp.core.eta import Eta
from claudine_mcp.core.models import Dependency, Kind, Priority
from claudine_mcp.core.states import Outcome

GB = 10**9
MACHINE = Machine(total_bytes=10 * GB, available_bytes=9 * GB, reserve_bytes=GB, processors=4.0)
CAPS = Caps(3, 5)
N_SIGMA = 3.0
LONGEST_S = 300.0
AGEING_S = 600.0
SPACING_S = 2.0
LONGEST_KEPT_S = 900.0


@dataclass
class Job:
    """A task, and what becomes of it.

    Attributes:
        takes_s: how long it really runs; it is expected to take twice as long at most, or nobody knows.
        succeeds: whether those that depend on it may start.
        cancelled_after_s: from its arrival on, wherever it is then; None: it is not.
    """

    arrives: float
    takes_s: float
    gb: float
    priority: Priority
    kind: Kind
    is_known: bool
    succeeds: bool
    cancelled_after_s: float | None
    after: int | None


@dataclass
class Queue:
    """The jobs, the tasks that wait and run, and the time."""

    jobs: list[Job]
    reservations: list[Reservation] = field(default_factory=list[Reservation])
    waiting: dict[str, Waiting] = field(default_factory=dict[str, Waiting])
    began: dict[str, float] = field(default_factory=dict[str, float])
    outcomes: dict[str, Outcome | None] = field(default_factory=dict[str, "Outcome | None"])
    claude: list[float] = field(default_factory=list[float])
    now: float = 0.0

    def job(self, task_id: str) -> Job:
        return self.jobs[int(task_id)]

    def situation(self) -> Situation:
        return Situation(
            waiting=list(self.waiting.values()),
            active=[self.active(task_id) for task_id in self.began],
            caps=CAPS,
            now=self.now,
            outcomes=self.outcomes,
            # Everything that runs has grown to what was expected of it.
            machine=replace(
                MACHINE,
                available_bytes=MACHINE.available_bytes
                - sum(round(self.job(task_id).gb * GB) for task_id in self.began),
            ),
            n_sigma=N_SIGMA,
            ageing_s=AGEING_S,
            starts=Starts(2, SPACING_S, self.claude[-9:]),
            reservations=self.reservations,
        )

    def active(self, task_id: str) -> Active:
        job, ran_s = self.job(task_id), self.now - self.began[task_id]
        left = 2 * job.takes_s - ran_s
        return Active(
            task_id,
            job.priority,
            job.kind,
            Need(job.gb * GB, 0.0, job.gb * GB),
            round(job.gb * GB),
            ends=Eta(left / 2, left) if job.is_known else None,
            admitted_at=self.began[task_id],
        )

    def arrive(self) -> None:
        for number, job in enumerate(self.jobs):
            task_id = str(number)
            if job.arrives <= self.now and task_id not in self.outcomes:
                self.outcomes[task_id] = None
                lasts = Eta(job.takes_s, 2 * job.takes_s) if job.is_known else None
                after = () if job.after is None else (Dependency(str(job.after)),)
                need = Need(job.gb * GB, 0.0, job.gb * GB)
                self.waiting[task_id] = Waiting(
                    task_id,
                    number,
                    job.priority,
                    job.arrives,
                    depends_on=after,
                    kind=job.kind,
                    need=need,
                    lasts=lasts,
                )

    def end(self) -> None:
        for task_id in [*self.waiting, *self.began]:
            job = self.job(task_id)
            cancelled = job.cancelled_after_s
            if cancelled is not None and self.now >= job.arrives + cancelled:
                self.outcomes[task_id] = Outcome.CANCELLED
            elif task_id in self.began and self.now >= self.began[task_id] + job.takes_s:
                self.outcomes[task_id] = Outcome.SUCCEEDED if job.succeeds else Outcome.FAILED
            else:
                continue
            self.waiting.pop(task_id, None)
            self.began.pop(task_id, None)

    def carry_out(self, decisions: Decisions) -> None:
        for task_id in decisions.admit:
            del self.waiting[task_id]
            self.began[task_id] = self.now
            if self.job(task_id).kind is Kind.CLAUDE:
                self.claude.append(self.now)
        for task_id in decisions.skip:
            del self.waiting[task_id]
            self.outcomes[task_id] = Outcome.SKIPPED

    def next_time(self, decisions: Decisions) -> float:
        """When something happens next; a crash of the supervisor is no more than another look."""
        times = [job.arrives for job in self.jobs if job.arrives > self.now]
        times += [at + self.job(task_id).takes_s for task_id, at in self.began.items()]
        for task_id in [*self.waiting, *self.began]:
            job = self.job(task_id)
            if job.cancelled_after_s is not None:
                times.append(job.arrives + job.cancelled_after_s)
        if decisions.look_again_at is not None:
            times.append(decisions.look_again_at)
        return min(time for time in times if time > self.now)

    def check(self, situation: Situation, decisions: Decisions) -> None:
        """See that what is decided keeps what was promised."""
        answers = [*decisions.admit, *decisions.hold, *decisions.skip]
        assert sorted(answers) == sorted(self.waiting)
        running = len(self.began) + len(decisions.admit)
        assert running <= max(len(self.began), CAPS.hard)
        demand = sum(self.job(task_id).gb for task_id in [*self.began, *decisions.admit]) * GB
        first = not self.began and len(decisions.admit) == 1
        if decisions.admit and not first:
            alone = 0 if self.began else self.job(decisions.admit[0]).gb * GB
            assert demand <= max(8 * GB, alone) + 1
        for task_id in decisions.admit:
            for dependency in self.waiting[task_id].depends_on:
                assert self.outcomes[dependency.task_id] is Outcome.SUCCEEDED
        free = 8 * GB - demand
        for hold in decisions.hold.values():
            if hold["rule"] == "memory":  # true when it was said: what was admitted later only takes more
                assert hold["freeBytes"] >= free - 1
                assert hold["needBytes"] > hold["freeBytes"]
        assert decide(situation) == decisions  # a supervisor that comes after a crash decides the same


jobs = st.builds(
    Job,
    arrives=st.integers(0, 600).map(float),
    takes_s=st.integers(1, int(LONGEST_S)).map(float),
    gb=st.sampled_from([0.1, 0.5, 1.0, 3.0, 7.0, 20.0]),
    priority=st.sampled_from(Priority),
    kind=st.sampled_from(Kind),
    is_known=st.booleans(),
    succeeds=st.booleans(),
    cancelled_after_s=st.none() | st.none() | st.integers(1, 900).map(float),
    after=st.none(),
)


@st.composite
def queues(draw: st.DrawFn) -> Queue:
    made = draw(st.lists(jobs, min_size=1, max_size=14))
    for number, job in enumerate(made):
        earlier = [None, *(i for i in range(number) if made[i].arrives <= job.arrives)]
        job.after = draw(st.sampled_from(earlier))
    reserved = draw(st.lists(st.sampled_from(range(len(made))), max_size=2, unique=True))
    size = draw(st.sampled_from([1, 4, 8]))
    return Queue(
        made, [Reservation(f"r{number}", size * GB, slots=1, task_id=str(number)) for number in reserved]
    )


@settings(deadline=None, max_examples=200)
@given(queues())
def test_whatever_comes_and_goes_caps_and_memory_are_kept_and_every_task_gets_its_turn(queue: Queue) -> None:
    play(queue)


@settings(deadline=None, max_examples=200)
@given(
    queues(),
    st.lists(
        st.builds(
            Reservation,
            id=st.uuids().map(str),
            memory_bytes=st.sampled_from([0, GB, 4 * GB, 8 * GB]),
            slots=st.integers(0, CAPS.soft),
            task_id=st.none() | st.integers(0, 13).map(str),
            until=st.floats(1, LONGEST_KEPT_S),
        ),
        max_size=4,
    ),
)
def test_reservations_that_end_in_time_keep_no_task_waiting_for_ever(
    queue: Queue, reserved: list[Reservation]
) -> None:
    queue.reservations += reserved
    play(queue, LONGEST_KEPT_S)


def play(queue: Queue, kept_s: float = 0.0) -> None:
    work_s = sum(job.takes_s + SPACING_S for job in queue.jobs)
    latest = kept_s + 600 + 2 * AGEING_S + work_s + len(queue.jobs) * SPACING_S
    decisions = Decisions()
    while len([each for each in queue.outcomes.values() if each is not None]) < len(queue.jobs):
        queue.arrive()
        queue.end()
        known = {each for each, outcome in queue.outcomes.items() if outcome is None}
        queue.reservations = [
            each for each in queue.reservations if each.task_id in known or each.task_id not in queue.outcomes
        ]
        situation = queue.situation()
        decisions = decide(situation)
        queue.check(situation, decisions)
        queue.carry_out(decisions)
        if decisions.skip:
            continue
        assert queue.now <= latest, "a task waits for ever"
        if len([each for each in queue.outcomes.values() if each is not None]) < len(queue.jobs):
            queue.now = queue.next_time(decisions)


def test_a_giant_among_dwarfs_that_never_cease_to_come_has_its_turn() -> None:
    for is_known in (True, False):
        dwarfs = [
            Job(float(at), 100.0, 1.0, Priority.P1, Kind.COMMAND, is_known, True, None, None)
            for at in range(0, 6000, 20)
        ]
        giant = Job(50.0, 60.0, 7.5, Priority.P1, Kind.COMMAND, is_known, True, None, None)
        queue = Queue([*dwarfs, giant])
        name = str(len(dwarfs))
        while queue.outcomes.get(name) is None:
            queue.arrive()
            queue.end()
            decisions = decide(queue.situation())
            queue.carry_out(decisions)
            assert queue.now <= 50 + (0 if is_known else AGEING_S) + 4 * 100 + 60, "it is passed for ever"
            queue.now = queue.next_time(decisions)


def test_p0_that_never_ceases_to_come_leaves_an_aged_task_its_turn() -> None:
    urgent = [
        Job(float(at), 100.0, 0.1, Priority.P0, Kind.COMMAND, True, True, None, None)
        for at in range(0, 4000, 10)
    ]
    later = Job(1.0, 10.0, 0.1, Priority.P2, Kind.COMMAND, True, True, None, None)
    queue = Queue([*urgent, later])
    name = str(len(urgent))
    while queue.outcomes.get(name) is None:
        queue.arrive()
        queue.end()
        decisions = decide(queue.situation())
        queue.carry_out(decisions)
        assert queue.now <= 1 + 2 * AGEING_S + 200, "it waits for ever"
        queue.now = min(queue.next_time(decisions), queue.now + 5)
