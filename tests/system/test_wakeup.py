from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Home

from claudine_mcp.registry import bell as bells
from claudine_mcp.registry.bell import listen, ring
from claudine_mcp.supervisor import wakeup as module
from claudine_mcp.supervisor.wakeup import AT_ONCE, Cause, Wakeup

LONG_S = 30.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere output is found by the clock")


@pytest.fixture
def bell(home: Home) -> Path:
    home.state_dir.mkdir()
    return home.state_dir / "bell"


@pytest.fixture
def output(home: Home) -> Path:
    path = home.work / "stdout.log"
    path.touch()
    return path


@pytest.fixture
def wakeup(bell: Path, output: Path) -> Iterator[Wakeup]:
    with listen(bell) as listener:
        made = Wakeup(listener)
        made.watch(output)
        yield made
        made.close()


def say(output: Path) -> None:
    with output.open("a") as file:
        file.write("a line\n")


async def test_output_ends_the_pause(wakeup: Wakeup, output: Path) -> None:
    say(output)
    assert await wakeup.wait(LONG_S) is Cause.OUTPUT


async def test_the_bell_ends_the_pause(wakeup: Wakeup, bell: Path) -> None:
    ring(bell)
    assert await wakeup.wait(LONG_S) is Cause.BELL_OR_CLOCK


async def test_output_and_a_ring_at_once_are_both_heard(wakeup: Wakeup, bell: Path, output: Path) -> None:
    say(output)
    ring(bell)
    heard = {await wakeup.wait(LONG_S), await wakeup.wait(LONG_S)}
    assert heard == {Cause.OUTPUT, Cause.BELL_OR_CLOCK}


async def test_what_is_due_comes_before_output(wakeup: Wakeup, output: Path) -> None:
    say(output)
    assert await wakeup.wait(0) is Cause.BELL_OR_CLOCK


async def test_output_without_end_is_not_listened_to_for_a_while_but_the_bell_is(
    wakeup: Wakeup, bell: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", LONG_S)
    for _ in range(AT_ONCE):
        say(output)
        assert await wakeup.wait(LONG_S) is Cause.OUTPUT
    say(output)
    assert await wakeup.wait(0.01) is Cause.BELL_OR_CLOCK
    ring(bell)
    assert await wakeup.wait(LONG_S) is Cause.BELL_OR_CLOCK


async def test_a_bell_that_nothing_can_be_told_of_leaves_it_to_the_clock(bell: Path, output: Path) -> None:
    made = Wakeup(bells._Poll(bell))
    made.watch(output)
    say(output)
    assert await made.wait(0.01) is Cause.BELL_OR_CLOCK
    made.close()
