"""A client that takes MCP tasks for answers (extension `io.modelcontextprotocol/tasks`), driven step by step."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
from mcp import Client, StdioServerParameters
from mcp.client import ClientExtension, ResultClaim
from mcp.client.session import ElicitationFnT
from mcp.server import MCPServer
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import TypeAdapter
from support import WAIT_S, Home, processes_of, wait_for

Json = dict[str, Any]

SERVER = [sys.executable, "-P", "-m", "claudine_mcp"]
IDENTIFIER = "io.modelcontextprotocol/tasks"
ANYTHING: Any = TypeAdapter(dict[str, Any])


class Handle(Result):
    """What a call is answered with."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    status_message: str | None = None
    created_at: str
    ttl_ms: int | None = None
    poll_interval_ms: int | None = None


class TaskParams(RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, Any]


class Get(Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams


class Update(Request[UpdateParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: UpdateParams


class Cancel(Request[TaskParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskParams


class TakesTasks(ClientExtension):
    """Declares that the client takes them; `TaskClient` follows them."""

    identifier = IDENTIFIER

    def claims(self) -> list[ResultClaim[Handle]]:
        async def resolve(_handle: Handle, _ctx: object) -> CallToolResult:
            raise AssertionError("followed by the test")

        return [ResultClaim(result_type="task", model=Handle, resolve=resolve)]


class TaskClient:
    """A connected client.

    Args:
        client: of the SDK.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> Json:
        """Call a tool that answers at once; give its structured content."""
        result = await self.client.session.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return result.structured_content

    async def begin(self, tool: str, **arguments: Any) -> Handle:
        """Call a tool that is answered with an MCP task; give that."""
        result = await self.client.session.call_tool(tool, arguments, allow_claimed=True)
        assert isinstance(result, Handle), result
        return result

    async def get(self, wait: Handle | str) -> Json:
        """Ask how an MCP task stands."""
        return await self.client.session.send_request(Get(params=TaskParams(task_id=_id(wait))), ANYTHING)

    async def update(self, wait: Handle | str, responses: Mapping[str, Any]) -> Json:
        """Answer what it has asked."""
        params = UpdateParams(task_id=_id(wait), input_responses=dict(responses))
        return await self.client.session.send_request(Update(params=params), ANYTHING)

    async def cancel(self, wait: Handle | str) -> Json:
        """Give it up."""
        return await self.client.session.send_request(Cancel(params=TaskParams(task_id=_id(wait))), ANYTHING)

    async def until(self, wait: Handle | str, status: str, timeout_s: float = WAIT_S) -> Json:
        """Ask until it has a status; give the answer."""

        async def there() -> Json | None:
            found = await self.get(wait)
            return found if found["status"] == status else None

        found = await wait_for(there, timeout_s, what=f"{_id(wait)} is {status}")
        assert found is not None
        return found

    async def result(self, wait: Handle | str) -> Json:
        """Ask until it is completed; give the structured content of the call's result."""
        result = (await self.until(wait, "completed"))["result"]
        assert not result.get("isError"), result
        return result["structuredContent"]

    async def asked(self, wait: Handle | str) -> tuple[str, Json]:
        """Ask until it wants one thing of the user; give the key and the parameters of the form."""
        (item,) = (await self.until(wait, "input_required"))["inputRequests"].items()
        key, request = item
        assert request["method"] == "elicitation/create"
        return key, request["params"]


def _id(wait: Handle | str) -> str:
    return wait if isinstance(wait, str) else wait.task_id


async def never_asked(context: Any, params: Any) -> Any:
    """A user who is not asked by a request of the server's own."""
    raise AssertionError("nothing is asked by a request in this era")


def over_stdio(home: Home, *options: str) -> StdioServerParameters:
    """Give a server that is a process, as its users start it."""
    return StdioServerParameters(command=SERVER[0], args=[*SERVER[1:], *options], env=home.env, cwd=home.work)


def server_pid(home: Home) -> int:
    """Give the pid of the only server of a state directory."""
    (pid,) = [pid for pid, line in processes_of(home.folder).items() if line.endswith("-m claudine_mcp")]
    return pid


@asynccontextmanager
async def task_client(
    server: MCPServer[Any] | StdioServerParameters, *, shows_forms: bool = True
) -> AsyncGenerator[TaskClient]:
    """Connect a client of the modern era that takes MCP tasks."""
    elicitation: ElicitationFnT | None = never_asked if shows_forms else None
    with anyio.fail_after(10 * WAIT_S):
        async with Client(server, extensions=[TakesTasks()], elicitation_callback=elicitation) as client:
            yield TaskClient(client)
