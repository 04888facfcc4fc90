"""What the plugin is made of, and that Claude Code takes it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from claude_code import LIMIT_S, PLUGIN, ClaudeCode, claude_env, install_plugin, write_program
from fake_api import FakeApi
from support import Home

import claudine_mcp
from claudine_mcp.core.sections import HOOK_MS
from claudine_mcp.server.app import build_server

ROOT = PLUGIN.parent


def read(name: str) -> Any:
    return json.loads((PLUGIN / name).read_text(encoding="utf-8"))


def test_its_version_is_that_of_the_program() -> None:
    assert read(".claude-plugin/plugin.json")["version"] == claudine_mcp.__version__


async def test_its_hooks_call_tools_that_are_there_with_what_they_take(home: Home) -> None:
    directory = read(".mcp.json")["mcpServers"]["claudine"]["env"]
    server = build_server({**home.env, **directory}, str(home.work))
    tools = {tool.name: tool for tool in await server.list_tools()}
    hooks = [
        hook
        for groups in read("hooks/hooks.json")["hooks"].values()
        for group in groups
        for hook in group["hooks"]
    ]
    assert len(hooks) == 3
    for hook in hooks:
        assert hook["server"] == "plugin:claudine:claudine"
        assert hook["input"].keys() == tools[hook["tool"]].input_schema["properties"].keys()
        assert tools[hook["tool"]].meta == {"ui": {"visibility": ["app"]}}
    assert max(hook["timeout"] for hook in hooks) * 1000 == HOOK_MS


async def test_a_server_that_no_plugin_started_has_no_tools_for_hooks(home: Home) -> None:
    tools = await build_server(home.env, str(home.work)).list_tools()
    assert not [tool.name for tool in tools if "Session" in tool.name]


@pytest.mark.parametrize("place", ["checkout", "PATH", "nowhere"])
def test_the_server_is_that_of_the_checkout_else_that_on_the_path(home: Home, place: str) -> None:
    """And it takes the place of the script: by their common parent it finds the monitor."""
    clone, programs = home.folder / "a clone", home.folder / "programs"
    shutil.copytree(PLUGIN, clone / "plugin")
    programs.mkdir()
    found = {"PATH": [programs], "checkout": [clone / ".venv/bin", programs]}.get(place, [])
    for folder in found:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "claudine-mcp").write_text('#!/bin/sh\necho "$0 $PPID"\n')
        (folder / "claudine-mcp").chmod(0o755)
    shell = subprocess.run(["sh", "-c", "command -v dirname"], capture_output=True, text=True, check=True)
    (programs / "dirname").symlink_to(shell.stdout.strip())
    done = subprocess.run(
        ["/bin/sh", clone / "plugin/scripts/server.sh"],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    if found:
        program, parent = done.stdout.rsplit(maxsplit=1)
        assert (Path(program).resolve(), int(parent)) == (found[0] / "claudine-mcp", os.getpid())
    else:
        assert done.returncode == 127
        assert "neither in" in done.stderr


async def test_the_skill_names_only_tools_and_settings_that_there_are(home: Home) -> None:
    tools = {tool.name for tool in await build_server(home.env, str(home.work)).list_tools()}
    skill = (PLUGIN / "skills/claudine/SKILL.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", skill))
    assert named
    assert named <= tools


@pytest.mark.claude
@pytest.mark.parametrize("part", [".", "plugin"])
def test_claude_code_finds_nothing_wrong_with_it(claude_argv: list[str], home: Home, part: str) -> None:
    done = subprocess.run(
        [*claude_argv, "plugin", "validate", "--strict", str(ROOT / part)],
        env=claude_env(home.folder, "http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation passed" in done.stdout


@pytest.mark.claude
def test_it_can_be_installed_from_a_clone_with_a_program_of_its_own(
    claude_argv: list[str], home: Home
) -> None:
    clone = home.folder / "a clone"
    for part in ("plugin", ".claude-plugin"):
        shutil.copytree(ROOT / part, clone / part)
    write_program(clone / ".venv/bin")
    with FakeApi() as api:
        env = claude_env(home.folder, api.url) | {
            name: home.env[name] for name in ("CLAUDINE_HOME", "CLAUDINE_CONFIG")
        }
        env["PATH"] = os.defpath
        install_plugin(claude_argv, env, home.work, clone)
        claude = ClaudeCode(claude_argv, env, home.work, home.folder)
        try:
            run = claude.run("FAKE: text done", strict=False)
        finally:
            claude.end()
    begin = run.lines("system", "init")[0]
    assert [(server["name"], server["status"]) for server in begin["mcp_servers"]] == [
        ("plugin:claudine:claudine", "connected")
    ]
    assert "claudine:claudine" in begin["skills"]
    assert run.result["result"] == "done"
