"""The tick: what fails in it takes nothing else along."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from followed_runs import Stage, stage
from support import Home

from claudine_mcp.core.errors import LeaseLost
from claudine_mcp.host.forest import Root
from claudine_mcp.host.processes import identify
from claudine_mcp.registry.ballast import Ballast
from claudine_mcp.supervisor.complaints import REPEAT_S, Complaints
from claudine_mcp.supervisor.context import Tick
from claudine_mcp.supervisor.log_limits import LogLimits
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.supervisor.sampling import Judge, Sampler

RUN = "0123456789abcdef0123456789abcdef.1"


@dataclass
class Ticking:
    """A sampler that makes a tick when it is told to, with one run: a process that sleeps."""

    on: Stage
    sampler: Sampler
    seen: list[Tick]

    async def tick(self) -> None:
        self.on.now[0] += 1
        await self.sampler.tick()


@asynccontextmanager
async def ticking(home: Home, *judges: Judge) -> AsyncGenerator[Ticking]:
    """Look at a run; the judges that are given come before one that takes down what was seen."""
    seen: list[Tick] = []

    async def judge(tick: Tick) -> None:
        seen.append(tick)

    async with (
        stage(home, 0) as on,
        await anyio.open_process([sys.executable, "-S", "-c", "input()"]) as process,
    ):
        main = identify(process.pid)
        assert main is not None
        # What of an observed run a look needs; its keeper is no part of this.
        run = SimpleNamespace(main=main, path=home.folder, root=lambda: Root(main=main))
        on.ctx.observed[RUN] = cast("ObservedRun", run)
        sampler = Sampler(on.ctx, {}, Ballast(on.ctx.state_dir), (*judges, judge))
        try:
            yield Ticking(on, sampler, seen)
        finally:
            sampler.close()
            process.kill()


async def test_a_judge_that_fails_keeps_no_other_from_judging(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Tick) -> None:
        raise ValueError("of this judge")

    async with ticking(home, fail) as at:
        for _ in range(3):
            await at.tick()
        assert len(at.seen) == 3
    assert caplog.text.count("ValueError: of this judge") == 1, "with its traceback once"


async def test_output_that_cannot_be_limited_keeps_no_judge_from_judging(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: LogLimits) -> None:
        raise OSError("of the logs")

    monkeypatch.setattr(LogLimits, "enforce", fail)
    async with ticking(home) as at:
        await at.tick()
        assert [list(tick.runs) for tick in at.seen] == [[RUN]]
    assert "of the logs" in caplog.text


async def test_a_lease_that_was_lost_ends_the_tick(home: Home) -> None:
    async def lose(_: Tick) -> None:
        raise LeaseLost("another")

    async with ticking(home, lose) as at:
        with pytest.raises(LeaseLost):
            await at.tick()
        assert at.seen == []


async def test_a_look_that_fails_half_way_is_begun_anew_by_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ticking(home) as at:

        def fail(*_: Any) -> None:
            monkeypatch.undo()
            raise LookupError("half way")

        # Its processes are placed by now, and none of them is read.
        monkeypatch.setattr("claudine_mcp.host.tree.Tree.add", fail)
        with pytest.raises(LookupError):
            await at.tick()
        await at.tick()
        assert [tick.runs[RUN].processes for tick in at.seen] == [1]


async def test_whatever_is_wrong_with_the_series_costs_no_tick(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("of the series")

    monkeypatch.setattr("claudine_mcp.registry.metrics.MetricsStore.write", fail)
    async with ticking(home) as at:
        for _ in range(3):
            await at.tick()
        assert len(at.seen) == 3
    assert caplog.text.count("RuntimeError: of the series") == 1


async def test_what_is_weighed_before_something_is_done_is_its_true_memory(home: Home) -> None:
    async with ticking(home) as at:
        await at.tick()
        assert at.seen[0].runs[RUN].pss_bytes is None
        weighed = await at.sampler.weigh([RUN])
        assert list(weighed) == [RUN]
        if sys.platform == "linux":
            assert (weighed[RUN].pss_bytes or 0) > 2**20
        assert await at.sampler.weigh(["other.1"]) == {}


def test_what_fails_again_and_again_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    complaints = Complaints(lambda: now[0])

    def complain(known: Mapping[str, int], key: str) -> None:
        try:
            known[key]
        except LookupError as error:
            complaints.tell("it failed", error)

    for second in range(int(REPEAT_S) + 1):
        now[0] = float(second)
        complain({}, f"key {second}")
    first, second = caplog.records
    assert first.exc_info
    assert not second.exc_info
    assert second.getMessage() == "it failed 60 more times, the last with KeyError: 'key 60'"
    complaints.tell("it failed", LookupError("another"))
    assert len(caplog.records) == 3, "another error is told at once"
