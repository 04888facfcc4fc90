"""The stdio server as clients start it: a process each, in whatever environment, with all that it says kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from support import Home

SERVER = [sys.executable, "-P", "-m", "claudine_mcp"]


@dataclass
class Served:
    """A client of a server of its own.

    Attributes:
        client: the connection.
        log: the file that the server complains to.
        said: all that it has answered, as JSON.
    """

    client: Client
    log: Path
    said: list[str] = field(default_factory=list[str])

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, which must not fail; give what the model is given."""
        is_error, answer = await self.answer(tool, **arguments)
        assert not is_error, answer
        return json.loads(answer)

    async def answer(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        """Call a tool; give whether it failed, and what the model is given."""
        result = await self.client.call_tool(tool, arguments)
        self.said.append(result.model_dump_json())
        if result.structured_content is not None:
            return bool(result.is_error), json.dumps(result.structured_content)
        return bool(result.is_error), " ".join(getattr(item, "text", "") for item in result.content)


@asynccontextmanager
async def served(home: Home, env: Mapping[str, str], name: str, cwd: Path) -> AsyncGenerator[Served]:
    """Start a server with this environment, and connect to it as a client does."""
    log = home.folder / f"server-{name}.log"
    parameters = StdioServerParameters(command=SERVER[0], args=SERVER[1:], env=dict(env), cwd=cwd)
    with log.open("w") as complaints:
        async with Client(stdio_client(parameters, errlog=complaints)) as client:
            yield Served(client, log)


class Doomed:
    """A server whose client is about to lose it."""

    def __init__(self, home: Home) -> None:
        self._log = (home.folder / "doomed.log").open("w")
        self.process = subprocess.Popen(
            SERVER,
            env=home.env,
            cwd=home.work,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "doomed", "version": "1"},
        }
        self._tell({"id": 1, "method": "initialize", "params": hello})
        self._tell({"method": "notifications/initialized"})

    def call(self, tool: str, **arguments: Any) -> None:
        """Call a tool, and do not wait for the answer."""
        self._tell({"id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})

    def _tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._log.close()
