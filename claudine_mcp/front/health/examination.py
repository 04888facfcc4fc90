"""All checks together. None of them changes anything unless it is to, and none keeps another from being made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from claudine_mcp.core.errors import ConfigError
from claudine_mcp.front.configuration import problems_of_file
from claudine_mcp.front.health.directory import look_at_directory, look_at_files
from claudine_mcp.front.health.findings import Finding, ok, problem
from claudine_mcp.front.health.installation import look_at_installation
from claudine_mcp.front.health.kernel import look_at_system
from claudine_mcp.front.health.processes import look_at_processes
from claudine_mcp.front.health.supervision import look_at_registry, look_at_supervisor
from claudine_mcp.front.health.worktrees import look_at_worktrees
from claudine_mcp.host.settings import CONFIG_VARIABLE, config_path, state_dir
from claudine_mcp.registry.inspection import Inspection


def examine(env: Mapping[str, str], *, fix: bool = False) -> list[Finding]:
    """Examine the installation, and the state directory that the environment names.

    Args:
        env: of the client.
        fix: whether to remove what is left over and nobody else removes.
    """
    findings = _made("installation", lambda: look_at_installation(env))
    findings += _made("configuration", lambda: look_at_configuration(env))
    try:
        directory = state_dir(env)
    except ConfigError as error:
        findings.append(problem("state directory", str(error), "Name another directory, or unset it."))
    else:
        findings += _state(directory, fix=fix)
    return findings + _made("system", look_at_system)


def _state(directory: Path, *, fix: bool) -> list[Finding]:
    findings = _made("state directory", lambda: look_at_directory(directory))
    inspection: Inspection | None = None

    def registry() -> list[Finding]:
        nonlocal inspection
        inspection, finding = look_at_registry(directory)
        return [finding]

    findings += _made("registry", registry)
    if not directory.is_dir():
        return findings
    findings += _made("supervisor", lambda: look_at_supervisor(directory, inspection))
    if inspection is not None:  # without it everything would look left over
        known = inspection
        findings += _made("leftovers", lambda: look_at_processes(directory, known))
        findings += _made("files", lambda: look_at_files(directory, known.tasks))
        findings += _made("worktrees", lambda: look_at_worktrees(directory, known.tasks, fix=fix))
    return findings


def _made(check: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """Make a check. One that fails is itself a finding."""
    try:
        return look()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return [problem(check, f"{where}{error.strerror or error}", "This user must be able to look there.")]
    except Exception as error:  # noqa: BLE001 - the others are wanted all the more
        what = f"this could not be examined: {type(error).__name__}: {error}"
        return [problem(check, what, "Please report it, with this text.")]


def look_at_configuration(env: Mapping[str, str]) -> list[Finding]:
    """Say what is wrong with the user's configuration file."""
    try:
        path = config_path(env)
    except ConfigError as error:
        return [problem("configuration", str(error), "Name another file, or unset it.")]
    if not path.exists():
        if not env.get(CONFIG_VARIABLE):
            return [ok("configuration", f"defaults; there is no {path}")]
        mend = f"Write it, or unset {CONFIG_VARIABLE}."
        return [problem("configuration", f"{CONFIG_VARIABLE} names {path}, which does not exist", mend)]
    mend = f"`claudine-mcp config check {path}` checks it again."
    return [problem("configuration", text, mend) for text in problems_of_file(path)] or [
        ok("configuration", f"nothing is wrong with {path}")
    ]
