"""What people are told of the use of tasks and of the machine, from real tasks under a real supervisor."""

from __future__ import annotations

import os
import sys

import pytest
from support import Home, ended, in_state, wait_for

from claudine_mcp.core.errors import InvalidInput, TaskNotFound
from claudine_mcp.core.states import State
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.metrics import task_metrics
from claudine_mcp.front.overview import overview
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.system_views import MetricsView
from claudine_mcp.front.views import SampleView
from claudine_mcp.registry.metrics import FILE

MEBIBYTE = 2**20
GATE = "until test -e open; do sleep 0.05; done"
EATER = """import pathlib, time
x = bytearray(b'x' * (64 << 20))
while not pathlib.Path('open').exists(): time.sleep(.05)"""
LIMIT_S = 60.0
"""Ten seconds have to pass until they are written; the rest is for a busy machine."""


async def begun(front: Front, command: str) -> str:
    return (await front.submit_command(CommandRequest(command))).id


async def sampled(front: Front, task_id: str, least_bytes: int = 1) -> SampleView:
    """Wait until a task's tree was looked at, and had so much memory."""

    async def sample() -> SampleView | None:
        found = (await task_view(front, task_id)).sample
        return found if found is not None and found.rss_bytes >= least_bytes else None

    found = await wait_for(sample, LIMIT_S, what="a sample")
    assert found is not None
    return found


async def measured(front: Front, task_id: str) -> MetricsView:
    """Wait until there is something to be seen of a task."""

    async def view() -> MetricsView | None:
        found = await task_metrics(front, task_id)
        return None if found.rss_bytes is None else found

    found = await wait_for(view, LIMIT_S, what="samples")
    assert found is not None
    return found


async def _has_rate(front: Front, task_id: str) -> bool:
    sample = (await task_view(front, task_id)).sample
    return sample is not None and sample.cpu_percent is not None


async def test_the_whole_tree_of_a_running_task_is_shown(home: Home) -> None:
    eater = f'{sys.executable} -S -c "{EATER}"'
    async with home.front() as front:
        task_id = await begun(front, f"setsid {eater} & {GATE}; wait")
        seen = await sampled(front, task_id, 64 * MEBIBYTE)
        assert seen.processes >= 2
        await wait_for(lambda: _has_rate(front, task_id), what="two samples, which make a rate")
        assert seen.fds is not None
        machine = (await overview(front)).machine
        assert machine.tasks_memory_bytes is not None
        assert 0 < machine.tasks_memory_bytes < machine.memory_total_bytes
        (home.work / "open").touch()
        await ended(front, task_id)
        assert (await task_view(front, task_id)).sample is None, "what is gone uses nothing"
        view = await measured(front, task_id)
        assert view.rss_bytes is not None
        assert view.rss_bytes.max > 64 * MEBIBYTE
        assert view.rss_bytes.min <= view.rss_bytes.mean <= view.rss_bytes.max
        assert view.rss_bytes.sparkline
        assert view.at is not None
        assert view.rss_bytes.series is not None
        assert len(view.rss_bytes.series) == len(view.at)
        assert view.cpu_percent is not None


async def test_what_a_short_task_used_is_known_as_soon_as_nothing_runs(home: Home) -> None:
    home.configure(supervisor={"idleExit": "10m"})
    async with home.front() as front:
        task_id = await begun(front, "sleep 1")
        await ended(front, task_id)
        view = await measured(front, task_id)
        assert (view.run, view.task_id) == (1, task_id)
        assert view.newest_sample_age_seconds is not None


async def test_nothing_is_sampled_where_nobody_wants_that_and_outcomes_are_true(home: Home) -> None:
    home.configure(monitoring={"enabled": False})
    async with home.front() as front:
        task_id = await begun(front, "sleep 1; exit 3")
        assert (await ended(front, task_id)).exit_code == 3
        view = await task_metrics(front, task_id)
        assert view.rss_bytes is None
        assert not (home.state_dir / FILE).exists()


async def test_what_there_is_no_sample_of_says_why(home: Home) -> None:
    async with home.front() as front:
        later = await front.submit_command(CommandRequest("true", not_before="2999-01-01T00:00:00Z"))
        assert (await task_metrics(front, later.id)).notes == ["it has not started yet"]
        first = await begun(front, GATE)
        await in_state(front, first, State.RUNNING)
        assert "no samples" in str((await task_metrics(front, first)).notes)
        await sampled(front, first)
        (home.work / "open").touch()
        await ended(front, first)
        assert (await measured(front, first)).notes is None


async def test_wrong_windows_and_points_are_refused_by_name(home: Home) -> None:
    async with home.front() as front:
        task_id = await begun(front, "true")
        for window in (5, "1s", "long"):
            with pytest.raises(InvalidInput, match=r"^window: "):
                await task_metrics(front, task_id, window=window)
        for points in (0, 1001):
            with pytest.raises(InvalidInput, match=r"^points: "):
                await task_metrics(front, task_id, points=points)
        with pytest.raises(TaskNotFound):
            await task_metrics(front, "nobody")
        await ended(front, task_id)


async def test_the_machine_is_shown_without_any_supervisor(home: Home) -> None:
    async with home.front() as front:
        machine = (await overview(front)).machine
    assert 0 < machine.memory_available_bytes <= machine.memory_total_bytes
    assert 0 < machine.disk_free_bytes <= machine.disk_total_bytes
    assert 0 < machine.cpus <= (os.cpu_count() or 1)
    assert machine.tasks_memory_bytes is None
    assert machine.history is None
