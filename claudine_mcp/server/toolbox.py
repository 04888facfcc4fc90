"""The tools, made when the first of them is wanted: what a client asks first is who we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.mcpserver.tools import Tool, ToolManager

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from claudine_mcp.server.plugin import Plugin
    from claudine_mcp.server.session import Session


class Toolbox(ToolManager):
    """Adds all tools to a server when it is asked for them.

    Their modules, and the schemas of their parameters and answers, are most of what a server has to load.

    Args:
        server: whose they are.
        plugged: the plugin's side of the server, if the plugin has started it.
    """

    def __init__(self, server: MCPServer[Session], plugged: Plugin | None) -> None:
        super().__init__()
        self._server = server
        self._plugged = plugged
        self._is_filled = False

    def get_tool(self, name: str) -> Tool | None:
        """Give a tool by its name, None if there is none."""
        self._fill()
        return super().get_tool(name)

    def list_tools(self) -> list[Tool]:
        """Give all tools."""
        self._fill()
        return super().list_tools()

    def _fill(self) -> None:
        if self._is_filled:
            return
        from claudine_mcp.server import (  # noqa: PLC0415 - start-up time
            alerts,
            checkpoints,
            controls,
            delegation,
            hibernation,
            monitoring,
            plugin,
            reading,
            scheduling,
            tasks,
        )

        for theme in (
            delegation,
            tasks,
            controls,
            hibernation,
            scheduling,
            checkpoints,
            reading,
            monitoring,
            alerts,
        ):
            theme.register(self._server)
        if self._plugged is not None:
            plugin.register(self._server, self._plugged)
        # A schema says, too, that there are no other parameters, and that the answer may hold alerts.
        for tool in super().list_tools():
            tool.parameters["additionalProperties"] = False
            if tool.output_schema is not None:
                tool.output_schema["properties"] |= alerts.PROPERTIES
        self._is_filled = True
