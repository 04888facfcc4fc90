"""Worktrees on the command line: tasks in them, and what `doctor` makes of those that no task knows."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine
from repositories import claudine_branches, commit_all, git_in, new_repository, worktree_count
from support import stop_supervisor, wait_until


@pytest.fixture
def repository(cli: CommandLine) -> Path:
    return new_repository(cli.home.work)


def worktrees(cli: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    found = json.loads(cli.run("doctor", "--json", *arguments, expect=None).stdout)
    return [finding for finding in found if finding["check"] in {"worktrees", "branches"}]


def kept_task(cli: CommandLine, command: str) -> Path:
    """Run a task that changes something; give its worktree."""
    task_id = cli.run("run", "--worktree", "--shell", command).stdout.strip()
    cli.run("wait", task_id, expect=None)

    def there() -> dict[str, Any] | None:
        made = json.loads(cli.run("status", task_id, "--json").stdout)["worktree"]
        return made if made["state"] == "kept" else None

    made = wait_until(there, what="the worktree is kept")
    assert made is not None
    return Path(made["path"])


def forget_tasks(cli: CommandLine) -> None:
    stop_supervisor(cli.home.state_dir)
    with closing(sqlite3.connect(cli.home.state_dir / "registry.db")) as connection, connection:
        connection.execute("DELETE FROM tasks")


def test_a_command_runs_in_a_worktree_and_status_shows_where(cli: CommandLine, repository: Path) -> None:
    (repository / "top.txt").write_text("not committed\n")
    done = cli.run("run", "--worktree", "--wait", "--", "sh", "-c", "cat top.txt; echo more > new.txt")
    assert done.stdout == "top\n"
    assert f"uncommitted changes of {repository} are not in it" in done.stderr
    told = re.search(r"worktree of task (\w+)", done.stderr)
    assert told is not None
    shown = cli.run("status", told[1]).stdout
    assert "on branch claudine/" in shown
    assert "1 file, +0 -0, 0 commits, 1 file not committed" in shown


def test_outside_of_a_repository_it_is_refused(cli: CommandLine) -> None:
    done = cli.run("run", "--worktree", "--", "true", expect=2)
    assert "worktree: " in done.stderr
    assert "not a git repository" in done.stderr


def test_doctor_removes_what_no_task_knows_if_nothing_is_lost(cli: CommandLine, repository: Path) -> None:
    commit = "git -c user.name=A -c user.email=a@b commit -qam more"
    dirty = kept_task(cli, "echo new > new.txt")
    committed = kept_task(cli, f"echo more > top.txt; {commit}")
    assert [finding["verdict"] for finding in worktrees(cli)] == ["ok"]
    forget_tasks(cli)
    branches = claudine_branches(repository)

    found = worktrees(cli)
    assert [finding["verdict"] for finding in found] == ["warning", "warning"]
    assert worktree_count(repository) == 2

    said = {finding["what"]: finding for finding in worktrees(cli, "--fix")}
    assert len(said) == 2
    assert f"no task knows the git worktree {committed}; it was removed" in said
    assert any(f"{dirty}, and it stays: its worktree holds uncommitted work" in what for what in said)
    assert not committed.exists()
    assert (dirty / "new.txt").exists()
    assert claudine_branches(repository) == branches

    commit_all(dirty)
    git_in(repository, "merge", "--quiet", *branches)
    worktrees(cli, "--fix")
    assert worktree_count(repository) == 0
    assert worktrees(cli) == [{"check": "worktrees", "verdict": "ok", "what": "nothing is left over"}]


def test_doctor_lists_branches_of_removed_tasks_and_takes_what_is_not_there_off_gits_list(
    cli: CommandLine, repository: Path
) -> None:
    kept_task(cli, "echo new > new.txt")
    git_in(repository, "branch", "claudine/of-old")
    lost = cli.home.state_dir / "worktrees" / "lost"
    git_in(repository, "worktree", "add", "--quiet", "--detach", str(lost))
    lost.rename(cli.home.folder / "elsewhere")
    found = {finding["check"]: finding for finding in worktrees(cli)}
    assert "1 branch of removed tasks" in found["branches"]["what"]
    assert "claudine/of-old" in found["branches"]["what"]
    assert "that is not there, and that no task knows" in found["worktrees"]["what"]
    worktrees(cli, "--fix")
    assert worktree_count(repository) == 1
