"""Messages to a delegated run: each arrives, or everyone is told that it did not, whatever happens in between."""

from __future__ import annotations

import os
import signal

import anyio
import pytest
from delegating import BASH, GATE, LIMIT_S, handed_over, printed, retried, say, using
from fake_api import FakeApi
from staging import staged
from support import Home, ended, events_of, wait_for

from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest

pytestmark = pytest.mark.claude

WAITS = f"bash {GATE} | text done"


def open_gate(home: Home) -> None:
    (home.work / "open").touch()


async def sent(front: Front, task: Task, message: str) -> str:
    """Send a message; give why it was not delivered, "" if it was."""
    try:
        result = await say(front, task, message)
    except NotNow as error:
        return str(error)
    assert result["delivered"]
    return ""


async def lost_of(front: Front, task: Task) -> list[str]:
    """Give the messages of which everyone was told that a task has not read them; the view must say the same."""
    events = await events_of(front, task, "task:messages-lost")
    lost = [message for event in events for message in event.data["messages"]]
    assert (await task_view(front, task.id)).unread_messages == (lost or None)
    return lost


async def test_a_message_in_the_middle_of_a_turn_is_answered_in_it(claude_home: Home, api: FakeApi) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, WAITS, **BASH)
        await using(front, task)
        assert await say(front, task, "mind the gap") == {"delivered": True, "queued": True}
        open_gate(claude_home)
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED
        assert "mind the gap" in api.requests[-1].news
        assert await lost_of(front, task) == []
        with pytest.raises(NotNow, match=r"it is ended\. RetryTask goes on in the same session"):
            await say(front, task, "too late")


async def test_an_interrupt_stops_the_turn_and_is_read(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, WAITS, **BASH)
        await using(front, task)
        result = await say(front, task, "FAKE: text stopped", interrupt=True)
        assert result == {"delivered": True, "queued": False}
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED, done.reason
        assert (await task_view(front, task.id)).result == "stopped"


async def test_a_message_during_the_last_answer_gets_a_turn_of_its_own(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, "slow 1 | text first")
        await wait_for(lambda: api.requests, LIMIT_S, what="a request")
        assert await sent(front, task, "FAKE: text second") == ""
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, (await task_view(front, task.id)).result) == (Outcome.SUCCEEDED, "second")


async def test_a_message_comes_after_the_prompt_however_long_that_is_and_however_soon_it_is_sent(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, "slow 1 | text done\n" + "x" * 1_500_000)
        assert await sent_once_it_starts(front, task, "mind the gap") == ""
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED, done.reason
        conversation = api.requests[-1].text
        assert 0 < conversation.find("x" * 1_500_000) < conversation.find("mind the gap")


async def sent_once_it_starts(front: Front, task: Task, message: str) -> str:
    while True:
        why = await sent(front, task, message)
        if "it is queued" not in why:
            return why


async def test_a_task_that_waits_takes_no_message(claude_home: Home) -> None:
    async with claude_home.front() as front:
        first = await handed_over(front, WAITS, **BASH)
        task = await handed_over(front, "text hello", depends_on=[first.id])
        assert "it is queued. It can be spoken to while it runs" in await sent(front, task, "too soon")
        command = await front.submit_command(CommandRequest("sleep 100"))
        assert "only a delegated Claude Code can be spoken to" in await sent(front, command, "hello")
        with pytest.raises(InvalidInput, match="message: character 1"):
            await sent(front, task, "\ud800")
        for each in (task, command, first):
            await front.cancel(each.id)


async def test_a_program_that_does_not_read_keeps_nobody_from_anything(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front, anyio.create_task_group() as group:
        task = await handed_over(front, WAITS, **BASH)
        await using(front, task)
        pid = claude_home.main_pid(task)
        os.kill(pid, signal.SIGSTOP)
        texts = [f"{n} " * 200_000 for n in (4, 5, 6)]  # more than a pipe holds
        why: list[str] = []

        async def send(text: str) -> None:
            why.append(await sent(front, task, text))

        for text in texts:
            group.start_soon(send, text)
        await wait_for(lambda: claude_home.query("SELECT count(*) FROM commands WHERE taken_at")[0][0] == 3)
        # The supervisor goes on with its work.
        other = await front.submit_command(CommandRequest("true"))
        assert (await ended(front, other, LIMIT_S)).outcome is Outcome.SUCCEEDED
        epoch = claude_home.epoch()
        assert why == []
        os.kill(pid, signal.SIGCONT)
        await wait_for(lambda: len(why) == 3, LIMIT_S, what="the messages have arrived")
        assert why == ["", "", ""]
        open_gate(claude_home)
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, claude_home.epoch()) == (Outcome.SUCCEEDED, epoch), done.reason
        assert all(text.strip() in api.requests[-1].text for text in texts)


# -- what does not arrive -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancelled", "killed"])
async def test_a_message_that_was_not_read_before_the_end_is_told_of(
    claude_home: Home, api: FakeApi, how: str
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, WAITS, **BASH)
        await using(front, task)
        assert await sent(front, task, "mind the gap") == ""
        if how == "cancelled":
            await front.cancel(task.id)
        else:
            os.kill(claude_home.main_pid(task), signal.SIGKILL)
            await ended(front, task, LIMIT_S)
        assert await lost_of(front, task) == ["mind the gap"]
        (event,) = await events_of(front, task, "task:messages-lost")
        assert "ended without having read a message that it was sent: mind the gap" in event.message
        assert not api.told("mind the gap")
        if how == "killed":
            await front.cancel(task.id)  # its tool
        open_gate(claude_home)
        assert (await retried(front, task)).outcome is Outcome.SUCCEEDED
        assert (await task_view(front, task.id)).unread_messages is None


