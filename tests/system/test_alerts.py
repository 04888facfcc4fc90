"""Alerts: raised with an event, told to whom they concern, answered, and over when they have passed."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from alerting import alerts_about
from support import Home, ended, events_of, wait_for

from claudine_mcp.core.errors import AlertNotFound, InvalidInput
from claudine_mcp.core.models import CommandKind
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.alert_views import AlertView
from claudine_mcp.front.alerts import alerts_of, answer
from claudine_mcp.front.clients import concerning, present
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.front.submit import CommandRequest


async def session(stack: AsyncExitStack, home: Home, name: str) -> Front:
    """Open a front that belongs to a session of the same project as all the others."""
    origin = {"by": "a test", "session": name, "project": str(home.work)}
    return await stack.enter_async_context(open_front(home.env, str(home.work), origin))


async def failed(front: Front, command: str = "exit 3") -> str:
    """Run a command that fails; give its id."""
    return (await ended(front, await front.submit_command(CommandRequest(command)))).id


async def told(front: Front) -> list[AlertView]:
    return (await alerts_of(front)).alerts


async def test_a_failure_is_told_three_times_to_the_session_that_it_concerns_and_to_no_other(
    home: Home,
) -> None:
    async with AsyncExitStack() as stack:
        mine, other = [await session(stack, home, name) for name in ("mine", "other")]
        stack.enter_context(present(mine))
        task_id = await failed(mine)
        assert await told(other) == []
        for _ in range(3):
            (alert,) = await told(mine)
            assert (alert.type, alert.task_id, alert.severity) == ("task:ended", task_id, "warning")
            assert "exit code 3" in alert.message
        assert await told(mine) == []
        assert [alert.task_id for alert in await alerts_about(mine, task_id)] == [task_id]


async def test_an_end_that_its_own_session_has_heard_is_inherited_by_nobody(home: Home) -> None:
    async with AsyncExitStack() as stack:
        gone, heir, late = [await session(stack, home, name) for name in ("gone", "heir", "late")]
        await failed(gone)
        assert len(await told(gone)) == 1
        assert await told(heir) == []
        await failed(gone)  # which nobody has heard of
        assert len(await told(heir)) == 1
        assert await told(late) == []


async def test_what_a_session_that_is_gone_had_submitted_concerns_its_project(home: Home) -> None:
    async with AsyncExitStack() as stack:
        gone, heir = [await session(stack, home, name) for name in ("gone", "heir")]
        await failed(gone)  # it was never announced, as one whose server has ended
        assert len(await told(heir)) == 1
        stranger = await stack.enter_async_context(
            open_front(home.env, str(home.work), {"session": "s", "project": "/elsewhere"})
        )
        assert await told(stranger) == []


async def test_five_are_shown_the_most_severe_and_newest_first_and_the_others_are_counted(home: Home) -> None:
    async with home.front() as front:
        ids = [await failed(front) for _ in range(6)]
        (home.work / "script").write_text("#!/no/such/interpreter\n")
        (home.work / "script").chmod(0o755)
        worst = await failed(front, "exec ./script")
        await ended(front, await front.submit_command(CommandRequest(["./script"], name="cannot start")))
        found = await alerts_of(front)
    assert [alert.severity for alert in found.alerts] == ["error"] + ["warning"] * 4
    assert [alert.task_id for alert in found.alerts[1:]] == [worst, *reversed(ids[3:])]
    assert found.more == 3


async def test_a_retry_ends_the_alert_of_the_failure_before_it(home: Home) -> None:
    async with home.front() as front:
        task_id = await failed(front, "test -e there")
        (alert,) = await told(front)
        (home.work / "there").touch()
        await front.command(CommandKind.RETRY, task_id, {})
        assert (await ended(front, await front.task(task_id))).outcome is Outcome.SUCCEEDED
        assert await told(front) == []
        with pytest.raises(AlertNotFound, match="has passed"):
            await answer(front, alert.alert_id, "continue")


async def test_leftovers_that_leave_take_their_alert_with_them(home: Home) -> None:
    async with home.front(keep=True) as front:
        task = await front.submit_command(CommandRequest("mkfifo fifo; (read line < fifo) & exit 0"))
        await ended(front, task)

        async def types(wanted: list[str]) -> bool:
            return [alert.type for alert in await alerts_about(front, task.id)] == wanted

        await wait_for(lambda: types(["task:leftovers"]))
        (home.work / "fifo").write_text("\n")
        await wait_for(lambda: types([]))


async def test_an_alert_can_be_answered_snoozed_or_ended_with_its_cause(home: Home) -> None:
    async with home.front(keep=True) as front:
        await failed(front)
        (alert,) = await told(front)
        assert alert.actions == ["continue", "snooze"]
        assert "comes up again" in await answer(front, alert.alert_id, "snooze", snooze="1h")
        assert await told(front) == []
        assert "told no more" in await answer(front, alert.alert_id, "continue")
        assert await told(front) == []
        task = await front.submit_command(CommandRequest("sleep 300 & exit 0"))
        await ended(front, task)
        await wait_for(lambda: alerts_about(front, task.id))
        (alert,) = await told(front)
        assert alert.actions == ["cancel", "continue", "snooze"]
        await answer(front, alert.alert_id, "cancel")
        assert await told(front) == []


async def test_a_snooze_that_is_over_lets_the_alert_be_told_again(home: Home) -> None:
    async with home.front() as front:
        await failed(front)
        alerts = [(await told(front))[0] for _ in range(3)]
        assert await told(front) == []
        await answer(front, alerts[0].alert_id, "snooze", snooze="1s")
        await wait_for(lambda: told(front))


async def test_an_answer_that_makes_no_sense_changes_nothing(home: Home) -> None:
    async with home.front() as front:
        await failed(front)
        (alert,) = await told(front)
        for action, arguments, words in (
            ("allow", {}, "Offered: continue, snooze"),
            ("cancel", {}, "Offered: continue, snooze"),
            ("snooze", {"snooze": "soon"}, "snooze: "),
            ("continue", {"snooze": "1h"}, "means nothing with continue"),
            ("continue", {"message": "well"}, "belongs to"),
        ):
            with pytest.raises(InvalidInput, match=words):
                await answer(front, alert.alert_id, action, **arguments)
        with pytest.raises(
            AlertNotFound, match=rf"999 is no open alert: there is none \(open are: {alert.alert_id}\)"
        ):
            await answer(front, 999, "continue")
        assert len(await told(front)) == 1


async def test_a_removed_task_takes_its_alerts_with_it(home: Home) -> None:
    async with home.front() as front:
        task_id = await failed(front)
        await wait_for(lambda: home.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)])
        await front.command(CommandKind.REMOVE, None, {"taskIds": [task_id]})
        assert await told(front) == []
        assert home.query("SELECT count(*) FROM alerts") == [(0,)]


async def test_of_several_events_a_session_is_given_those_that_concern_it(home: Home) -> None:
    async with AsyncExitStack() as stack:
        mine, other = [await session(stack, home, name) for name in ("mine", "other")]
        stack.enter_context(present(mine))
        await failed(mine)
        await failed(other, "true")
        ends = await events_of(mine, None, "task:ended")
        assert await concerning(other, ends) == ends[1:]
        # The other session has no server, so that what it submitted concerns the project.
        assert await concerning(mine, ends) == ends
