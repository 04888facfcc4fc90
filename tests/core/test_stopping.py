from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from claudine_mcp.core.identity import Identity
from claudine_mcp.host.processes import Process
from claudine_mcp.supervisor import stopping
from claudine_mcp.supervisor.stopping import RESCANS, Stopper

TERM, CONT, KILL = signal.SIGTERM, signal.SIGCONT, signal.SIGKILL


class World:
    """Processes that get signals, and what they do about them."""

    def __init__(self, *pids: int) -> None:
        self.living = {pid: self.process(pid) for pid in pids}
        self.sent: list[tuple[int, int]] = []
        self.scans = 0
        self.on_signal: Callable[[int, int], None] = self.die_of_kill

    @staticmethod
    def process(pid: int) -> Process:
        return Process(pid, 1, pid * 100, zombie=False, name="task", session=pid)

    def die_of_kill(self, pid: int, number: int) -> None:
        if number == KILL:
            del self.living[pid]

    def scan(self) -> list[Process]:
        self.scans += 1
        return list(self.living.values())

    def send(self, identity: Identity, number: int) -> bool:
        if identity.pid not in self.living:
            return False
        self.sent.append((identity.pid, number))
        self.on_signal(identity.pid, number)
        return True


def in_world(monkeypatch: pytest.MonkeyPatch, *pids: int) -> World:
    world = World(*pids)
    monkeypatch.setattr(stopping, "send", world.send)
    return world


def test_everyone_is_asked_once_and_woken_up_to_hear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_world(monkeypatch, 10, 11)
    stopper = Stopper(grace_s=5, began=100)
    assert stopper.press(world.scan, 100) == 2
    assert stopper.press(world.scan, 104.9) == 2
    assert world.sent == [(10, TERM), (10, CONT), (11, TERM), (11, CONT)]


def test_a_process_that_appears_later_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_world(monkeypatch, 10)
    stopper = Stopper(grace_s=5, began=100)
    stopper.press(world.scan, 100)
    world.living[12] = world.process(12)
    stopper.press(world.scan, 101)
    assert (12, TERM) in world.sent


def test_whoever_is_left_after_the_grace_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_world(monkeypatch, 10, 11)
    stopper = Stopper(grace_s=5, began=100)
    stopper.press(world.scan, 100)
    assert stopper.press(world.scan, 105) == 0
    assert world.sent[-2:] == [(10, KILL), (11, KILL)]
    assert stopper.report(105.25) == {"processes": 2, "signals": ["SIGTERM", "SIGKILL"], "tookSeconds": 5.25}


def test_one_round_looks_again_for_what_was_forked_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_world(monkeypatch, 10)

    def fork_and_die(pid: int, number: int) -> None:
        del world.living[pid]
        if pid < 15:
            world.living[pid + 1] = world.process(pid + 1)

    world.on_signal = fork_and_die
    assert Stopper(grace_s=0, began=100).press(world.scan, 100) == 0
    assert [pid for pid, _ in world.sent] == [10, 11, 12, 13, 14, 15]


def test_a_round_ends_even_if_the_tree_grows_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_world(monkeypatch, 10)

    def fork_and_die(pid: int, number: int) -> None:
        del world.living[pid]
        world.living[pid + 1] = world.process(pid + 1)

    world.on_signal = fork_and_die
    assert Stopper(grace_s=0, began=100).press(world.scan, 100) == 1
    assert world.scans == RESCANS + 1


def test_a_stop_of_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_world(monkeypatch)
    stopper = Stopper(grace_s=5, began=100)
    assert stopper.press(world.scan, 100) == 0
    assert stopper.report(100) == {"processes": 0, "signals": [], "tookSeconds": 0}


def test_only_who_got_a_signal_counts_as_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_world(monkeypatch, 10)
    stopper = Stopper(grace_s=5, began=100)
    stopper.press(lambda: [*world.scan(), world.process(99)], 100)
    assert stopper.reached(Identity("b", "n", 10, 1000))
    assert not stopper.reached(Identity("b", "n", 10, 1001))
    assert not stopper.reached(Identity("b", "n", 99, 9900))
    assert not stopper.reached(None)


def test_a_gentle_stop_asks_the_main_process_alone_and_everyone_when_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = in_world(monkeypatch, 10, 11)
    main = Identity("", "", 10, 1000)
    stopper = Stopper(grace_s=4, began=100, gentle=main)
    stopper.press(world.scan, 100)
    stopper.press(world.scan, 101.9)
    assert world.sent == [(10, signal.SIGINT), (10, CONT)]
    assert stopper.reached(main)
    del world.living[10]
    stopper.press(world.scan, 101.9)
    assert world.sent[2:] == [(11, TERM), (11, CONT)]


def test_a_main_process_that_does_not_listen_is_asked_like_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = in_world(monkeypatch, 10, 11)
    stopper = Stopper(grace_s=4, began=100, gentle=Identity("", "", 10, 1000))
    stopper.press(world.scan, 100)
    stopper.press(world.scan, 102)
    assert world.sent[2:] == [(10, TERM), (10, CONT), (11, TERM), (11, CONT)]
    stopper.press(world.scan, 104)
    assert not world.living
    assert stopper.report(104)["signals"] == ["SIGINT", "SIGTERM", "SIGKILL"]
