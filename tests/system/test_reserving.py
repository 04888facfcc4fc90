"""Memory and slots that are kept free, with a real supervisor."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from staging import staged
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.errors import InvalidInput, NotNow, ReservationNotFound
from claudine_mcp.core.models import Event, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.overview import overview
from claudine_mcp.front.reserving import Capacity, CapacityRequest, known_reservations, reserve_capacity
from claudine_mcp.front.submit import CommandRequest

UNTIL_DONE = "until [ -e done ]; do sleep 0.02; done"
ONE = {"softMaxConcurrent": 1, "hardMaxConcurrent": 1}
FAR = "2099-01-01T00:00:00Z"


async def reserve(front: Front, **request: Any) -> Capacity:
    return await reserve_capacity(front, CapacityRequest(**request))


async def held(front: Front, task: Task) -> str:
    """Wait until a task is held by a reservation; give its id."""

    async def by_it() -> str | None:
        hold = (await front.task(task.id)).hold or {}
        return hold["reservationIds"][0] if hold.get("rule") == "reserved" else None

    found = await wait_for(by_it, what=f"{task.name} is held by a reservation")
    assert found is not None
    return found


async def released(front: Front) -> Event:
    """Wait until one has ended; give the event."""

    async def there() -> list[Event]:
        return await events_of(front, None, "queue:released")

    (event,) = await wait_for(there, what="an end of a reservation") or []
    return event


def left(home: Home) -> list[tuple[Any, ...]]:
    return home.query("SELECT id FROM reservations")


async def test_slots_are_kept_from_the_queue_until_they_are_released(home: Home) -> None:
    home.configure(limits=ONE)
    async with home.front() as front:
        kept = await reserve(front, slots=1)
        assert kept.done.startswith("kept free: 1 slot, until 2")
        task = await front.submit_command(CommandRequest("true"))
        assert await held(front, task) == kept.reservation_id
        (shown,) = (await overview(front)).reservations or []
        assert (shown.reservation_id, shown.slots, shown.by) == (kept.reservation_id, 1, "a test")
        gone = await reserve(front, release=kept.reservation_id[:5])
        assert "released by a test" in gone.done
        assert gone.reservations == []
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        assert (await overview(front)).reservations is None
        told = await events_of(front, None, "queue:reserved", "queue:released")
        assert [event.type for event in told] == ["queue:reserved", "queue:released"]
        assert told[1].data["why"] == "released"
        with pytest.raises(ReservationNotFound):
            await reserve(front, release=kept.reservation_id)


async def test_who_would_start_now_is_named_in_the_answer(home: Home) -> None:
    home.configure(limits=ONE)
    async with home.front() as front:
        late = await front.submit_command(CommandRequest("true", not_before=FAR))
        first = await reserve(front, task_id=late.id, memory="1MB")
        assert (first.delayed, first.delays) == (0, None)
        assert "No task that could start now has to wait for it" in first.done
        task = await front.submit_command(CommandRequest("true", name="the nightly build"))
        await held(front, task)
        with pytest.raises(NotNow, match="slots: 1 can never be free together: 1 may be active at once"):
            await reserve(front, slots=1)
        # In the place of the first one: without either, the build would start.
        again = await reserve(front, task_id=late.id, memory="2MB")
        (delayed,) = again.delays or []
        assert (delayed.task_id, delayed.name, delayed.rule) == (task.id, task.name, "reserved")
        assert f"Without it, this task would start now: the nightly build ({task.id})" in again.done
        await reserve(front, release=again.reservation_id)
        await ended(front, task)


async def test_what_is_kept_for_a_task_is_used_by_it_although_others_came_before(home: Home) -> None:
    home.configure(limits=ONE)
    async with home.front() as front:
        running = await front.submit_command(CommandRequest(UNTIL_DONE))
        await in_state(front, running, State.RUNNING)
        before = await front.submit_command(CommandRequest("echo before >> order", name="before"))
        wanted = await front.submit_command(CommandRequest("echo wanted >> order", name="wanted"))
        kept = await reserve(front, task_id=wanted.id)
        assert f"until task wanted ({wanted.id}) starts" in kept.done
        assert kept.reservations[0].memory_bytes > 0
        (home.work / "done").touch()
        await ended(front, wanted)
        await ended(front, before)
        assert home.lines("order") == ["wanted", "before"]
        event = await released(front)
        assert event.data["why"] == "used"
        assert event.data["taskId"] == wanted.id
        with pytest.raises(NotNow, match="is ended; something can be kept for a queued task: RetryTask"):
            await reserve(front, task_id=wanted.id)


async def test_a_reservation_ends_with_its_task_and_by_its_time(home: Home) -> None:
    home.configure(limits=ONE)
    async with home.front() as front:
        late = await front.submit_command(CommandRequest("true", not_before=FAR))
        kept = await reserve(front, task_id=late.id)
        assert kept.reservations[0].until == "2099-01-01T01:00:00.000Z"
        again = await reserve(front, task_id=late.id, duration="2h")
        assert [each.reservation_id for each in again.reservations] == [again.reservation_id]
        await front.cancel(late.id)
        await wait_for(lambda: not left(home), what="it ends with its task")
        short = await reserve(front, slots=1, duration="1500ms")
        task = await front.submit_command(CommandRequest("true"))
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        await wait_for(lambda: not left(home), what="it is over")
        told = await events_of(front, None, "queue:released")
        assert [event.data["why"] for event in told] == ["replaced", "ended", "expired"]
        assert told[2].data["reservationId"] == short.reservation_id


async def test_reservations_hold_the_same_after_a_restart(home: Home) -> None:
    home.configure(limits=ONE)
    async with home.front() as front:
        kept = await reserve(front, slots=1, memory="1MB")
        task = await front.submit_command(CommandRequest("true"))
        await held(front, task)
        for _ in range(3):
            await home.kill_supervisor()
            await reserve_nothing(front)
            assert await held(front, task) == kept.reservation_id
        await reserve(front, release=kept.reservation_id)
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"duration": "1h"}, "memory: there is nothing to keep free"),
        ({"slots": 0}, "memory: there is nothing to keep free"),
        ({"slots": -1}, "slots: -1 is no number of slots"),
        ({"memory": "much"}, "memory: "),
        ({"slots": 1, "duration": "8d"}, "duration: "),
        ({"slots": 1, "release": "r"}, "release: it comes with other parameters"),
        ({"memory": "900TB"}, "memory: 900 TB can never be free: there are "),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    home: Home, request_: dict[str, Any], problem: str
) -> None:
    async with home.front() as front:
        with pytest.raises((InvalidInput, NotNow), match=problem):
            await reserve(front, **request_)
        assert await known_reservations(front) == []


@pytest.mark.parametrize("is_release", [False, True])
@pytest.mark.parametrize("at", ["commit<:3", "commit>:3", "reserve-committed:1"])
async def test_what_was_asked_for_is_done_once_whenever_the_supervisor_dies(
    home: Home, at: str, is_release: bool
) -> None:
    home.configure(monitoring={"enabled": False})  # which has transactions of its own
    async with home.front() as front:
        request: dict[str, Any] = {"slots": 1}
        if is_release:
            request = {"release": (await reserve(front, slots=1)).reservation_id}
            await home.kill_supervisor()
        with staged(home, at) as supervisor:
            supervisor.start()
            await reserve(front, **request)
            await supervisor.killed()
        if at == "reserve-committed:1":
            assert supervisor.points[-3:] == ["commit<:3", "commit>:3", at]
        assert len(left(home)) == (not is_release)
        kind = "queue:released" if is_release else "queue:reserved"
        assert len(await events_of(front, None, kind)) == 1
        assert not home.query("SELECT 1 FROM commands WHERE done_at IS NULL")


@pytest.mark.parametrize("at", ["commit<:3", "commit>:3", "reservations-swept:1"])
async def test_the_end_of_a_reservation_is_told_once_whenever_the_supervisor_dies(
    home: Home, at: str
) -> None:
    home.configure(monitoring={"enabled": False}, limits=ONE)
    async with home.front() as front:
        await reserve(front, slots=1)
        await home.kill_supervisor()
        with sqlite3.connect(home.state_dir / "registry.db") as registry:
            registry.execute("UPDATE reservations SET until = 1")
        registry.close()
        with staged(home, at) as supervisor:
            supervisor.start()
            await supervisor.killed()
        task = await front.submit_command(CommandRequest("true"))
        await reserve_nothing(front)
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        assert (await released(front)).data["why"] == "expired"
        assert not left(home)


async def reserve_nothing(front: Front) -> None:
    """Have a supervisor started, as whoever asks for something does."""
    with pytest.raises(NotNow):
        await reserve(front, memory="900TB")
