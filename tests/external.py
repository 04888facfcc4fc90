"""Programs from npm that tests drive: where they are kept, how they get there, what happens without them.

A pytest plugin, loaded by ``pytest_plugins = ["external"]`` in ``conftest.py``, and a command:
``python tests/external.py`` installs every program, ``python tests/external.py inspector`` one.

A program is used when it is there already. A test run installs it only with ``CLAUDINE_TEST_INSTALL=1`` or
``CI=true``; otherwise its tests are skipped, and each says why. With ``CI=true`` such a skip is a failure.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

MARKERS = ("claude", "inspector", "live")
"""Tests with one of these need a program of this module, or one of Debian's."""

INSTALL_LIMIT_S = 900
"""A slow network, not a slow npm: the larger of the two takes 5 to 20 s on a fast one."""

TIDY = {"NODE_DISABLE_COMPILE_CACHE": "1"}
"""For the environment of whatever Node runs: otherwise npm and others leave a cache in the temporary folder."""

COMPLETE = "complete"
"""The stamp inside a folder whose installation ended well."""


class NotInstalledError(Exception):
    """A program is not there and could not, or should not, be installed. The text says what to do."""


@dataclass(frozen=True)
class NpmProgram:
    """What to install for one program, and what to start afterwards.

    Attributes:
        key: its name on this module's command line.
        title: its name and version, for messages.
        folder: its folder in the cache; names the version, so that a new one never meets an old one.
        packages: npm packages, each with its version.
        command: the program and its first arguments, as patterns below the folder; each must match once.
    """

    key: str
    title: str
    folder: str
    packages: tuple[str, ...]
    command: tuple[str, ...]

    def argv(self, folder: Path) -> list[str]:
        """Resolve the command in an installed folder.

        Raises:
            NotInstalledError: the packages do not hold what was expected of them.
        """
        found: list[str] = []
        for pattern in self.command:
            paths = sorted(folder.glob(pattern))
            if len(paths) != 1:
                raise NotInstalledError(
                    f"{self.title}: {len(paths)} files match {pattern} in {folder}, not one"
                )
            found.append(str(paths[0]))
        return found


def node_package() -> str:
    """Name the npm package that holds Node's binary for this machine, and nothing to run at installation.

    The package ``node`` would choose it, but by an install script, and npm is about to refuse those.
    """
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    prefix = "node-bin" if (sys.platform, machine) == ("darwin", "arm64") else "node"
    return f"{prefix}-{sys.platform}-{machine}"


INSPECTOR = NpmProgram(
    key="inspector",
    title="MCP Inspector 2.12.0",
    folder="inspector-2.12.0",
    # It needs Node 22.19 or later, so it brings its own.
    packages=("@modelcontextprotocol/inspector@2.12.0", f"{node_package()}@^22.19.0"),
    command=("node_modules/node-*/bin/node", "node_modules/.bin/mcp-inspector"),
)

CLAUDE = NpmProgram(
    key="claude",
    title="Claude Code 2.1.328",
    folder="claude-code-2.1.328",
    packages=("@anthropic-ai/claude-code@2.1.328",),
    # npm picks the one platform package that fits; its binary needs no Node and no install script.
    command=("node_modules/@anthropic-ai/claude-code-*/claude",),
)

PROGRAMS = (INSPECTOR, CLAUDE)


def in_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether nothing may be left out."""
    return environ.get("CI") == "true"


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that keeps the programs between runs; always outside the checkout."""
    if chosen := environ.get("CLAUDINE_TEST_CACHE"):
        return Path(chosen)
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "claudine-mcp-tests"


def locate(program: NpmProgram, *, install: bool) -> list[str]:
    """Return the command that starts a program.

    Args:
        program: which.
        install: fetch it with npm if it is not there.

    Raises:
        NotInstalledError: it is not there, and is not to be installed or could not be.
    """
    folder = cache_folder() / program.folder
    if not (folder / COMPLETE).exists():
        if not install:
            how = f"`python tests/external.py {program.key}` installs it with npm"
            raise NotInstalledError(f"{program.title} is not there; {how}")
        install_program(program, folder)
    return program.argv(folder)


def install_program(program: NpmProgram, folder: Path) -> None:
    """Install a program with npm, whole or not at all. Runs that do it at the same time take turns.

    Raises:
        NotInstalledError: there is no npm, npm failed, or what came does not start.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalledError(f"{program.title} needs npm to be installed, and no npm is on the PATH")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / COMPLETE).exists():
            return
        # Whoever holds the lock owns this name, so an installation that was killed is cleared away here.
        partial = folder.with_name(f".{folder.name}.partial")
        for leftover in (partial, folder):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        try:
            _npm_install(npm, program, partial, lock.fileno())
            version = _version(program.argv(partial))
            (partial / COMPLETE).write_text(f"{' '.join(program.packages)}\n{version}\n")
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _npm_install(npm: str, program: NpmProgram, folder: Path, lock: int) -> None:
    """Let npm fill a folder. No script of any package runs. An npm that outlives us keeps the lock."""
    # Without a package.json npm would look for one in the folders above.
    (folder / "package.json").write_text(json.dumps({"private": True}))
    quiet = ("--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--loglevel=error")
    argv = [npm, "install", "--prefix", str(folder), "--ignore-scripts", *quiet, *program.packages]
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            # Some networks have a certificate authority of their own, which Node does not look for unasked.
            env={"NODE_USE_SYSTEM_CA": "1", **os.environ, **TIDY},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT_S,
            pass_fds=(lock,),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"npm did not install {program.title} within {INSTALL_LIMIT_S} s") from None
    if done.returncode:
        raise NotInstalledError(f"npm could not install {program.title}: {done.stderr.strip()[-2000:]}")


def _version(argv: list[str]) -> str:
    """Start a freshly installed program once, away from anyone's settings."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [*argv, "--version"],
            env={"HOME": home, "PATH": os.environ.get("PATH", os.defpath), **TIDY},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if done.returncode:
        raise NotInstalledError(f"{argv[0]} does not start: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def _for_a_test(program: NpmProgram) -> list[str]:
    try:
        return locate(program, install=in_ci() or os.environ.get("CLAUDINE_TEST_INSTALL") == "1")
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def inspector_argv() -> list[str]:
    """The command that starts the MCP Inspector."""
    return _for_a_test(INSPECTOR)


@pytest.fixture(scope="session")
def claude_argv() -> list[str]:
    """The command that starts the real Claude Code."""
    return _for_a_test(CLAUDE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test that needs an external program into a failure where nothing may be left out."""
    report = yield
    needs_program = any(item.get_closest_marker(name) for name in MARKERS)
    if needs_program and in_ci() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"with CI=true this must run. {reason}"
    return report


def main(keys: list[str]) -> None:
    """Install the programs that are named, or all, and say where and how long it took."""
    known = {program.key: program for program in PROGRAMS}
    if unknown := [key for key in keys if key not in known]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    for key in keys or known:
        began = time.monotonic()
        try:
            argv = locate(known[key], install=True)
        except NotInstalledError as error:
            raise SystemExit(str(error)) from None
        print(f"{known[key].title} ({time.monotonic() - began:.0f} s): {' '.join(argv)}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
