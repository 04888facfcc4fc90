"""Pausing the queue, with a real supervisor."""

from __future__ import annotations

import pytest
from staging import staged
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.pausing import pause_queue
from claudine_mcp.front.submit import CommandRequest

UNTIL_DONE = "until [ -e done ]; do sleep 0.02; done"


async def held(front: Front, *tasks: Task) -> None:
    """Wait until tasks are held because the queue is paused."""
    for task in tasks:

        async def by_the_pause(task_id: str = task.id) -> bool:
            found = await front.task(task_id)
            return found.state is State.QUEUED and (found.hold or {}).get("rule") == "paused"

        await wait_for(by_the_pause, what=f"{task.name} is held by the pause")


async def test_while_the_queue_is_paused_nothing_starts_and_what_runs_goes_on(home: Home) -> None:
    async with home.front() as front:
        running = await front.submit_command(CommandRequest(UNTIL_DONE))
        await in_state(front, running, State.RUNNING)
        done = await pause_queue(front, True, "the battery is low")
        assert (done.paused, done.changed, done.reason) == (True, True, "the battery is low")
        usual = await front.submit_command(CommandRequest("true", name="usual"))
        first = await front.submit_command(CommandRequest("true", name="first", priority="P0"))
        await held(front, usual, first)
        (home.work / "done").touch()
        assert (await ended(front, running)).outcome is Outcome.SUCCEEDED
        await front.command(CommandKind.RETRY, running.id, {})
        await held(front, running, usual, first)
        on = await pause_queue(front, False)
        assert (on.paused, on.changed, on.since) == (False, True, None)
        for task in (running, usual, first):
            assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        told = await events_of(front, None, "queue:paused", "queue:resumed")
        assert [event.type for event in told] == ["queue:paused", "queue:resumed"]
        assert told[0].data == {"by": "a test", "reason": "the battery is low", "queued": 0}
        assert told[1].data["queued"] == 3


async def test_what_depends_on_a_task_that_failed_is_skipped_although_the_queue_is_paused(home: Home) -> None:
    async with home.front() as front:
        fails = await front.submit_command(CommandRequest(f"{UNTIL_DONE}; false"))
        await in_state(front, fails, State.RUNNING)
        await pause_queue(front, True)
        after = await front.submit_command(CommandRequest("true", depends_on=[fails.id]))
        await held(front, after)
        (home.work / "done").touch()
        assert (await ended(front, after)).outcome is Outcome.SKIPPED


async def test_a_pause_is_there_after_a_restart_and_pausing_again_keeps_since_when(home: Home) -> None:
    async with home.front() as front:
        first = await pause_queue(front, True, "one")
        task = await front.submit_command(CommandRequest("true"))
        await held(front, task)
        await home.kill_supervisor()
        again = await pause_queue(front, True)
        assert (again.changed, again.since, again.reason) == (False, first.since, "one")
        other = await pause_queue(front, True, "two")
        assert (other.since, other.reason) == (first.since, "two")
        await held(front, task)
        assert len(await events_of(front, None, "queue:paused")) == 1
        await pause_queue(front, False)
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        assert not (await pause_queue(front, False)).changed


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("at", ["commit<:3", "commit>:3", "pause-committed:1"])
async def test_a_pause_that_was_asked_for_is_carried_out_once_whenever_the_supervisor_dies(
    home: Home, at: str, wanted: bool
) -> None:
    home.configure(monitoring={"enabled": False})  # which has transactions of its own
    async with home.front() as front:
        if not wanted:
            await pause_queue(front, True)
            await home.kill_supervisor()
        with staged(home, at) as supervisor:
            supervisor.start()
            done = await pause_queue(front, wanted)
            await supervisor.killed()
        if at == "pause-committed:1":
            assert supervisor.points[-3:] == ["commit<:3", "commit>:3", at]
        assert (done.paused, done.changed) == (wanted, True)
        kind = "queue:paused" if wanted else "queue:resumed"
        assert len(await events_of(front, None, kind)) == 1
        assert bool(home.query("SELECT 1 FROM meta WHERE key = 'paused'")) is wanted
        assert not home.query("SELECT 1 FROM commands WHERE done_at IS NULL")
