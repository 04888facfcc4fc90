"""The whole configuration as it is in force, and a file of it checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from claudine_mcp.core.config import PROJECT_FILE, Resolved, check, project_layer
from claudine_mcp.core.errors import ConfigError, NotFound
from claudine_mcp.host.settings import config_path, load_layer, load_settings, state_dir
from claudine_mcp.registry.commands import overrides
from claudine_mcp.registry.database import FILE, open_database


def settings_with_origins(env: Mapping[str, str]) -> Resolved:
    """Give every setting in force and its origin, without making a state directory that is not there.

    Raises:
        ConfigError: the user's file is wrong.
        RegistryError: the registry, which keeps what was changed at run time, cannot be read.
    """
    directory = state_dir(env)
    changed = anyio.run(_changed, directory) if (directory / FILE).exists() else {}
    return load_settings(env, overrides=changed)


async def _changed(directory: Path) -> dict[str, Any]:
    async with open_database(directory) as db, db.read() as tx:
        return await overrides(tx, "*")


def user_file(env: Mapping[str, str]) -> Path:
    """Give the path of the user's file; it need not exist."""
    return config_path(env)


def problems_of_file(path: Path) -> list[str]:
    """Say all that is wrong with a configuration file, the user's or a project's; nothing when it is right.

    Raises:
        NotFound: there is no such file.
    """
    path = path.absolute()
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    try:
        layer = load_layer(path)
        if path.name == PROJECT_FILE:
            project_layer(layer.values, layer.origin)
            return []
    except ConfigError as error:
        return [str(error)]
    return check(layer)
