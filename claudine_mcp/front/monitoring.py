"""The monitoring level: what it is, where it comes from, and changing it at run time."""

from __future__ import annotations

from claudine_mcp.core.config import Level, loosens
from claudine_mcp.core.errors import NotNow
from claudine_mcp.core.models import CommandKind
from claudine_mcp.front.front import Front
from claudine_mcp.front.system_views import Setting
from claudine_mcp.host.settings import load_settings

SHOWN = (
    "monitoring.level",
    "limits.softMaxConcurrent",
    "limits.hardMaxConcurrent",
    "limits.defaultTimeout",
    "limits.killGrace",
    "limits.niceness",
    "limits.oomScoreAdj",
)
"""What is in force and does something today."""


async def settings_in_force(front: Front) -> list[Setting]:
    """Give the settings that matter to tasks, each with its origin."""
    resolved = await front.settings()
    flat = resolved.settings.flat()
    return [Setting(key=key, value=flat[key], origin=resolved.origins[key]) for key in SHOWN]


async def configure(front: Front, level: str | None, *, reset: bool, by_agent: bool) -> None:
    """Change the level for all tasks, or take an earlier change back.

    Raises:
        NotNow: an agent asks for less protection than the user's file sets, and may not.
    """
    own = load_settings(front.env).settings
    wanted = own.monitoring.level if reset else level
    if by_agent and wanted is not None and not own.monitoring.agent_may_loosen:
        current = (await front.settings()).settings
        below_own = loosens(own, "level", str(wanted))
        if below_own or (reset and loosens(current, "level", str(wanted))):
            raise NotNow(
                f'level: "{wanted}" is less than what is in force, and only the user may loosen it: '
                "by monitoring.agentMayLoosen in the configuration file, or with the command line"
            )
    if reset or level is not None:
        value = None if reset else Level(str(level)).value
        await front.command(
            CommandKind.CONFIGURE, None, {"scope": "*", "values": {"monitoring.level": value}}
        )
