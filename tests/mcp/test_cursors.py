"""A cursor that is none is refused in words that name it."""

from __future__ import annotations

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, TextContent
from support import Home

from claudine_mcp.server.app import build_server


@pytest.mark.parametrize("after", [10**30, 2**63, -1])
async def test_a_wait_refuses_a_cursor_that_no_event_can_have(home: Home, after: int) -> None:
    async with Client(build_server(home.env, str(home.work))) as client:
        result = await client.call_tool("WaitForEvents", {"after": after})
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert f"after: {after} is no cursor" in content.text


@pytest.mark.parametrize("after", [str(10**30), "9" * 5000, "-1", "soon"])
async def test_the_resource_refuses_it_as_a_wrong_parameter(home: Home, after: str) -> None:
    async with Client(build_server(home.env, str(home.work))) as client:
        with pytest.raises(MCPError, match="after") as caught:
            await client.read_resource(f"claudine://events?after={after}")
    assert caught.value.error.code == INVALID_PARAMS
