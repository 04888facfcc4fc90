"""What a delegated run of the real Claude Code is given, and where its session goes on."""

from __future__ import annotations

import pytest
from delegating import BASH, GATE, LIMIT_S, handed_over, printed, retried, run, using
from fake_api import FakeApi
from fake_request import Request
from support import Home, ended, wait_for

from claudine_mcp.core.errors import NotNow
from claudine_mcp.core.models import CommandKind
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.details import task_view
from claudine_mcp.front.tasklogs import task_logs

pytestmark = pytest.mark.claude

EVERY_KIND = "".join(map(chr, (*range(0x250), 0x2028, 0x202E, 0x4E2D, 0xE000, 0xFFFE, 0x1F600, 0x10FFFF)))
"""NUL, carriage return, escape, every other control character, marks of direction, and characters of all lengths."""


async def test_a_prompt_of_a_megabyte_with_every_kind_of_character_arrives_as_it_is(
    claude_home: Home, api: FakeApi
) -> None:
    prompt = f"text done\n{EVERY_KIND}{'x' * 1_000_000}{EVERY_KIND}the very end"
    async with claude_home.front() as front:
        task, view = await run(front, prompt)
        assert (task.outcome, view.result, view.name) == (Outcome.SUCCEEDED, "done", "FAKE: text done")
    (request,) = api.requests
    assert f"FAKE: {prompt}" in texts_of(request)


def texts_of(request: Request) -> list[str]:
    """Give the texts of a conversation."""
    return [block["text"] for message in request.messages for block in message["content"]]


@pytest.mark.parametrize("prompt", ["\0", "\x1b[31m\x9b2J\rred", "  \n\n-p --help"])
async def test_a_prompt_of_nothing_but_odd_characters_is_a_prompt(
    claude_home: Home, api: FakeApi, prompt: str
) -> None:
    async with claude_home.front() as front:
        task = await delegate(front, DelegateRequest(prompt))
        done = await ended(front, task, LIMIT_S)
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert done.name.isprintable()
    assert done.name
    assert prompt in texts_of(api.requests[0])


async def test_a_run_is_given_what_it_was_delegated_with(claude_home: Home, api: FakeApi) -> None:
    folder = claude_home.work / "a place with 'quotes', spaces and ümlauts"
    folder.mkdir()
    async with claude_home.front() as front:
        task, view = await run(
            front,
            "bash pwd; touch made | text done",
            model="claude-sonnet-4-5",
            permission_mode="acceptEdits",
            append_system_prompt="Mind the gap.",
            allowed_tools=["Bash"],
            disallowed_tools=["WebFetch"],
            extra_args=["--system-prompt", "You are a clock."],
            cwd=str(folder),
        )
    assert task.outcome is Outcome.SUCCEEDED, task.reason
    assert (folder / "made").exists()
    (init, *_) = printed(claude_home, task, "system")
    assert (init["cwd"], init["permissionMode"], init["model"]) == (str(folder), "acceptEdits", view.model)
    assert (view.model or "").startswith("claude-sonnet-4-5")
    assert "WebFetch" not in init["tools"]
    system = str(api.requests[0].body["system"])
    assert "You are a clock." in system
    assert "Mind the gap." in system


async def test_its_output_reads_like_a_conversation(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task, _ = await run(front, "bash echo hi | text all done", **BASH)
        lines = [line.text for line in (await task_logs(front, task.id)).lines]
        assert any("Bash(echo hi)" in line for line in lines)
        assert any("all done" in line for line in lines)
        raw = await task_logs(front, task.id, raw=True)
        assert raw.lines[0].text.startswith("{")
        first = await task_logs(front, task.id, tail=2)
        rest = await task_logs(front, task.id, cursor=first.next_cursor)
        assert rest.lines == []


async def test_the_same_session_goes_on_in_another_task_one_at_a_time(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        first = await handed_over(front, f"bash {GATE} | text done", **BASH)
        await using(front, first)
        second = await handed_over(front, "text more", continue_from=first.id)
        await wait_for(
            lambda: claude_home.query("SELECT hold FROM tasks WHERE id = ?", second.id) != [(None,)]
        )
        view = await task_view(front, second.id)
        assert view.queue is not None
        assert "same Claude Code session" in view.queue.reason
        (claude_home.work / "open").touch()
        done = await ended(front, second, LIMIT_S)
        assert (done.outcome, done.session_id) == (Outcome.SUCCEEDED, first.session_id), done.reason
        before, after = (await task_view(front, first.id)), (await task_view(front, second.id))
        assert after.result == "more"
        assert (before.cost_usd, after.cost_usd) != (None, None)
        assert after.total_cost_usd == pytest.approx((before.cost_usd or 0) + (after.cost_usd or 0))
    assert api.requests == api.of_session(first.session_id or "")
    assert f"FAKE: bash {GATE}" in api.requests[-1].text


async def test_a_retry_goes_on_in_the_session_and_a_fresh_one_begins_another(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task, _ = await run(front, "text one | text two")
        again = await retried(front, task)
        view = await task_view(front, task.id)
        assert (again.session_id, view.result) == (task.session_id, "two"), again.reason
        assert (view.total_cost_usd or 0) > (view.cost_usd or 0) > 0
        fresh = await retried(front, task, "fresh")
        view = await task_view(front, task.id)
        assert (fresh.session_id != task.session_id, view.result) == (True, "one"), fresh.reason
        assert view.total_cost_usd == view.cost_usd
        assert len(api.of_session(fresh.session_id or "")) == 1
        running = await handed_over(front, f"bash {GATE} | text done", **BASH)
        with pytest.raises(NotNow, match="only a task that has ended can be retried"):
            await front.command(CommandKind.RETRY, running.id, {})
        await front.cancel(running.id)
