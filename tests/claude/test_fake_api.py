"""The fake API itself, asked as Claude Code asks it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fake_api
import pytest
from fake_api import FakeApi, key_hash
from fake_script import Fault, read_script
from support import wait_until

Json = dict[str, Any]


def ask(
    url: str, *conversation: str, session: str = "s", stream: bool = False, key: str = ""
) -> http.client.HTTPResponse:
    """Ask for an answer; the conversation begins with a user's message, and the model's follow in turn."""
    roles = ("user", "assistant") * len(conversation)
    messages = [{"role": role, "content": text} for role, text in zip(roles, conversation, strict=False)]
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    body = json.dumps({"model": "some-model", "stream": stream, "messages": messages})
    connection.request(
        "POST", "/v1/messages?beta=true", body, {"x-claude-code-session-id": session, **headers}
    )
    return connection.getresponse()


def said(response: http.client.HTTPResponse) -> list[Json]:
    """Give the blocks of an answer."""
    assert response.status == 200
    return json.load(response)["content"]


def events(response: http.client.HTTPResponse) -> list[Json]:
    lines = response.read().decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_each_answer_is_the_next_step_since_the_last_script(api: FakeApi) -> None:
    script = r"FAKE: text one | bash ls \| wc -l | text three"
    assert said(ask(api.url, script)) == [{"type": "text", "text": "one"}]
    (block,) = said(ask(api.url, script, "one", "and now?"))
    assert (block["name"], block["input"]["command"]) == ("Bash", "ls | wc -l")
    (block,) = said(ask(api.url, script, "one", "and now?", "two", "and now?", "three", "?"))
    assert block["text"] == "the script is over"
    assert said(ask(api.url, script, "one", "FAKE: text new"))[0]["text"] == "new"


def test_an_answer_that_claude_code_made_up_is_no_step(api: FakeApi) -> None:
    script = "FAKE: text one | text two"
    assert said(ask(api.url, script, "one", "stop", "No response requested.", "go on"))[0]["text"] == "two"


def test_a_script_is_found_behind_what_claude_code_adds(api: FakeApi) -> None:
    added = "<system-reminder>\nFAKE: text no\n</system-reminder>\n"
    assert said(ask(api.url, f"{added} FAKE: text yes\n\nand more"))[0]["text"] == "yes"
    assert said(ask(api.url, "what is a FAKE: text?"))[0]["text"] == "ok"


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
    (block,) = said(ask(api.url, f"FAKE: {script}"))
    assert block["text"].startswith("this script is not understood: FAKE:")


def test_errors_come_as_often_as_they_are_said_to_in_each_session(api: FakeApi) -> None:
    script = "FAKE: error 529 times 2 | error 429 retry-after 7 times 1 | text done"
    for session in ("a", "b"):
        for _ in range(2):
            response = ask(api.url, script, session=session)
            assert response.status == 529
            assert json.load(response)["error"]["type"] == "overloaded_error"
        response = ask(api.url, script, session=session)
        assert (response.status, response.headers["retry-after"]) == (429, "7")
        assert said(ask(api.url, script, session=session))[0]["text"] == "done"
    assert [request.outcome for request in api.of_session("a")] == [
        *("error 529", "error 529", "error 429", "answered"),
    ]


def test_a_fault_of_the_whole_api_lasts_until_it_is_taken_back(api: FakeApi) -> None:
    api.fault = Fault(500)
    assert ask(api.url, "FAKE: text a").status == 500
    api.fault = None
    assert ask(api.url, "FAKE: text a").status == 200


def test_a_stream_has_the_events_of_the_api(api: FakeApi) -> None:
    answer = events(ask(api.url, "FAKE: expensive 70 | bash true", stream=True))
    assert [answer[0]["type"], answer[1]["type"]] == ["message_start", "content_block_start"]
    pieces = [event["delta"]["partial_json"] for event in answer if event["type"] == "content_block_delta"]
    assert json.loads("".join(pieces))["command"] == "true"
    end = answer[-2]
    assert (end["delta"]["stop_reason"], end["usage"]["output_tokens"]) == ("tool_use", 70)
    assert answer[-1] == {"type": "message_stop"}


def test_a_stream_that_is_cut_ends_without_its_end(api: FakeApi) -> None:
    response = ask(api.url, "FAKE: cut | text some words of an answer", stream=True)
    with pytest.raises(http.client.IncompleteRead) as broken:
        response.read()
    assert b"content_block_delta" in broken.value.partial
    assert b"message_stop" not in broken.value.partial
    wait_until(lambda: api.requests[0].outcome == "cut")


def test_a_client_that_leaves_is_noticed(api: FakeApi) -> None:
    messages = json.dumps({"messages": [{"role": "user", "content": "FAKE: hang"}]})
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc)
    connection.request("POST", "/v1/messages", messages)
    wait_until(lambda: api.requests)
    assert api.requests[0].outcome is None
    connection.close()
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
        assert said(ask(url, "hello"))[0]["text"] == "from a program"
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0
