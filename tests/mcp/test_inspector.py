"""The MCP Inspector, a client that is not ours, against the server as a user starts it, in both eras."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from external import TIDY
from support import Home, wait_until

pytestmark = pytest.mark.inspector

CALL_LIMIT_S = 90
"""A call takes about a second: Node, Python, a handshake, an answer. The rest is for a busy machine."""

END_LIMIT_S = 120
"""The task itself takes milliseconds."""

TOOL_ERROR = 5
"""The Inspector's exit code for a result that says ``isError``."""


@dataclass(frozen=True)
class Inspector:
    """One era of the protocol and one state directory; every call starts a server and ends it."""

    argv: list[str]
    era: str
    home: Home

    def run(self, method: str, *options: str) -> subprocess.CompletedProcess[str]:
        # The Inspector hands only a few variables on to a server, so that ours are passed by -e.
        ours = [f"{name}={self.home.env[name]}" for name in ("CLAUDINE_HOME", "CLAUDINE_CONFIG")]
        environment = [text for value in ours for text in ("-e", value)]
        server = [sys.executable, "-m", "claudine_mcp"]
        call = ["--protocol-era", self.era, "--format", "json", "--method", method, *options]
        return subprocess.run(
            [*self.argv, "--cli", *environment, *server, *call],
            cwd=self.home.work,
            env=self.home.env | TIDY | {"HOME": str(self.home.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_LIMIT_S,
            check=False,
        )

    def ask(self, method: str, *options: str) -> dict[str, Any]:
        """Return the envelope that the Inspector prints: ``{"result": …}`` and what it found besides."""
        done = self.run(method, *options)
        assert done.returncode == 0, f"{method}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured content."""
        answer = self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return answer["result"]["structuredContent"]

    def status_at_the_end(self, task_id: str) -> dict[str, Any]:
        """Ask for the task until it has ended."""

        def ended() -> dict[str, Any] | None:
            status = self.call("TaskStatus", taskId=task_id)
            return status if status["state"] == "ended" else None

        status = wait_until(ended, END_LIMIT_S, f"task {task_id} has ended")
        assert status is not None
        return status


@pytest.fixture(params=["legacy", "modern"])
def inspector(request: pytest.FixtureRequest, inspector_argv: list[str], home: Home) -> Inspector:
    return Inspector(inspector_argv, request.param, home)


def test_tools_have_schemas_that_every_client_can_use(inspector: Inspector) -> None:
    answer = inspector.ask("tools/list", "--strict")

    assert {"RunCommand", "TaskStatus"} <= {tool["name"] for tool in answer["result"]["tools"]}
    assert answer.get("schemaFindings", []) == []


def test_a_command_runs_to_its_end_and_can_be_read_as_a_resource(inspector: Inspector) -> None:
    task_id = inspector.call("RunCommand", command="echo done")["taskId"]

    status = inspector.status_at_the_end(task_id)
    assert (status["outcome"], status["exitCode"]) == ("succeeded", 0)

    (content,) = inspector.ask("resources/read", "--uri", "claudine://tasks")["result"]["contents"]
    assert content["uri"] == "claudine://tasks"
    assert task_id in content["text"]


def test_a_call_that_waits_gives_the_end_of_its_task(inspector: Inspector) -> None:
    done = inspector.call("RunCommand", command="exit 3", wait=True)

    assert (done["state"], done["task"]["exitCode"]) == ("ended", 3)


def test_a_stall_and_an_end_are_told_to_who_waits_for_them(inspector: Inspector) -> None:
    inspector.home.configure(monitoring={"stallThreshold": "1s"})
    command = "until test -e release; do sleep 0.05; done"
    task_id = inspector.call("RunCommand", command=command)["taskId"]

    stall = inspector.call("WaitForEvents", taskIds=[task_id], types=["task:stalled"], after=0)
    assert [event["type"] for event in stall["events"]] == ["task:stalled"]
    (alert,) = stall["alerts"]
    assert (alert["taskId"], alert["severity"]) == (task_id, "warning")

    (inspector.home.work / "release").touch()
    end = inspector.call("WaitForEvents", taskIds=[task_id], until="ended", after=stall["cursor"])
    assert [event["type"] for event in end["events"]][-1] == "task:ended"
    assert "alerts" not in end


def test_an_unknown_task_is_a_tool_error_and_no_failure_of_the_connection(inspector: Inspector) -> None:
    done = inspector.run(
        "tools/call", "--tool-name", "TaskStatus", "--tool-args-json", '{"taskId": "nonesuch"}'
    )

    assert done.returncode == TOOL_ERROR, f"{done.stdout}\n{done.stderr}"
    assert json.loads(done.stdout)["result"]["isError"] is True


def test_resources_and_their_templates_are_listed(inspector: Inspector) -> None:
    resources = inspector.ask("resources/list")["result"]["resources"]
    assert "claudine://tasks" in {resource["uri"] for resource in resources}

    templates = inspector.ask("resources/templates/list")["result"]["resourceTemplates"]
    assert "claudine://tasks/{id}" in {template["uriTemplate"] for template in templates}
