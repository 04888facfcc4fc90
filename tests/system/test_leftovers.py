from __future__ import annotations

import pytest
from support import Home, alive, ended, events_of, wait_for

from claudine_mcp.core.models import Task
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.submit import CommandRequest


@pytest.fixture
def briefly(home: Home) -> Home:
    home.configure(limits={"killGrace": "100ms"})
    return home


async def test_a_server_that_a_task_left_running_is_shown_once_and_ended_by_cancel(briefly: Home) -> None:
    async with briefly.front() as front:
        task = await front.submit_command(CommandRequest("sleep 300 & (setsid sleep 300 &); exit 0"))
        done = await ended(front, task)
        assert (done.outcome, done.exit_code) == (Outcome.SUCCEEDED, 0)

        async def shown() -> Task | None:
            found = await front.task(task.id)
            return found if found.leftovers else None

        found = await wait_for(shown)
        assert found is not None
        assert found.leftovers == 2
        (event,) = await events_of(front, task, "task:leftovers")
        assert event.data["processes"] == 2
        assert event.suggestions[0]["action"] == "cancel"
        after, result = await front.cancel(task.id)
        assert (after.outcome, after.leftovers) == (Outcome.SUCCEEDED, 0)
        assert result["changed"] is True
        assert result["stopped"]["processes"] == 2
        assert len(await events_of(front, task, "task:leftovers")) == 1
        assert len(await events_of(front, task, "task:ended")) == 1
        assert (await front.cancel(task.id))[1]["changed"] is False


async def test_leftovers_that_leave_by_themselves_are_no_longer_shown(home: Home) -> None:
    async with home.front(keep=True) as front:
        task = await front.submit_command(CommandRequest("mkfifo fifo; (read line < fifo) & exit 0"))
        await ended(front, task)

        async def count(wanted: int) -> bool:
            return (await front.task(task.id)).leftovers == wanted

        await wait_for(lambda: count(1))
        (home.work / "fifo").write_text("\n")
        await wait_for(lambda: count(0))
        assert home.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)]


async def test_leftovers_are_told_of_though_the_supervisor_died_before_it_had_looked(home: Home) -> None:
    async with home.front(keep=True) as front:
        task = await front.submit_command(CommandRequest("sleep 300 & exit 0"))
        await ended(front, task)
        await home.kill_supervisor()

        async def told() -> bool:
            return bool(await events_of(front, task, "task:leftovers"))

        await wait_for(told)
        await front.cancel(task.id)


async def test_leftovers_are_found_again_by_the_next_supervisor(briefly: Home) -> None:
    async with briefly.front() as front:
        task = await front.submit_command(CommandRequest("sleep 300 & echo $!"))
        await ended(front, task)
        left = int(briefly.output(task))
        await briefly.kill_supervisor()
        _, result = await front.cancel(task.id)
        assert result["changed"] is True
        assert not alive(left)