async def test_a_message_to_a_run_that_has_lost_its_keeper_is_refused(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, WAITS, **BASH)
        await using(front, task)
        os.kill(claude_home.keeper_pid(task), signal.SIGKILL)

        async def refused() -> bool:
            return "its keeper is gone, and with it its input" in await sent(front, task, "hello")

        # Until the supervisor has noticed, it is a message like any other.
        assert await refused() or await wait_for(refused, LIMIT_S)
        open_gate(claude_home)
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED, done.reason


async def test_messages_around_the_end_of_a_run_are_read_or_told_of(claude_home: Home, api: FakeApi) -> None:
    async with claude_home.front() as front, anyio.create_task_group() as group:
        task = await handed_over(front, "text done")
        await wait_for(lambda: printed(claude_home, task, "assistant"), LIMIT_S, what="an answer")
        why: dict[str, str] = {}

        async def send(text: str) -> None:
            why[text] = await sent(front, task, text)

        for n in range(12):
            group.start_soon(send, f"message {n:02};")
            await anyio.sleep(0.015)  # as long as it takes, all in all, from an answer to the end
        await wait_for(lambda: len(why) == 12, LIMIT_S, what="all are answered")
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED, done.reason
        heard = {text for text in why if api.told(text)}
        lost = set(await lost_of(front, task))
        delivered = {text for text, reason in why.items() if not reason}
        assert heard == delivered - lost
        assert lost <= why.keys()


# -- a supervisor that dies, or is slow, at any step ---------------------------------------------------------


@pytest.mark.parametrize("interrupt", [False, True])
@pytest.mark.parametrize("point", ["message-taken:1", "message-written:1"])
async def test_a_message_arrives_once_though_the_supervisor_dies_over_it(
    claude_home: Home, api: FakeApi, point: str, interrupt: bool
) -> None:
    with staged(claude_home, point) as supervisor:
        async with claude_home.front() as front, anyio.create_task_group() as group:
            task = await handed_over(front, WAITS, **BASH)
            supervisor.start()
            await using(front, task)
            said = {"message": "FAKE: text after", "interrupt": interrupt}
            group.start_soon(front.command, CommandKind.SEND, task.id, said)
            await supervisor.killed()
            async with claude_home.front(keep=True):
                await wait_for(lambda: delivered(claude_home), LIMIT_S, what="the message has arrived")
                open_gate(claude_home)
                done = await ended(front, task, LIMIT_S)
            assert done.outcome is Outcome.SUCCEEDED, done.reason
            assert api.requests[-1].text.count("FAKE: text after") == 1
            assert (await task_view(front, task.id)).result == ("after" if interrupt else "done")


def delivered(home: Home) -> bool:
    return home.query("SELECT json_extract(result, '$.delivered') FROM commands WHERE kind = 'send'") == [
        (1,)
    ]


@pytest.mark.parametrize("point", ["input-ending:1", "input-ended:1", "exit-seen:1", "end-committed:1"])
async def test_a_message_to_a_run_whose_supervisor_died_at_its_end_is_read_or_told_of(
    claude_home: Home, api: FakeApi, point: str
) -> None:
    with staged(claude_home, point) as supervisor:
        async with claude_home.front() as front:
            task = await handed_over(front, "text done")
            supervisor.start()
            await supervisor.killed()
            why = await sent(front, task, "FAKE: text after")
            done = await ended(front, task, LIMIT_S)
            assert done.outcome is Outcome.SUCCEEDED, done.reason
            assert bool(api.told("text after")) == (not why)
            if point != "input-ended:1":  # there it depends on how soon the run sees that
                assert (not why) == (point == "input-ending:1"), why
            is_told_of = "before it had read the message" in why
            assert is_told_of or not why or point == "end-committed:1", why
            assert await lost_of(front, task) == (["FAKE: text after"] if is_told_of else [])


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("input-ending:1", "it is about to end"),
        ("message-taken:1", "the message"),
        ("exit-seen:1", "ended before it had read the message"),
        ("end-committed:1", "it is ended"),
    ],
)
async def test_a_message_that_comes_while_the_supervisor_is_at_the_end_of_its_run_is_told_of(
    claude_home: Home, api: FakeApi, point: str, words: str
) -> None:
    go_on = claude_home.folder / "go on"
    with staged(claude_home, PAUSE_AT=point, PAUSE_UNTIL=str(go_on)) as supervisor:
        async with claude_home.front() as front, anyio.create_task_group() as group:
            task = await handed_over(front, WAITS, **BASH)
            supervisor.start()
            await using(front, task)
            if point != "message-taken:1":
                open_gate(claude_home)
                await wait_for(lambda: point in supervisor.points, LIMIT_S, what=point)
            why: list[str] = []

            async def send() -> None:
                why.append(await sent(front, task, "mind the gap"))

            group.start_soon(send)
            await wait_for(lambda: claude_home.query("SELECT 1 FROM commands"), LIMIT_S, what="the command")
            if point == "message-taken:1":
                await wait_for(lambda: point in supervisor.points, LIMIT_S, what=point)
                os.kill(claude_home.main_pid(task), signal.SIGKILL)
                await wait_for(claude_home.run_path(task).joinpath("exit").exists, LIMIT_S)
            go_on.touch()
            await wait_for(lambda: why, LIMIT_S, what="an answer")
            await ended(front, task, LIMIT_S)
            assert words in why[0]
            assert not api.told("mind the gap")
            is_told_of = point in {"message-taken:1", "exit-seen:1"}
            assert await lost_of(front, task) == (["mind the gap"] if is_told_of else [])
            await front.cancel(task.id)
