"""What a tree has used together, from made-up processes whose truth is known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.host.probes import Reading, Transfer
from claudine_mcp.host.processes import Process
from claudine_mcp.host.tree import Inherited, Tree

TICK_US = 10_000


@dataclass
class FakeProcess:
    """A process that is its own probe."""

    pid: int
    parent: FakeProcess | None
    own_us: int = 0
    waited_us: int = 0
    moved: int = 0
    switches: int = 0
    gone: bool = False
    reading: Reading = field(default=Reading(0, 0, 0, 0, 0, 0, 0, 0, 0))

    @property
    def process(self) -> Process:
        return Process(self.pid, 0, 1, zombie=False, name="x", session=1)

    def read(self, *, afresh: bool = False) -> Reading | None:
        if self.gone:
            return None
        self.reading = Reading(self.own_us, self.waited_us, self.switches, 100, 200, 1, 1, 0, 0)
        return self.reading

    def transfer(self) -> Transfer | None:
        return None if self.gone else Transfer(self.moved, 2 * self.moved)

    def fds(self) -> int | None:
        return None if self.gone else 3

    def other_switches(self) -> int | None:
        return None

    def pss_bytes(self) -> int | None:
        return None if self.gone else 50

    def close(self) -> None:
        pass

    def burn(self, ticks: int) -> None:
        self.own_us += ticks * TICK_US
        self.moved += ticks
        self.switches += ticks

    def leave(self, *, waited_for: bool) -> None:
        self.gone = True
        assert self.parent is not None
        if waited_for:
            self.parent.waited_us += self.own_us + self.waited_us
            self.parent.moved += self.moved


class World:
    """A keeper, a main process, and what they start; counts what was really used."""

    def __init__(self) -> None:
        self.keeper = FakeProcess(1, None)
        self.all = [FakeProcess(2, self.keeper)]
        self.unseen: list[FakeProcess] = list(self.all)
        self.tree = Tree(0.0)
        self.tree.keep(self.keeper)
        self.used_ticks = 0
        self.at = 0.0

    @property
    def alive(self) -> list[FakeProcess]:
        return [process for process in self.all if not process.gone]

    def fork(self, parent: FakeProcess) -> None:
        child = FakeProcess(len(self.all) + 2, parent)
        self.all.append(child)
        self.unseen.append(child)

    def burn(self, process: FakeProcess, ticks: int) -> None:
        process.burn(ticks)
        self.used_ticks += ticks

    def end(self, process: FakeProcess, *, waited_for: bool) -> None:
        for child in self.alive:
            if child.parent is process:
                child.parent = self.keeper
        process.leave(waited_for=waited_for)

    def look(self) -> tuple[float, int, int, int]:
        self.at += 5.0
        self.tree.read(self.at)
        for process in self.unseen:
            if process.read() is not None:
                self.tree.add(process)
        self.unseen = []
        sample = self.tree.sample(self.at, 0)
        assert sample.processes == len(self.alive)
        return sample.cpu_s, sample.read_bytes or 0, sample.written_bytes or 0, sample.switches


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fork", "burn", "end", "look", "look"]), st.integers(0, 50), st.integers(1, 30)
    ),
    max_size=60,
)


def lived(
    world: World, steps: list[tuple[str, int, int]], *, waits: bool
) -> list[tuple[float, int, int, int]]:
    looks = [world.look()]
    for what, which, amount in steps:
        alive = world.alive
        process = alive[which % len(alive)] if alive else None
        if what == "look" or process is None:
            looks.append(world.look())
        elif what == "fork":
            world.fork(process)
        elif what == "burn":
            world.burn(process, amount)
        else:
            world.end(process, waited_for=waits or amount % 2 == 0)
    return [*looks, world.look()]


@given(STEPS)
def test_all_that_was_used_is_counted_once_when_parents_wait_for_their_children(
    steps: list[tuple[str, int, int]],
) -> None:
    world = World()
    cpu_s, read, written, _ = lived(world, steps, waits=True)[-1]
    assert cpu_s == pytest.approx(world.used_ticks * TICK_US / 1e6)
    assert (read, written) == (world.used_ticks, 2 * world.used_ticks)


@given(STEPS)
def test_no_counter_ever_falls_or_exceeds_the_truth(steps: list[tuple[str, int, int]]) -> None:
    world = World()
    looks = lived(world, steps, waits=False)
    for before, after in itertools.pairwise(looks):
        assert all(b <= a for b, a in zip(before, after, strict=True))
    cpu_s, read, written, switches = looks[-1]
    assert cpu_s <= world.used_ticks * TICK_US / 1e6 + 1e-9
    assert read <= world.used_ticks
    assert written <= 2 * world.used_ticks
    assert switches <= world.used_ticks


def test_a_child_that_leaves_between_its_parents_reading_and_its_own_is_counted_once() -> None:
    world = World()
    (main,) = world.all
    world.fork(main)
    child = world.all[1]
    world.burn(child, 100)
    assert world.look()[0] == pytest.approx(1.0)
    child.gone = True  # its parent was read before it took the child's time over
    assert world.look()[0] == pytest.approx(1.0)
    child.gone = False
    world.end(child, waited_for=True)
    assert world.look()[0] == pytest.approx(1.0)
    world.burn(main, 100)
    assert world.look()[0] == pytest.approx(2.0)


def test_what_a_keeper_has_reaped_stays_when_it_dies() -> None:
    world = World()
    (main,) = world.all
    world.fork(main)
    world.burn(world.all[1], 100)
    world.end(main, waited_for=True)
    world.end(world.all[1], waited_for=True)
    assert world.look()[0] == pytest.approx(1.0)
    world.keeper.gone = True
    assert world.look()[0] == pytest.approx(1.0)
    assert world.tree.keeper is None


def test_a_sum_that_fell_for_good_does_not_swallow_more_than_one_gain() -> None:
    counter = Inherited()
    assert [counter.fold(summed) for summed in (10, 4, 7, 12, 12)] == [10, 10, 10, 15, 15]


def test_weight_is_read_after_a_while_and_then_rarely() -> None:
    world = World()
    world.look()
    tree = world.tree
    assert tree.weigh_at == pytest.approx(10.0)
    assert tree.sample(9.0, 0).pss_bytes is None
    tree.weigh(10.0)
    assert tree.weigh_at == pytest.approx(40.0)
    sample = tree.sample(11.0, 0)
    assert (sample.pss_bytes, sample.pss_at) == (50, 10.0)
