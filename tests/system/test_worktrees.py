"""Git worktrees: made, looked at and removed, in real repositories."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from repositories import claudine_branches, commit_all, git_in, kept_of, new_repository, worktree_count

from claudine_mcp.host.git import GitError
from claudine_mcp.host.worktree_state import listed, place_of
from claudine_mcp.host.worktrees import (
    CONDEMNED,
    Unsaved,
    add,
    branches,
    changes,
    diff_summary,
    free_branch,
    is_unchanged,
    remove,
    remove_condemned,
)

BRANCH = "claudine/task"


class Made:
    """A repository with a worktree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = new_repository(folder / "the repository")
        self.base = git_in(self.repository, "rev-parse", "HEAD")
        self.path = folder / "worktrees" / "task"

    def add(self) -> None:
        add(self.repository, self.path, BRANCH, self.base)

    def remove(self, *, with_commits: bool = False) -> None:
        remove(self.repository, self.path, BRANCH, self.base, with_commits=with_commits)

    def nothing_is_left(self) -> bool:
        return (
            not self.path.exists()
            and worktree_count(self.repository) == 0
            and not claudine_branches(self.repository)
            and not list(self.path.parent.glob(f"*{CONDEMNED}"))
        )


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_a_worktree_is_made_and_removed_and_the_users_tree_stays_as_it_was(made: Made) -> None:
    (made.repository / "top.txt").write_text("changed by the user\n")
    git_in(made.repository, "add", "top.txt")
    (made.repository / "untracked.txt").write_text("new\n")
    hook = made.repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch '{made.folder}/hooked'\n")
    hook.chmod(0o755)
    before = kept_of(made.repository)
    made.add()
    assert (made.path / "top.txt").read_text() == "top\n"
    assert not (made.path / "untracked.txt").exists()
    assert git_in(made.path, "branch", "--show-current") == BRANCH
    assert is_unchanged(made.path, made.base)
    assert made.path.stat().st_mode & 0o077 == 0
    assert kept_of(made.repository) == before
    made.remove()
    assert kept_of(made.repository) == before
    assert made.nothing_is_left()
    assert not (made.folder / "hooked").exists()


def test_what_is_there_is_not_made_again(made: Made) -> None:
    made.add()
    (made.path / "work.txt").write_text("work\n")
    made.add()
    assert (made.path / "work.txt").read_text() == "work\n"


def test_files_are_checked_out_with_the_umask_that_is_wanted(made: Made) -> None:
    add(made.repository, made.path, BRANCH, made.base, umask=0o027)
    assert (made.path / "top.txt").stat().st_mode & 0o777 == 0o640


def write(path: Path) -> None:
    (path / "new.txt").write_text("a\nb\n")


def change(path: Path) -> None:
    (path / "top.txt").write_text("one\ntwo\n")


def delete(path: Path) -> None:
    (path / "top.txt").unlink()


def stage(path: Path) -> None:
    write(path)
    git_in(path, "add", "new.txt")


def merge(path: Path) -> None:
    git_in(path, "checkout", "--quiet", "-b", "other")
    (path / "top.txt").write_text("other\n")
    commit_all(path)
    git_in(path, "checkout", "--quiet", BRANCH)
    git_in(path, "merge", "--quiet", "--no-ff", "--no-commit", "--strategy=ours", "other")


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (write, "1 file, +0 -0, 0 commits, 1 file not committed"),
        (change, "1 file, +2 -1, 0 commits, 1 file not committed"),
        (delete, "1 file, +0 -1, 0 commits, 1 file not committed"),
        (stage, "1 file, +2 -0, 0 commits, 1 file not committed"),
        (merge, "0 files, +0 -0, 0 commits, a merge under way"),
    ],
)
def test_uncommitted_work_keeps_a_worktree(made: Made, work: object, said: str) -> None:
    assert callable(work)
    made.add()
    work(made.path)
    assert diff_summary(made.path, made.base) == said
    before = {path.name: path.read_bytes() for path in made.path.iterdir() if path.is_file()}
    for with_commits in (False, True):
        with pytest.raises(Unsaved):
            made.remove(with_commits=with_commits)
    assert {path.name: path.read_bytes() for path in made.path.iterdir() if path.is_file()} == before
    assert git_in(made.path, "branch", "--show-current") == BRANCH


