"""What tasks run: how it is started, and how it says that it ended."""

from __future__ import annotations

from claudine_mcp.core.models import Kind
from claudine_mcp.workloads.base import Launch, Workload
from claudine_mcp.workloads.claude import ClaudeWorkload
from claudine_mcp.workloads.command import CommandWorkload

WORKLOADS: dict[Kind, Workload] = {Kind.COMMAND: CommandWorkload(), Kind.CLAUDE: ClaudeWorkload()}

__all__ = ["WORKLOADS", "Launch", "Workload"]
