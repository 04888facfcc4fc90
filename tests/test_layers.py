"""The arrows between the packages, as the design has them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import claudine_mcp

ROOT = Path(claudine_mcp.__file__).parent
BELOW_SUPERVISOR = {"core", "registry", "host", "workloads", "executors"}
MAY_IMPORT = {
    "core": set[str](),
    "registry": {"core"},
    "host": {"core"},
    "workloads": {"core"},
    "executors": {"core", "host"},
    "supervisor": BELOW_SUPERVISOR,
    "front": {"registry", "core", "workloads", "host"},
    "server": {"front", "core", "host.settings"},
    "cli": {"front", "core", "host.settings"},
    "__main__": {"server", "cli", "supervisor.process"},
    "keeper": set[str](),
}
"""Package or module: what of this program it may import."""

CORE_MAY_IMPORT = {"pydantic", "pydantic_core"}


def imports_of(path: Path) -> set[str]:
    """Give the whole names of the modules that a file imports, at its top or within."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update(f"{node.module}.{name.name}" for name in node.names)
    return found


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_package_is_in_the_design() -> None:
    assert {package_of(path) for path in modules()} - {"__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    wrong: list[str] = []
    for path in modules():
        if package_of(path) != package:
            continue
        for name in imports_of(path):
            if not name.startswith("claudine_mcp."):
                continue
            inner = name.removeprefix("claudine_mcp.")
            allowed = {package, "__version__", *MAY_IMPORT[package]}
            if not any(inner == one or inner.startswith(f"{one}.") for one in allowed):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_core_needs_only_the_standard_library_and_pydantic() -> None:
    for path in (ROOT / "core").rglob("*.py"):
        outside = {name.partition(".")[0] for name in imports_of(path)} - {"claudine_mcp"}
        assert outside - set(sys.stdlib_module_names) <= CORE_MAY_IMPORT, path


def test_core_does_nothing_but_think() -> None:
    for path in (ROOT / "core").rglob("*.py"):
        names = imports_of(path)
        touching = {
            "os",
            "subprocess",
            "socket",
            "asyncio",
            "threading",
            "time",
            "tempfile",
            "sqlite3",
            "psutil",
        }
        assert not {name.partition(".")[0] for name in names} & touching, path
        assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Await)], (
            path
        )


def test_sql_is_written_in_the_registry_only() -> None:
    for path in modules():
        if package_of(path) == "registry" or path.name == "installation.py":  # which tries what SQLite can do
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.split(" ", 2)
                assert words[0] not in {"SELECT", "INSERT", "UPDATE", "DELETE", "PRAGMA"}, (
                    f"{path}: {node.value}"
                )


def imported_by(module: str) -> set[str]:
    """Give the packages that are there after a module was imported in a new process."""
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["claudine_mcp.supervisor.process", "claudine_mcp.front.front", "claudine_mcp.front.supervision"],
)
def test_the_supervisor_loads_neither_the_protocol_nor_the_command_line(module: str) -> None:
    assert not imported_by(module) & {"mcp", "typer", "rich", "click", "starlette", "httpx", "psutil"}


def test_the_keeper_loads_only_the_standard_library() -> None:
    outside = {name.partition(".")[0] for name in imports_of(ROOT / "keeper.py")}
    assert outside <= set(sys.stdlib_module_names)
