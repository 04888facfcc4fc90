"""Questions of delegated runs as forms: in MCP tasks, and in the handshake era while nothing is being called."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from asking import Asked, Asker, asking_task
from forms import User, connected, handshaken
from mcp_tasks import Handle, TaskClient, over_stdio, server_pid, task_client
from support import Home, kill, wait_for

from claudine_mcp.front.dialogue import answer
from claudine_mcp.server import open_waits
from claudine_mcp.server.forms import SCHEMA

Json = dict[str, Any]

ALLOW = {"action": "accept", "content": {"decision": "allow"}}
DENY = {"action": "accept", "content": {"decision": "deny", "message": "use the other folder"}}
CANCEL = {"action": "cancel"}
HEARD_ALLOW = {"behavior": "allow"}


@pytest.fixture
async def client(home: Home) -> AsyncGenerator[TaskClient]:
    async with connected(home) as found:
        yield found


@pytest.fixture
async def asker(home: Home) -> AsyncGenerator[Asker]:
    async with asking_task(home, name="the migration") as found:
        yield found


async def wait_of(client: TaskClient, asker: Asker) -> Handle:
    return await client.begin("WaitForEvents", taskIds=[asker.task.id], until="ended")


async def decided_elsewhere(asker: Asker, asked: Asked, action: str) -> None:
    await answer(asker.front, asked.alert_id, action)
    await asked.answer()


# -- in an MCP task -----------------------------------------------------------------------------------------


async def test_a_wait_shows_what_is_asked_and_its_answer_reaches_the_run(
    home: Home, client: TaskClient, asker: Asker
) -> None:
    wait = await wait_of(client, asker)
    asked = await asker.ask("Bash", command="make clean\nmake", description="build it", timeout=60)
    key, form = await client.asked(wait)
    assert form["mode"] == "form"
    assert form["requestedSchema"] == SCHEMA
    assert form["requestedSchema"]["required"] == ["decision"]
    text: str = form["message"]
    assert text.startswith(f"the migration (task {asker.task.id}) asks to use Bash:\n")
    assert "\n  command: make clean\n    make\n  description: build it\n  timeout: 60\n" in text
    assert "it is denied" in text
    assert await client.asked(wait) == (key, form)  # as long as it is open
    assert (await client.update(wait, {key: ALLOW}))["resultType"] == "complete"
    assert await asked.answer() == HEARD_ALLOW
    assert (await client.get(wait))["status"] == "working"
    second = await asker.ask("Write", file_path="/x", content="y")
    other, form = await client.asked(wait)
    assert other != key
    assert "asks to use Write:\n  file_path: /x\n  content: y\n" in form["message"]
    await client.update(wait, {other: DENY})
    assert await second.answer() == {"behavior": "deny", "message": "use the other folder"}
    (home.work / "release").touch()
    assert (await client.result(wait))["tasks"][0]["outcome"] == "succeeded"


async def test_who_declines_denies_and_who_cancels_has_not_answered(client: TaskClient, asker: Asker) -> None:
    wait = await wait_of(client, asker)
    first = await asker.ask()
    await client.update(wait, {(await client.asked(wait))[0]: {"action": "decline"}})
    assert (await first.answer())["behavior"] == "deny"
    second = await asker.ask()
    await client.update(wait, {(await client.asked(wait))[0]: CANCEL})
    status = await client.get(wait)
    assert status["status"] == "working"  # it is not shown again
    assert f"waits for a person (alert {second.alert_id})" in status["statusMessage"]
    assert not second.heard
    await client.call("AnswerAlert", alertId=second.alert_id, action="allow")
    assert await second.answer() == HEARD_ALLOW


@pytest.mark.parametrize(
    "reply",
    [
        {"action": "accept", "content": {}},
        {"action": "accept"},
        {"action": "accept", "content": {"decision": "maybe"}},
        {"action": "accept", "content": {"decision": "allow", "message": "but carefully"}},
        {"action": "agree"},
        "allow",
    ],
    ids=str,
)
async def test_what_is_no_answer_decides_nothing_and_is_asked_again(
    client: TaskClient, asker: Asker, reply: Any
) -> None:
    wait = await wait_of(client, asker)
    asked = await asker.ask()
    key, _ = await client.asked(wait)
    await client.update(wait, {key: reply})
    again, form = await client.asked(wait)
    assert again != key
    assert form["message"].startswith("That was no answer: choose allow or deny")
    assert not asked.heard
    await client.update(wait, {key: ALLOW, "nonesuch": ALLOW})  # neither is asked any more
    assert not asked.heard
    await client.update(wait, {again: ALLOW})
    assert await asked.answer() == HEARD_ALLOW


async def test_an_answer_that_comes_late_decides_nothing_and_its_user_is_told(
    client: TaskClient, asker: Asker
) -> None:
    wait = await wait_of(client, asker)
    first = await asker.ask()
    key, _ = await client.asked(wait)
    await decided_elsewhere(asker, first, "allow")
    assert (await client.get(wait))["status"] == "working"  # it is not shown any more
    await client.update(wait, {key: DENY})
    told, form = await client.asked(wait)
    assert "Your answer came too late: " in form["message"]
    assert "allow by a test" in form["message"]
    assert form["requestedSchema"]["properties"] == {}
    await client.update(wait, {told: {"action": "accept", "content": {}}})
    assert (await client.get(wait))["status"] == "working"
    second = await asker.ask()
    key, _ = await client.asked(wait)
    await decided_elsewhere(asker, second, "deny")
    await client.update(wait, {key: {"action": "decline"}})
    assert (await client.get(wait))["status"] == "working"  # it was decided as they wanted it


async def test_an_answer_counts_though_the_wait_is_over(client: TaskClient, asker: Asker) -> None:
    wait = await wait_of(client, asker)
    asked = await asker.ask()
    key, _ = await client.asked(wait)
    await client.cancel(wait)
    await client.update(wait, {key: ALLOW})
    assert await asked.answer() == HEARD_ALLOW


async def test_two_waits_of_one_client_do_not_ask_twice(client: TaskClient, asker: Asker) -> None:
    first, second = await wait_of(client, asker), await wait_of(client, asker)
    asked = await asker.ask()
    await client.asked(first)
    assert (await client.get(second))["status"] == "working"
    await client.cancel(first)
    key, _ = await client.asked(second)
    await client.update(second, {key: ALLOW})
    assert await asked.answer() == HEARD_ALLOW


async def test_a_wait_for_every_event_answers_with_the_question_itself(
    client: TaskClient, asker: Asker
) -> None:
    wait = await client.begin("WaitForEvents", minSeverity="warning")
    asked = await asker.ask()
    (event,) = (await client.result(wait))["events"]
    assert (event["type"], event["seq"]) == ("task:needs-permission", asked.alert_id)


async def test_a_client_without_forms_is_told_that_a_person_is_waited_for(home: Home, asker: Asker) -> None:
    async with connected(home, shows_forms=False) as client:
        wait = await wait_of(client, asker)
        asked = await asker.ask()
        status = await client.get(wait)
        assert status["status"] == "working"
        assert f"waits for a person (alert {asked.alert_id})" in status["statusMessage"]


async def test_what_could_deceive_the_reader_is_spelt_out(client: TaskClient, asker: Asker) -> None:
    wait = await wait_of(client, asker)
    await asker.ask("Bash", command="rm -rf ~ #\rls\x1b[2K\u202e", content="\n".join(map(str, range(100))))
    _, form = await client.asked(wait)
    assert "command: rm -rf ~ #\\rls\\x1b[2K\\u202e\n" in form["message"]
    assert "more lines; TaskStatus shows all of it" in form["message"]
    assert len(form["message"].splitlines()) < 40


async def test_a_long_field_hides_no_other_and_shows_both_its_ends(client: TaskClient, asker: Asker) -> None:
    wait = await wait_of(client, asker)
    long = "\n".join(f"line {number}" for number in range(100))
    await asker.ask("Write", content=long, file_path="/etc/passwd", **{"odd\x1b[2K": "key"})
    _, form = await client.asked(wait)
    lines = [line.strip() for line in form["message"].splitlines()]
    assert "file_path: /etc/passwd" in lines
    assert "odd\\x1b[2K: key" in lines
    assert {"content: line 0", "line 99"} <= set(lines)
    assert len(lines) < 40


async def test_more_questions_than_a_client_shows_end_the_wait_and_another_goes_on(
    monkeypatch: pytest.MonkeyPatch, client: TaskClient, asker: Asker
) -> None:
    monkeypatch.setattr(open_waits, "MAX_FORMS", 2)
    wait = await wait_of(client, asker)
    for _ in range(2):
        asked = await asker.ask()
        await client.update(wait, {(await client.asked(wait))[0]: ALLOW})
        await asked.answer()
    asked = await asker.ask()
    events = await client.result(wait)
    assert "WaitForEvents" in events["why"]
    assert events["tasks"][0]["state"] == "running"
    following = await wait_of(client, asker)
    await client.update(following, {(await client.asked(following))[0]: ALLOW})
    assert await asked.answer() == HEARD_ALLOW


async def test_a_question_is_answerable_after_the_server_that_showed_it_was_killed(
    home: Home, asker: Asker
) -> None:
    async with task_client(over_stdio(home)) as client:
        wait = await wait_of(client, asker)
        first, second = await asker.ask(command="one"), await asker.ask(command="two")
        shown = (await client.until(wait, "input_required"))["inputRequests"]
        assert len(shown) == 2
        kill(server_pid(home))
    await decided_elsewhere(asker, first, "allow")
    async with task_client(over_stdio(home)) as client:
        key, form = await client.asked(wait)
        assert form == shown[key]["params"]  # the same question under the same key
        await client.update(wait, {key: ALLOW})
        assert await second.answer() == HEARD_ALLOW


# -- whose question it is -----------------------------------------------------------------------------------


async def test_only_the_session_that_a_task_belongs_to_is_asked(home: Home) -> None:
    mine = {"by": "a Claude Code session", "session": "mine", "project": str(home.work)}
    async with (
        asking_task(home, mine) as asker,
        connected(home, CLAUDE_CODE_SESSION_ID="other") as other,
        connected(home, CLAUDE_CODE_SESSION_ID="other", CLAUDE_PROJECT_DIR="/elsewhere") as stranger,
    ):
        waits = [(client, await wait_of(client, asker)) for client in (other, stranger)]
        async with connected(home, CLAUDE_CODE_SESSION_ID="mine") as owner:
            wait = await wait_of(owner, asker)
            asked = await asker.ask()
            await owner.asked(wait)
            for client, waiting in waits:
                assert (await client.get(waiting))["status"] == "working"
        # It has gone, so those of the same project are asked.
        key, _ = await other.asked(waits[0][1])
        assert (await stranger.get(waits[1][1]))["status"] == "working"
        await other.update(waits[0][1], {key: ALLOW})
        assert await asked.answer() == HEARD_ALLOW


async def test_a_session_that_is_killed_has_gone(home: Home) -> None:
    mine = {"by": "a Claude Code session", "session": "mine", "project": str(home.work)}
    async with asking_task(home, mine) as asker, connected(home, CLAUDE_CODE_SESSION_ID="other") as other:
        home.env["CLAUDE_CODE_SESSION_ID"] = "mine"
        wait = await wait_of(other, asker)
        async with task_client(over_stdio(home)) as owner:
            await owner.call("ListTasks")
            await asker.ask()
            assert (await other.get(wait))["status"] == "working"
            kill(server_pid(home))
        await other.asked(wait)


# -- in the handshake era -----------------------------------------------------------------------------------


@pytest.fixture
def user() -> User:
    return User()


async def test_a_question_is_shown_while_nothing_is_called(home: Home, asker: Asker, user: User) -> None:
    async with handshaken(home, user):
        asked = await asker.ask(command="make clean")
        form = await user.sees(1)
        assert "asks to use Bash:\n  command: make clean\n" in form.message
        assert form.requested_schema == SCHEMA
        await user.answers(ALLOW)
        assert await asked.answer() == HEARD_ALLOW
        second = await asker.ask(command="make dist")
        assert "make dist" in (await user.sees(2)).message
        await user.answers(DENY)
        assert await second.answer() == {"behavior": "deny", "message": "use the other folder"}


async def test_who_cancels_a_form_is_not_asked_again_and_has_decided_nothing(
    home: Home, asker: Asker, user: User
) -> None:
    async with handshaken(home, user) as client:
        first = await asker.ask(command="one")
        await user.sees(1)
        await user.answers(CANCEL)
        second = await asker.ask(command="two")
        await user.sees(2)
        await user.answers(ALLOW)
        assert await second.answer() == HEARD_ALLOW
        assert not first.heard
        assert len(user.shown) == 2
        await client.call_tool("AnswerAlert", {"alertId": first.alert_id, "action": "allow"})
        assert await first.answer() == HEARD_ALLOW


async def test_a_form_whose_answer_is_none_is_shown_again(home: Home, asker: Asker, user: User) -> None:
    async with handshaken(home, user):
        asked = await asker.ask()
        await user.sees(1)
        await user.answers({"action": "accept", "content": {}})
        assert (await user.sees(2)).message.startswith("That was no answer")
        await user.answers(ALLOW)
        assert await asked.answer() == HEARD_ALLOW


async def test_a_form_is_withdrawn_when_somebody_else_has_answered(
    home: Home, asker: Asker, user: User
) -> None:
    async with handshaken(home, user):
        asked = await asker.ask()
        await user.sees(1)
        await decided_elsewhere(asker, asked, "deny")
        await wait_for(lambda: user.withdrawn == 1, what="the form is withdrawn")


async def test_of_two_users_the_first_decides_and_the_other_is_told(home: Home, asker: Asker) -> None:
    users = User(), User()
    async with handshaken(home, users[0]), handshaken(home, users[1]):
        asked = await asker.ask()
        for user in users:
            await user.sees(1)
        users[0].has_in_mind(ALLOW)
        users[1].has_in_mind(DENY)
        heard = await asked.answer()
        late = users[1] if heard == HEARD_ALLOW else users[0]

        def is_told() -> bool:
            # Its form was still there when it answered, or had been withdrawn just before.
            return late.withdrawn == 1 or "too late" in late.shown[-1].message

        await wait_for(is_told, what="the one who was late is told")


async def test_a_client_that_shows_no_forms_is_sent_none(home: Home, asker: Asker, user: User) -> None:
    async with handshaken(home, None), handshaken(home, user):
        asked = await asker.ask()
        await user.sees(1)
        await user.answers(ALLOW)
        assert await asked.answer() == HEARD_ALLOW


async def test_a_user_who_takes_their_time_holds_up_nothing(home: Home, asker: Asker, user: User) -> None:
    async with handshaken(home, user) as client:
        first = await asker.ask(command="one")
        await user.sees(1)
        done = await client.call_tool("RunCommand", {"command": "true", "wait": True})
        assert not done.is_error
        second = await asker.ask(command="two")
        assert "two" in (await user.sees(2)).message
        await decided_elsewhere(asker, first, "allow")
        await wait_for(lambda: user.withdrawn == 1)
        await decided_elsewhere(asker, second, "allow")


async def test_in_the_handshake_era_too_only_the_session_of_the_task_is_asked(home: Home, user: User) -> None:
    mine = {"by": "a Claude Code session", "session": "mine", "project": str(home.work)}
    stranger = User()
    async with (
        asking_task(home, mine) as asker,
        handshaken(home, stranger, CLAUDE_CODE_SESSION_ID="other"),
        handshaken(home, user, CLAUDE_CODE_SESSION_ID="mine") as owner,
    ):
        await owner.call_tool("ListTasks")  # as whoever submits a task has called something
        asked = await asker.ask()
        await user.sees(1)
        await user.answers(ALLOW)
        assert await asked.answer() == HEARD_ALLOW
        assert not stranger.shown


async def test_what_a_delegated_run_asks_twice_at_once_is_two_forms(
    home: Home, asker: Asker, user: User
) -> None:
    async with handshaken(home, user):
        questions = [await asker.ask(command=command) for command in ("one", "two")]
        await user.sees(2)
        for _ in questions:
            await user.answers(ALLOW)
        for asked in questions:
            assert await asked.answer() == HEARD_ALLOW
