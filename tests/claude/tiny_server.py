"""A small MCP server on stdio: the tools ``echo`` and ``decide``, and a file with a line for each call.

``decide`` serves as ``--permission-prompt-tool``: it refuses whatever has the word "forbidden" in its input. The
first argument is the file. It speaks the protocol's handshake era only, as a refused ``server/discover`` says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TOOLS = [
    {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "additionalProperties": True},
        "_meta": {"anthropic/alwaysLoad": True},
    }
    for name, description in (("echo", "Say it again."), ("decide", "Allow or refuse a call."))
]


def echo(arguments: Json) -> str:
    return f"echo: {arguments['text']}"


def decide(arguments: Json) -> str:
    if "forbidden" in json.dumps(arguments["input"]):
        return json.dumps({"behavior": "deny", "message": "the tiny server says no"})
    return json.dumps({"behavior": "allow", "updatedInput": arguments["input"]})


def answer(method: str, params: Json, record: Path) -> Json | None:
    """Give the result of a request, None if there is no such method."""
    match method:
        case "initialize":
            server = {"name": "tiny", "version": "1"}
            version = params["protocolVersion"]
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(params) + "\n")
            tool = {"echo": echo, "decide": decide}[params["name"]]
            return {"content": [{"type": "text", "text": tool(params["arguments"])}]}
        case "ping":
            return {}
    return None


def main(record: Path) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        result = answer(request["method"], request.get("params") or {}, record)
        unknown = {"error": {"code": -32601, "message": "no such method"}}
        end = unknown if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **end}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
