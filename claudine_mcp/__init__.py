"""Supervision of long background tasks, as an MCP server."""

__version__ = "0.1.0"
