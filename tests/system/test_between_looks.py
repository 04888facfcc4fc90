"""What happens while nobody looks: between two ticks, and while the supervisor itself stands still."""

from __future__ import annotations

import os
import signal

from support import Home, ended, events_of, wait_for

from claudine_mcp.core.states import Outcome
from claudine_mcp.front.submit import CommandRequest

CHATTERS = "until test -e release; do echo word; sleep 0.1; done"
WAITS = "until test -e release; do sleep 0.05; done"


def lines(home: Home, task_id: str) -> int:
    return home.output(task_id).count("\n")


async def test_a_supervisor_that_stood_still_takes_its_own_silence_for_nobody_elses(home: Home) -> None:
    home.configure(monitoring={"stallThreshold": "1s"})
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(CHATTERS, timeout="1h"))
        await wait_for(lambda: lines(home, task.id) > 5)
        supervisor = await home.supervisor()
        os.kill(supervisor.pid, signal.SIGSTOP)
        try:
            stopped_at = lines(home, task.id)
            await wait_for(lambda: lines(home, task.id) > stopped_at + 30, what="three seconds")
        finally:
            os.kill(supervisor.pid, signal.SIGCONT)
        (home.work / "release").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        kinds = {event.type for event in await events_of(front)}
        assert kinds <= {"supervisor:started", "task:queued", "task:started", "task:active", "task:ended"}


async def test_a_task_that_ends_between_two_looks_ends_as_any_other(home: Home) -> None:
    home.configure(monitoring={"sampleInterval": "10m", "stallThreshold": "1h"})
    async with home.front() as front:
        for command, outcome in (("true", Outcome.SUCCEEDED), ("exit 3", Outcome.FAILED)):
            done = await ended(front, await front.submit_command(CommandRequest(command)))
            assert done.outcome is outcome
            await wait_for(lambda: not home.query("SELECT 1 FROM runs WHERE gone_at IS NULL"))
            types = [event.type for event in await events_of(front, done)]
            assert types == ["task:queued", "task:started", "task:ended"]
    assert home.query("SELECT * FROM judgements WHERE subject <> ''") == []


async def test_nothing_is_left_of_what_was_known_of_the_last_task(home: Home) -> None:
    home.configure(monitoring={"stallThreshold": "1s"})
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(WAITS))
        await wait_for(lambda: home.query("SELECT 1 FROM judgements WHERE subject <> ''"), what="a stall")
        (home.work / "release").touch()
        await ended(front, task)
        await wait_for(lambda: not home.query("SELECT 1 FROM judgements WHERE subject <> ''"))
        assert home.query("SELECT 1 FROM alerts WHERE cleared_at IS NULL") == []


async def test_what_was_said_of_the_machine_is_past_when_nothing_runs_any_more(home: Home) -> None:
    home.configure(limits={"softMaxConcurrent": 1})
    async with home.front() as front:
        tasks = [await front.submit_command(CommandRequest(WAITS, priority="P0")) for _ in range(2)]
        await wait_for(lambda: events_of(front, None, "limit:concurrency"))
        (home.work / "release").touch()
        for task in tasks:
            await ended(front, task)
        (over,) = await wait_for(lambda: events_of(front, None, "system:recovered")) or []
        assert over.data["of"] == "limit:concurrency"
        assert over.message == "no task runs any more; with that limit:concurrency is past"
        assert home.query("SELECT 1 FROM alerts WHERE cleared_at IS NULL") == []