def test_commits_keep_a_worktree_and_stay_on_their_branch_when_it_is_removed_with_them(made: Made) -> None:
    made.add()
    write(made.path)
    commit = commit_all(made.path)
    assert diff_summary(made.path, made.base) == "1 file, +2 -0, 1 commit"
    with pytest.raises(Unsaved, match="1 commit"):
        made.remove()
    made.remove(with_commits=True)
    assert not made.path.exists()
    assert branches(made.repository, "claudine/") == {BRANCH: commit}
    made.add()
    assert (made.path / "new.txt").exists()
    assert git_in(made.path, "rev-parse", "HEAD") == commit


def test_commits_that_no_branch_has_are_not_lost(made: Made) -> None:
    made.add()
    git_in(made.path, "checkout", "--quiet", "--detach")
    write(made.path)
    commit = commit_all(made.path)
    git_in(made.repository, "update-ref", "refs/claudine/checkpoint", commit)  # which goes one day
    with pytest.raises(Unsaved, match="commits that no branch has"):
        made.remove(with_commits=True)
    assert changes(made.path, made.base).commits == 1


def test_what_git_ignores_is_removed_even_if_it_is_write_protected(made: Made) -> None:
    made.add()
    folder = made.path / "build" / "cache"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    folder.chmod(0o500)
    assert is_unchanged(made.path, made.base)
    made.remove()
    assert made.nothing_is_left()


def test_what_the_user_has_locked_stays(made: Made) -> None:
    made.add()
    git_in(made.repository, "worktree", "lock", "--reason", "mine", str(made.path))
    with pytest.raises(Unsaved, match="lock"):
        made.remove()
    assert made.path.exists()


def test_removing_goes_on_wherever_it_was_cut_off(made: Made) -> None:
    made.add()
    made.path.rename(made.path.with_name("task" + CONDEMNED))
    made.remove()
    assert made.nothing_is_left()
    made.remove()  # all of it is gone already
    made.add()
    git_in(made.repository, "worktree", "remove", str(made.path))
    made.remove()
    assert made.nothing_is_left()
    left = made.path.with_name("other" + CONDEMNED)
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    remove_condemned(made.path.parent)
    assert not left.exists()


def test_making_goes_on_wherever_it_was_cut_off(made: Made) -> None:
    made.path.mkdir(parents=True)  # before git has begun
    made.add()
    assert is_unchanged(made.path, made.base)
    admin = made.repository / ".git" / "worktrees" / "task"
    (admin / "locked").write_text("initializing")  # in the middle of the checkout
    (made.path / "top.txt").unlink()
    (admin / "index").unlink()
    assert [found.locked for found in listed(made.repository, made.path.parent)] == ["initializing"]
    made.add()
    assert is_unchanged(made.path, made.base)
    assert worktree_count(made.repository) == 1
    (admin / "locked").write_text("initializing")
    made.remove()
    assert made.nothing_is_left()


