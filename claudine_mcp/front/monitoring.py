"""Monitoring: the settings in force, for all tasks or for one, where each comes from, and changing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from claudine_mcp.core.config import ADJUSTABLE, RUNTIME_ORIGIN, Settings, loosens, parse_setting
from claudine_mcp.core.errors import ConfigError, InvalidInput, NotNow
from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.project import PROJECT_FILE
from claudine_mcp.core.sections import conflicts
from claudine_mcp.core.states import State
from claudine_mcp.front.clients import concerns
from claudine_mcp.front.front import Front
from claudine_mcp.front.system_views import Setting
from claudine_mcp.host.settings import load_settings
from claudine_mcp.registry.commands import overrides

ALL = "*"
PER_TASK = (
    "monitoring.level",
    "monitoring.stallThreshold",
    "monitoring.checkpointInterval",
    "limits.maxMemoryPerTask",
    "limits.criticalMemory",
)
"""What can be different for one task."""
SHOWN = (
    "monitoring.enabled",
    *PER_TASK[:3],
    "monitoring.sampleInterval",
    *PER_TASK[3:],
    "limits.maxFileDescriptors",
    "limits.maxDiskRate",
    "limits.systemMemoryReserve",
    "limits.maxLogBytes",
    "limits.softMaxConcurrent",
    "limits.hardMaxConcurrent",
    "limits.defaultTimeout",
    "limits.killGrace",
    "limits.niceness",
    "limits.oomScoreAdj",
)
"""What is in force and does something today."""
_PARAMETER_OF = {dotted: name for name, dotted in ADJUSTABLE.items()}


async def settings_in_force(front: Front, task: Task | None = None) -> list[Setting]:
    """Give the settings that matter to tasks, or those of one task, each with its origin."""
    resolved = await front.settings()
    values, origins = resolved.settings.flat(), dict(resolved.origins)
    if task is not None:
        for own, origin in await _own(front, task):
            values |= own
            origins |= dict.fromkeys(own, origin)
    shown = SHOWN if task is None else PER_TASK
    return [Setting(key=key, value=values[key], origin=origins[key]) for key in shown]


async def _own(front: Front, task: Task) -> list[tuple[Mapping[str, Any], str]]:
    """Give what is set for a task alone, with its origin; what wins comes last."""
    async with front.db.read() as tx:
        changed = await overrides(tx, task.id)
    return [
        (task.spec.get("settings", {}), f"the project's {PROJECT_FILE}"),
        (changed, f"{RUNTIME_ORIGIN} for this task"),
    ]


async def configure(
    front: Front, changes: Mapping[str, object], *, task: Task | None, reset: bool, by_agent: bool
) -> None:
    """Change what is watched for, or take earlier changes back: for all tasks, or for one.

    Args:
        front: the client's side of the state directory.
        changes: parameters of ConfigureMonitoring with their values, as they were given; empty: nothing changes.
        task: the one that they are for; None: all.
        reset: whether earlier changes are taken back, instead.
        by_agent: whether it is a model that asks, not the user.

    Raises:
        InvalidInput: a value is wrong, contradicts another, or is given together with `reset`.
        NotNow: an agent asks for less protection than the user's file sets, and may not; or the task has ended.
    """
    if reset and changes:
        raise InvalidInput(
            "reset", f"it goes with nothing else, and {', '.join(changes)} was given", "Give either."
        )
    if not (reset or changes):
        return
    if task is not None and task.state is State.ENDED:
        raise NotNow(f"taskId: task {task.id} has ended; nothing of it is watched")
    for name in changes:
        if task is not None and ADJUSTABLE[name] not in PER_TASK:
            raise InvalidInput(name, "it cannot be different for one task", "Leave taskId out.")
    scope = ALL if task is None else task.id
    async with front.db.read() as tx:
        before = await overrides(tx, scope)
    try:
        wanted = {ADJUSTABLE[name]: parse_setting(ADJUSTABLE[name], value) for name, value in changes.items()}
    except ConfigError as error:
        name = _PARAMETER_OF.get(error.field, error.field)
        raise InvalidInput(name, error.problem, error.right) from error
    after = {} if reset else before | wanted
    current, result = await _settings(front, task, before), await _settings(front, task, after)
    _refuse_contradictions(result)
    if by_agent and not (task is not None and concerns(front, task.submitter)):
        _refuse_loosening(load_settings(front.env).settings, current, result)
    values = dict.fromkeys(before) if reset else wanted
    await front.command(
        CommandKind.CONFIGURE, None if task is None else task.id, {"scope": scope, "values": values}
    )


async def _settings(front: Front, task: Task | None, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Give every value by its dotted key, as it is with these changes."""
    if task is None:
        return {**load_settings(front.env).settings.flat(), **changed}
    values = (await front.settings()).settings.flat()
    return {**values, **task.spec.get("settings", {}), **changed}


def _refuse_contradictions(values: Mapping[str, Any]) -> None:
    for found in conflicts(values):
        raise InvalidInput(_PARAMETER_OF.get(found.key, found.key), found.problem, found.right)


def _refuse_loosening(own: Settings, current: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Refuse what is less strict than the user's file. Back to that an agent may go, since it was one that left it."""
    if own.monitoring.agent_may_loosen:
        return
    for name, key in ADJUSTABLE.items():
        if result[key] != current[key] and loosens(own, key, result[key]):
            raise NotNow(
                f"{name}: {result[key]} is less strict than the user has set, and only the user may loosen it: "
                "by monitoring.agentMayLoosen in the configuration file"
            )
