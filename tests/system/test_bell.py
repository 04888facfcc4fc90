from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from support import Home

from claudine_mcp.registry import bell as module
from claudine_mcp.registry.bell import Listener, listen, ring

LONG_S = 30.0


@pytest.fixture
def bell(home: Home) -> Path:
    home.state_dir.mkdir()
    return home.state_dir / "bell"


@pytest.fixture(params=["native", "poll"])
def listener(
    request: pytest.FixtureRequest, bell: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Listener]:
    """A listener of either kind: what the system has, and the fallback."""
    if request.param == "poll":
        monkeypatch.setattr(module, "POLL_S", 0.005)
        bell.touch()
        os.utime(bell, ns=(1, 1))
        yield module._Poll(bell)
        return
    with listen(bell) as made:
        yield made


async def test_a_ring_wakes_who_waits(bell: Path, listener: Listener) -> None:
    heard: list[bool] = []

    async def wait() -> None:
        heard.append(await listener.wait(LONG_S))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        ring(bell)
    assert heard == [True]


async def test_a_ring_before_the_wait_is_not_missed(bell: Path, listener: Listener) -> None:
    ring(bell)
    assert await listener.wait(LONG_S)


async def test_many_rings_are_one(bell: Path, listener: Listener) -> None:
    for _ in range(500):
        ring(bell)
    assert await listener.wait(LONG_S)
    assert not await listener.wait(0)


async def test_silence_ends_with_the_time(bell: Path, listener: Listener) -> None:
    assert not await listener.wait(0.01)
    ring(bell)
    assert await listener.wait(LONG_S)


async def test_looking_at_the_bell_does_not_ring_it(bell: Path, listener: Listener) -> None:
    await anyio.Path(bell).stat()
    await anyio.Path(bell).read_bytes()
    assert not await listener.wait(0.02)


async def test_who_waits_can_be_cancelled_and_wait_again(bell: Path, listener: Listener) -> None:
    with anyio.move_on_after(0.01) as scope:
        await listener.wait(LONG_S)
    assert scope.cancelled_caught
    ring(bell)
    assert await listener.wait(LONG_S)


async def test_everyone_hears_it(bell: Path) -> None:
    with listen(bell) as one, listen(bell) as two:
        ring(bell)
        assert await one.wait(LONG_S)
        assert await two.wait(LONG_S)


def test_a_missing_bell_is_made_anew(bell: Path) -> None:
    ring(bell)
    assert bell.stat().st_mode & 0o077 == 0


def test_a_bell_that_cannot_be_rung_costs_nothing(home: Home) -> None:
    ring(home.folder / "no" / "such" / "bell")


def test_listening_leaves_no_descriptor_behind(bell: Path) -> None:
    with listen(bell):
        pass
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with listen(bell):
            pass
    assert len(list(Path("/dev/fd").iterdir())) == before