def test_whoever_comes_second_waits_for_the_git_that_is_making_it(made: Made) -> None:
    made.path.mkdir(parents=True)
    lock = os.open(made.path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(made.add)
        try:
            with pytest.raises(TimeoutError):
                adding.result(0.3)
        finally:
            os.close(lock)
        adding.result(60)
    assert is_unchanged(made.path, made.base)


def test_a_folder_with_something_else_in_it_is_left_alone(made: Made) -> None:
    made.path.mkdir(parents=True)
    (made.path / "precious").write_text("x")
    with pytest.raises(GitError, match="is no worktree of"):
        made.add()
    assert (made.path / "precious").read_text() == "x"
    assert not claudine_branches(made.repository)


def test_what_cannot_be_made_leaves_nothing(made: Made) -> None:
    (made.repository / ".gitattributes").write_text("*.txt filter=broken\n")
    base = commit_all(made.repository)
    git_in(made.repository, "config", "filter.broken.smudge", "false")
    git_in(made.repository, "config", "filter.broken.clean", "cat")
    git_in(made.repository, "config", "filter.broken.required", "true")
    with pytest.raises(GitError, match="smudge filter broken failed"):
        add(made.repository, made.path, BRANCH, base)
    assert made.nothing_is_left()


def test_several_worktrees_of_one_repository_are_made_and_removed_at_once(made: Made) -> None:
    names = [f"task{n}" for n in range(6)]
    folder = made.path.parent

    def one(name: str) -> None:
        add(made.repository, folder / name, f"claudine/{name}", made.base)
        if name != "task0":
            remove(made.repository, folder / name, f"claudine/{name}", made.base)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, names))
    assert [found.branch for found in listed(made.repository, folder)] == ["claudine/task0"]
    assert claudine_branches(made.repository) == ["claudine/task0"]


def test_a_branch_that_cannot_be_made_is_named_otherwise(made: Made) -> None:
    assert free_branch(made.repository, BRANCH) == BRANCH
    git_in(made.repository, "branch", BRANCH)
    assert free_branch(made.repository, BRANCH) == BRANCH + "-2"
    git_in(made.repository, "branch", BRANCH + "-2/deeper")
    assert free_branch(made.repository, BRANCH) == BRANCH + "-3"
    git_in(made.repository, "branch", "--delete", "--force", BRANCH, BRANCH + "-2/deeper")
    git_in(made.repository, "branch", "claudine")
    assert free_branch(made.repository, BRANCH) == "claudine-task"


def test_a_folder_is_found_in_its_repository(made: Made) -> None:
    place = place_of(made.repository / "code")
    assert (place.top, place.folder, place.head) == (made.repository.resolve(), "code", made.base)
    assert place.git_dir == made.repository.resolve() / ".git"
    assert not place.uncommitted
    write(made.repository)
    assert place_of(made.repository).uncommitted
    made.add()
    inside = place_of(made.path / "code")  # a worktree of a worktree is one of the repository
    assert (inside.top, inside.git_dir) == (made.path.resolve(), place.git_dir)


def test_a_folder_that_no_worktree_could_have_is_refused(made: Made) -> None:
    with pytest.raises(GitError, match="not a git repository"):
        place_of(made.folder)
    (made.repository / "untracked").mkdir()
    with pytest.raises(GitError, match="untracked is not in the commit"):
        place_of(made.repository / "untracked")
    git_in(made.folder, "init", "--quiet", "--bare", "bare.git")
    with pytest.raises(GitError, match="work tree"):
        place_of(made.folder / "bare.git")
    git_in(made.folder, "init", "--quiet", "unborn")
    with pytest.raises(GitError, match="has no commit yet"):
        place_of(made.folder / "unborn")


def test_a_repository_in_a_repository_and_its_submodules(made: Made) -> None:
    inner = new_repository(made.folder / "inner")
    git_in(
        made.repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub"
    )
    base = commit_all(made.repository)
    assert place_of(made.repository).has_submodules
    add(made.repository, made.path, BRANCH, base)
    assert list((made.path / "sub").iterdir()) == []
    assert is_unchanged(made.path, base)
    remove(made.repository, made.path, BRANCH, base)
    assert made.nothing_is_left()
    place = place_of(made.repository / "sub")
    assert place.top == made.repository.resolve() / "sub"
    add(place.git_dir, made.path, BRANCH, place.head)
    assert (made.path / "top.txt").exists()
    remove(place.git_dir, made.path, BRANCH, place.head)
    assert not made.path.exists()
    assert kept_of(inner)


def test_a_worktree_whose_repository_has_gone_is_not_removed(made: Made) -> None:
    made.add()
    write(made.path)
    made.repository.rename(made.folder / "moved")
    with pytest.raises(GitError, match="is not there any more"):
        changes(made.path, made.base)
    with pytest.raises(GitError):
        made.remove()
    assert (made.path / "new.txt").exists()
