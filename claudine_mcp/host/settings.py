"""Where configuration and state are, and reading the files: the user's, and a project's own."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from claudine_mcp.core.config import (
    PROJECT_FILE,
    RUNTIME_ORIGIN,
    Layer,
    ProjectDefaults,
    Resolved,
    adjustment,
    project_layer,
    resolve,
)
from claudine_mcp.core.errors import ConfigError
from claudine_mcp.core.units import describe, printable

HOME_VARIABLE = "CLAUDINE_HOME"
CONFIG_VARIABLE = "CLAUDINE_CONFIG"
COMMAND_LINE_ORIGIN = "command line"
MAX_USER_BYTES = 10**6
MAX_PROJECT_BYTES = 64_000
"""A project's file comes from strangers, and is read whenever a task is submitted."""


def state_dir(env: Mapping[str, str]) -> Path:
    """Give the state directory: $CLAUDINE_HOME, else the platform's; it need not exist.

    Raises:
        ConfigError: the variable is no absolute path.
    """
    if named := _named(env, HOME_VARIABLE):
        return named
    from platformdirs import user_state_path  # noqa: PLC0415 - start-up time

    return user_state_path("claudine")


def config_path(env: Mapping[str, str]) -> Path:
    """Give the path of the user's file: $CLAUDINE_CONFIG, else the platform's; it need not exist.

    Raises:
        ConfigError: the variable is no absolute path.
    """
    if named := _named(env, CONFIG_VARIABLE):
        return named
    from platformdirs import user_config_path  # noqa: PLC0415 - start-up time

    return user_config_path("claudine") / "config.json"


def _named(env: Mapping[str, str], variable: str) -> Path | None:
    text = env.get(variable)
    if not text:
        return None
    # A ~ in the JSON that configures a server reaches us as it is; no shell was there to expand it.
    path = Path(env["HOME"], text[2:]) if text.startswith("~/") and env.get("HOME") else Path(text)
    if not path.is_absolute():
        # Servers and the supervisor have different working directories, and must mean the same place.
        raise ConfigError(variable, f"{describe(text)} is a relative path", "Write the whole path.")
    return path


def load_settings(
    env: Mapping[str, str],
    command_line: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Resolved:
    """Read the user's file, if there is one, and merge it with what comes after it.

    Args:
        env: the environment that names the file.
        command_line: settings given there, as parsed JSON.
        overrides: what ConfigureMonitoring changed, by dotted key.

    Raises:
        ConfigError: the file cannot be read, is named and not there, or a setting is wrong.
    """
    layers = [user] if (user := load_user_layer(env)) else []
    if command_line:
        layers.append(Layer(COMMAND_LINE_ORIGIN, command_line))
    if overrides:
        layers.append(Layer(RUNTIME_ORIGIN, adjustment(overrides, by_a_person=False)))
    return resolve(layers)


def load_user_layer(env: Mapping[str, str]) -> Layer | None:
    """Read the user's file; None when there is none and none was named.

    Raises:
        ConfigError: it cannot be read, or $CLAUDINE_CONFIG names a file that is not there.
    """
    path = config_path(env)
    if not os.path.lexists(path) and _may_look(path.parent):
        if not env.get(CONFIG_VARIABLE):
            return None
        raise ConfigError(
            CONFIG_VARIABLE, f"there is no file {printable(str(path))}", "Write it, or unset this."
        )
    return load_layer(path)


def _may_look(folder: Path) -> bool:
    """Whether the absence of a file in `folder` can be believed; an unreadable one hides what it has."""
    return os.access(folder, os.X_OK) or not os.path.lexists(folder)


def load_layer(path: Path) -> Layer:
    """Read a configuration file without judging its settings.

    Raises:
        ConfigError: it cannot be read, is too large, not UTF-8 or not JSON; the field is the path.
    """
    return Layer(printable(str(path)), _read_json(path, Path(os.path.realpath(path)), MAX_USER_BYTES))


def load_project(cwd: Path) -> ProjectDefaults:
    """Read a project's own file: the nearest `.claudine.json` from `cwd` up to the root of its repository.

    Outside any repository only `cwd` itself counts. No file, no defaults. What is in it is not trusted.

    Raises:
        ConfigError: the file cannot be read, leads out of the project, is too large, or says something wrong.
    """
    try:
        cwd = Path(os.path.realpath(cwd))
    except ValueError:  # a NUL, or what is no text
        raise ConfigError(
            "cwd", f"{describe(str(cwd))} is not a path", "Write the path of a folder."
        ) from None
    folders = [cwd, *cwd.parents]
    root = next((folder for folder in folders if os.path.lexists(folder / ".git")), cwd)
    within = folders[: folders.index(root) + 1]
    path = next((folder / PROJECT_FILE for folder in within if os.path.lexists(folder / PROJECT_FILE)), None)
    if path is None:
        return ProjectDefaults()
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(root):
        raise ConfigError(
            printable(str(path)), "it is a link that leads out of the project", "Write a plain file."
        )
    return project_layer(_read_json(path, target, MAX_PROJECT_BYTES), printable(str(path)))


def _read_json(path: Path, target: Path, max_bytes: int) -> object:
    """Read and parse `target`, calling it `path` in errors."""
    name = printable(str(path))
    try:
        content = _read_regular(target, max_bytes + 1, name)
    except OSError as error:
        raise ConfigError(name, f"it cannot be read: {error.strerror}") from None
    if len(content) > max_bytes:
        raise ConfigError(name, f"it is larger than {max_bytes // 1000} kB", "Such files have a few lines.")
    try:
        # An editor may have put a byte order mark there.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(name, f"byte {error.start} is not UTF-8", "Save it as UTF-8.") from None
    return _parse(text, name)


def _read_regular(path: Path, count: int, name: str) -> bytes:
    """Read at most `count` bytes, of a regular file only: a FIFO has no end, a device may do anything."""
    _require_regular(os.lstat(path), name)
    # It may have been exchanged since, hence the flags and the second look.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
        _require_regular(os.fstat(descriptor), name)
        return file.read(count)


def _require_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(name, "it is not a regular file", "Write a plain file.")


def _parse(text: str, name: str) -> object:
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ConfigError(name, f"{where} is not JSON: {error.msg}", "JSON has no comments.") from None
    except RecursionError:
        raise ConfigError(name, "it is nested too deeply", "Settings have two levels.") from None
    except ValueError as error:
        raise ConfigError(name, str(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {describe(key)} is there twice")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON; write a number")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number is too large to be used")
    return number


def _whole(text: str) -> int:
    # int() of many thousand digits is slow, and refused from a length that the user may have changed.
    if len(text) > 30:  # noqa: PLR2004 - far beyond any setting
        raise ValueError("a number is too large to be used")
    return int(text)
