"""A plain `claude -p` at the end of its turn: it waits for the tasks that it delegated, and for no others."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from support import Home, ended, wait_for

from claudine_mcp.core.models import Event
from claudine_mcp.front.following import newest_event
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.front.headless import GOES_ON_AT_MOST, Waiting, ends_with_its_turn, takes_one_prompt
from claudine_mcp.front.news import Fate, News
from claudine_mcp.front.submit import CommandRequest

LONG_S = 300.0
STREAM = "stream-json"


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        pytest.param(["claude", "-p", "do it"], True, id="a plain run"),
        pytest.param(["claude", "-p", "--output-format", STREAM], True, id="one that prints events"),
        pytest.param(["claude", "-p", "--input-format", STREAM], False, id="a conversation"),
        pytest.param(["claude", f"--input-format={STREAM}"], False, id="the same, written otherwise"),
        pytest.param([], False, id="nothing can be read"),
    ],
)
def test_a_plain_run_is_told_from_a_conversation_by_its_command_line(argv: list[str], answer: bool) -> None:
    assert takes_one_prompt(argv) is answer


@pytest.mark.parametrize(
    ("entrypoint", "answer"),
    [("sdk-cli", True), ("claude-code-github-action", True), ("cli", False), (None, False)],
)
def test_a_session_at_a_terminal_does_not_end_with_its_turn(entrypoint: str | None, answer: bool) -> None:
    env = {} if entrypoint is None else {"CLAUDE_CODE_ENTRYPOINT": entrypoint}
    assert ends_with_its_turn(env, os.getpid()) is answer


def test_one_that_is_gone_is_not_waited_with() -> None:
    assert not ends_with_its_turn({"CLAUDE_CODE_ENTRYPOINT": "sdk-cli"}, 2**22)


@asynccontextmanager
async def session(home: Home, name: str = "mine") -> AsyncGenerator[tuple[Front, Waiting]]:
    origin = {"by": "a test", "session": name}
    async with open_front(home.env, str(home.work), origin) as front:
        news = News(front, await newest_event(front), nothing_told)
        yield front, Waiting(front, news)


async def nothing_told(_: Front) -> Callable[[Event], Fate]:
    return lambda _: "untold"


async def submit(front: Front, command: str, name: str, **more: Any) -> str:
    return (await front.submit_command(CommandRequest(command, name=name, **more))).id


async def test_with_nothing_delegated_the_turn_ends(home: Home) -> None:
    async with session(home) as (_, waiting), session(home, "other") as (other, _):
        await submit(other, "sleep 300", "theirs")
        later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        async with session(home) as (front, _):
            await submit(front, "true", "tomorrow", not_before=later)
        assert await waiting.wait(LONG_S, again=False) is None


async def test_it_waits_until_all_have_ended_and_says_how_once(home: Home) -> None:
    async with session(home) as (front, waiting):
        ids = [await submit(front, f"sleep {n}", f"task{n}") for n in (0.2, 0.7)]
        told = await waiting.wait(LONG_S, again=False)
        assert told is not None
        assert all(f"({task_id}) succeeded" in told for task_id in ids)
        assert "Not ended" not in told
        assert await waiting.wait(LONG_S, again=True) is None


async def test_a_turn_that_another_hook_made_go_on_is_waited_with_from_its_first_end_on(home: Home) -> None:
    async with session(home) as (front, waiting):
        task_id = await submit(front, "sleep 0.5", "mine")
        told = await waiting.wait(LONG_S, again=True)
        assert told is not None
        assert f"({task_id}) succeeded" in told
        assert "Not ended" not in told


async def test_a_warning_is_told_while_others_still_run(home: Home) -> None:
    async with session(home) as (front, waiting):
        slow = await submit(front, "until test -e go; do sleep 0.05; done", "slow")
        await submit(front, "exit 3", "bad")
        told = await waiting.wait(LONG_S, again=False)
        assert told is not None
        assert "bad (" in told
        assert f"Not ended yet: slow ({slow})" in told
        (home.work / "go").touch()
        told = await waiting.wait(LONG_S, again=True)
        assert told is not None
        assert "slow (" in told
        assert "bad (" not in told


async def test_when_its_time_is_over_the_turn_goes_on_once_to_say_so(home: Home) -> None:
    async with session(home) as (front, waiting):
        slow = await submit(front, "sleep 300", "slow")
        told = await waiting.wait(0.2, again=False)
        assert told is not None
        assert f"Not ended after 200 ms (notifications.stopWait): slow ({slow})" in told
        assert await waiting.wait(0.2, again=True) is None


async def test_the_turn_goes_on_so_often_as_claude_code_allows_and_the_last_time_for_all(home: Home) -> None:
    async with session(home) as (front, waiting):
        slow = await submit(front, "until test -e go; do sleep 0.05; done", "slow")
        answers: list[str | None] = []

        async def turns() -> None:
            for n in range(GOES_ON_AT_MOST + 1):
                await ended(front, await submit(front, "exit 3", f"bad{n}"))
                answers.append(await waiting.wait(LONG_S, again=n > 0))

        async with anyio.create_task_group() as group:
            group.start_soon(turns)
            await wait_for(lambda: len(answers) == 6)
            await wait_for(lambda: home.query("SELECT 1 FROM tasks WHERE name = 'bad6' AND state = 'ended'"))
            (home.work / "go").touch()
    assert [answer is None for answer in answers] == [False] * GOES_ON_AT_MOST + [True]
    assert all("Not ended yet" in (answer or "") for answer in answers[:6])
    assert f"slow ({slow}) succeeded" in (answers[6] or "")
    assert "bad6 (" in (answers[6] or "")
