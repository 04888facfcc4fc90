"""The fake API itself, asked as Claude Code asks it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import fake_api
import pytest
from fake_api import FakeApi
from fake_request import Request, key_hash
from fake_script import Fault, read_script
from support import wait_until

Json = dict[str, Any]


class Answer(NamedTuple):
    """A response, read to where it ends or breaks off."""

    status: int
    headers: Message
    body: bytes
    whole: bool

    @property
    def blocks(self) -> list[Json]:
        assert (self.status, self.whole) == (200, True), self
        return json.loads(self.body)["content"]

    @property
    def text(self) -> str:
        return self.blocks[0]["text"]

    @property
    def events(self) -> list[Json]:
        lines = self.body.decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def ask(url: str, *conversation: str, session: str = "s", stream: bool = False, key: str = "") -> Answer:
    """Ask for an answer; the conversation begins with a user's message, and the model's follow in turn."""
    roles = ("user", "assistant") * len(conversation)
    messages = [{"role": role, "content": text} for role, text in zip(roles, conversation, strict=False)]
    body = json.dumps({"model": "some-model", "stream": stream, "messages": messages})
    headers = {"x-claude-code-session-id": session, "x-api-key": key}
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        connection.request("POST", "/v1/messages?beta=true", body, headers)
        response = connection.getresponse()
        try:
            return Answer(response.status, response.headers, response.read(), whole=True)
        except http.client.IncompleteRead as broken:
            return Answer(response.status, response.headers, broken.partial, whole=False)


def test_each_answer_is_the_next_step_since_the_last_script(api: FakeApi) -> None:
    script = r"FAKE: text one | bash ls \| wc -l | text three"
    assert ask(api.url, script).blocks == [{"type": "text", "text": "one"}]
    (block,) = ask(api.url, script, "one", "and now?").blocks
    assert (block["name"], block["input"]["command"]) == ("Bash", "ls | wc -l")
    assert ask(api.url, script, "one", "?", "two", "?", "three", "?").text == "the script is over"
    assert ask(api.url, script, "one", "FAKE: text new").text == "new"


def test_an_answer_that_claude_code_made_up_is_no_step(api: FakeApi) -> None:
    script = "FAKE: text one | text two"
    assert ask(api.url, script, "one", "stop", "No response requested.", "go on").text == "two"


def test_a_script_is_found_behind_what_claude_code_adds(api: FakeApi) -> None:
    added = "<system-reminder>\nFAKE: text no\n</system-reminder>\n"
    assert ask(api.url, f"{added} FAKE: text yes\n\nand more").text == "yes"
    assert ask(api.url, "what is a FAKE: text?").text == "ok"


def test_a_step_names_what_a_tool_has_answered(api: FakeApi) -> None:
    script = "FAKE: tool x | text <<taskId>> and <<other>>"
    results = [
        [{"type": "tool_result", "content": json.dumps({"taskId": value})}] for value in ("old", "new")
    ]
    messages = [("user", script), ("user", results[0]), ("assistant", "x"), ("user", results[1])]
    request = Request({}, {"messages": [{"role": role, "content": content} for role, content in messages]}, 0)
    step, _ = api.due(request)
    assert step.blocks[0]["text"] == "new and <<other>>"


@pytest.mark.parametrize(
    ("step", "name", "arguments"),
    [
        ("write a.txt some words", "Write", {"file_path": "a.txt", "content": "some words"}),
        (r'tool mcp__x__y {"a": [1, "b \| c"]}', "mcp__x__y", {"a": [1, "b | c"]}),
        ("tool mcp__x__y", "mcp__x__y", {}),
        ("task 2 completed", "TaskUpdate", {"taskId": "2", "status": "completed"}),
        (
            "todo +a; > b",
            "TodoWrite",
            {
                "todos": [
                    {"content": "a", "status": "completed", "activeForm": "a"},
                    {"content": "b", "status": "in_progress", "activeForm": "b"},
                ]
            },
        ),
    ],
)
def test_a_step_calls_a_tool(step: str, name: str, arguments: Json) -> None:
    (block,) = read_script(f"FAKE: {step}")[0].blocks
    assert (block["name"], block["input"]) == (name, arguments)


def test_steps_can_share_an_answer() -> None:
    step, _ = read_script("FAKE: text both | also bash true | also background sleep 9")
    assert [block["type"] for block in step.blocks] == ["text", "tool_use", "tool_use"]
    assert step.blocks[2]["input"]["run_in_background"] is True
    tasks, _ = read_script("FAKE: tasks a; b")
    assert [block["input"]["subject"] for block in tasks.blocks] == ["a", "b"]


@pytest.mark.parametrize(
    "script", ["dance", "error x | text a", "hang for 3 | text a", "tool x {", "also text a"]
)
def test_a_script_that_is_not_understood_is_the_answer(api: FakeApi, script: str) -> None:
    assert ask(api.url, f"FAKE: {script}").text.startswith("this script is not understood: FAKE:")


def test_errors_come_as_often_as_they_are_said_to_in_each_session(api: FakeApi) -> None:
    script = "FAKE: error 529 times 2 | error 429 retry-after 7 times 1 | text done"
    for session in ("a", "b"):
        for _ in range(2):
            response = ask(api.url, script, session=session)
            assert response.status == 529
            assert json.loads(response.body)["error"]["type"] == "overloaded_error"
        response = ask(api.url, script, session=session)
        assert (response.status, response.headers["retry-after"]) == (429, "7")
        assert ask(api.url, script, session=session).text == "done"
    assert [request.outcome for request in api.of_session("a")] == [
        *("error 529", "error 529", "error 429", "answered"),
    ]


def test_a_fault_of_the_whole_api_lasts_until_it_is_taken_back(api: FakeApi) -> None:
    api.fault = Fault(500)
    assert ask(api.url, "FAKE: text a").status == 500
    api.fault = None
    assert ask(api.url, "FAKE: text a").status == 200


def test_a_stream_has_the_events_of_the_api(api: FakeApi) -> None:
    answer = ask(api.url, "FAKE: expensive 70 | bash true", stream=True).events
    assert [answer[0]["type"], answer[1]["type"]] == ["message_start", "content_block_start"]
    pieces = [event["delta"]["partial_json"] for event in answer if event["type"] == "content_block_delta"]
    assert json.loads("".join(pieces))["command"] == "true"
    end = answer[-2]
    assert (end["delta"]["stop_reason"], end["usage"]["output_tokens"]) == ("tool_use", 70)
    assert answer[-1] == {"type": "message_stop"}


def test_a_stream_that_is_cut_ends_without_its_end(api: FakeApi) -> None:
    answer = ask(api.url, "FAKE: cut | text some words of an answer", stream=True)
    assert not answer.whole
    assert b"content_block_delta" in answer.body
    assert b"message_stop" not in answer.body
    wait_until(lambda: api.requests[0].outcome == "cut")


def test_a_client_that_leaves_is_noticed(api: FakeApi) -> None:
    messages = json.dumps({"messages": [{"role": "user", "content": "FAKE: hang"}]})
    with closing(http.client.HTTPConnection(urlsplit(api.url).netloc)) as connection:
        connection.request("POST", "/v1/messages", messages)
        wait_until(lambda: api.requests)
        assert api.requests[0].outcome is None
    wait_until(lambda: api.requests[0].outcome == "left")


def test_a_request_is_recorded_without_its_key(api: FakeApi) -> None:
    ask(api.url, "FAKE: text a", "a", "some news", key="secret")
    (request,) = api.requests
    assert (request.model, request.session_id, request.key_hash) == ("some-model", "s", key_hash("secret"))
    assert "secret" not in repr(request)
    assert api.told("FAKE: text a") == [request]
    assert "some news" in request.news
    assert "FAKE" not in request.news


def test_it_is_a_program_too() -> None:
    argv = [sys.executable, str(Path(fake_api.__file__)), "--default", "FAKE: text from a program"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        assert ask(url, "hello").text == "from a program"
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0
