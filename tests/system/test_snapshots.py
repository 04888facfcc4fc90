from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from work_tree_kinds import (
    CHANGES,
    IGNORED,
    as_stored,
    commit_all,
    everything,
    files_of,
    look,
    new_repository,
    run_git,
    stored,
)

from claudine_mcp.host import work_trees
from claudine_mcp.host.git import GitError
from claudine_mcp.host.shadow import kept_ref, shadows_folder
from claudine_mcp.host.snapshots import (
    Snapshot,
    SnapshotMissing,
    delete_refs,
    read_snapshot,
    refs_of,
    snapshot,
)
from claudine_mcp.host.work_trees import GitLocked, NoWorkTree

LARGE = 10**6
REF = "refs/claudine/test/one"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def take(folder: Path, state: Path, ref: str = REF, **more: str) -> Snapshot:
    return snapshot(folder, ref, state_dir=state, large_bytes=LARGE, **more)


def kept(folder: Path) -> dict[str, tuple[str, bytes]]:
    """What a snapshot must have: every file that is not ignored."""
    return {path: item for path, item in as_stored(files_of(folder)).items() if path not in IGNORED}


def test_every_file_is_kept_byte_for_byte_and_nothing_of_the_users_is_touched(
    tmp_path: Path, state: Path
) -> None:
    top = everything(tmp_path / "repository")
    before = look(top)
    made = take(top, state)
    assert look(top) == before
    assert stored(top, made.commit) == kept(top)
    assert made.left == ()
    assert made.branch == "refs/heads/main"
    for path, (mode, _) in files_of(top).items():
        if stat.S_ISREG(mode) and path not in IGNORED:
            assert made.modes.of(path, is_executable=bool(mode & stat.S_IXUSR)) == stat.S_IMODE(mode), path


def test_what_was_staged_is_the_second_parent(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    made = take(top, state)
    head, index = run_git(top, "rev-parse", f"{REF}^1", f"{REF}^2").decode().split()
    assert head == made.head == run_git(top, "rev-parse", "HEAD").decode().strip()
    assert stored(top, index)["staged then changed"] == ("100644", b"staged\n")
    assert "renamed" not in stored(top, index)
    assert made.index_tree is not None


def test_an_unchanged_tree_is_the_same_commit_again(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    first = take(top, state)
    again = take(top, state, "refs/claudine/test/two")
    assert again == first
    (top / "changed").touch()
    assert take(top, state, "refs/claudine/test/three").commit == first.commit
    assert take(top, state, "refs/claudine/test/four", unless=first.commit).commit == first.commit
    assert set(refs_of(top, "refs/claudine/test/")) == {
        f"refs/claudine/test/{n}" for n in ("one", "two", "three")
    }


@pytest.mark.parametrize("change", CHANGES)
def test_the_next_one_is_as_whole_as_one_that_begins_anew(change: str, tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    take(top, state)
    CHANGES[change](top)
    before = look(top)
    made = take(top, state, "refs/claudine/test/two")
    assert look(top) == before
    ignored = {
        os.fsdecode(path)
        for path in run_git(top, "ls-files", "-z", "-o", "-i", "--exclude-standard").split(b"\0")
    }
    expected = {path: item for path, item in as_stored(files_of(top)).items() if path not in ignored}
    assert stored(top, made.commit) == expected
    anew = take(top, tmp_path / "another state", "refs/claudine/test/three")
    assert (anew.tree, anew.index_tree, anew.head) == (made.tree, made.index_tree, made.head)


def test_many_changes_in_a_row_are_each_kept(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    names = [name for name in CHANGES if name not in {"other ignores", "a stash", "a folder becomes a link"}]
    for number, name in enumerate(names):
        if name == "a folder becomes a file" and not (top / "deep").is_dir():
            continue
        try:
            CHANGES[name](top)
        except OSError:
            continue  # what an earlier one has taken away
        made = take(top, state, f"refs/claudine/test/{number}")
        anew = take(top, tmp_path / f"state {number}", f"refs/claudine/anew/{number}")
        assert (anew.tree, anew.index_tree) == (made.tree, made.index_tree), name


def test_settings_and_filters_that_convert_change_no_byte(tmp_path: Path, state: Path) -> None:
    top = new_repository(tmp_path / "repository")
    run_git(top, "config", "core.autocrlf", "true")
    run_git(top, "config", "filter.upper.clean", "tr a-z A-Z")
    run_git(top, "config", "filter.upper.smudge", "tr A-Z a-z")
    (top / ".gitattributes").write_text("* text=auto\n*.up filter=upper\n")
    (top / "lines").write_bytes(b"one\r\ntwo\r\n")
    (top / "same size.up").write_bytes(b"lower\n")
    commit_all(top)
    assert run_git(top, "cat-file", "blob", "HEAD:same size.up") == b"LOWER\n"
    assert stored(top, take(top, state).commit) == kept(top)
    assert run_git(top, "status", "--porcelain") == b""


def test_hooks_signatures_and_names_are_not_asked_for(tmp_path: Path, state: Path) -> None:
    top = new_repository(tmp_path / "repository")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/called\n")
        (hooks / name).chmod(0o755)
    (top / "a").write_text("a\n")
    for key, value in {
        "core.hooksPath": str(hooks),
        "commit.gpgSign": "true",
        "gpg.program": "false",
        "core.fsmonitor": str(hooks / "pre-commit"),
        "core.logAllRefUpdates": "always",
        "user.useConfigOnly": "true",
    }.items():
        run_git(top, "config", key, value)
    take(top, state)
    assert not (tmp_path / "called").exists()
    assert not (top / ".git/logs").exists()


def test_a_repository_without_a_commit_has_no_parent(tmp_path: Path, state: Path) -> None:
    top = new_repository(tmp_path / "repository")
    empty = take(top, state)
    assert (empty.head, stored(top, empty.commit)) == (None, {})
    (top / "a").write_text("a\n")
    (top / "b").write_text("b\n")
    run_git(top, "add", "a")
    before = look(top)
    made = take(top, state, "refs/claudine/test/two")
    assert look(top) == before
    assert stored(top, made.commit) == kept(top)
    assert made.head is None
    assert made.index_tree is not None


def test_a_merge_in_progress_is_kept_as_it_is_in_the_files(tmp_path: Path, state: Path) -> None:
    top = new_repository(tmp_path / "repository")
    (top / "both").write_text("base\n")
    (top / "theirs only").write_text("base\n")
    commit_all(top)
    run_git(top, "switch", "-q", "-c", "other")
    (top / "both").write_text("theirs\n")
    (top / "theirs only").write_text("theirs\n")
    commit_all(top)
    run_git(top, "switch", "-q", "main")
    (top / "both").write_text("ours\n")
    (top / "theirs only").unlink()
    commit_all(top)
    run_git(top, "merge", "-q", "other", check=False)
    before = look(top)
    made = take(top, state)
    assert look(top) == before
    assert made.unmerged == ("both", "theirs only")
    assert stored(top, made.commit) == kept(top)
    assert b"<<<<<<<" in stored(top, made.commit)["both"][1]


def test_a_linked_work_tree_has_its_own(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    run_git(top, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    (tmp_path / "linked/only here").write_text("here\n")
    before, beside = look(tmp_path / "linked"), look(top)
    made = take(tmp_path / "linked" / "sub dir", state)
    assert (look(tmp_path / "linked"), look(top)) == (before, beside)
    assert made.top == tmp_path / "linked"
    assert stored(top, made.commit) == kept(tmp_path / "linked")
    assert made.branch == "refs/heads/other"


def test_a_submodule_is_a_link_and_what_changed_in_it_is_named(tmp_path: Path, state: Path) -> None:
    other = new_repository(tmp_path / "other")
    (other / "a").write_text("a\n")
    commit_all(other)
    top = new_repository(tmp_path / "repository")
    run_git(top, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "module")
    commit_all(top)
    clean = take(top, state)
    assert clean.left == ()
    assert stored(top, clean.commit)["module"][0] == "160000"
    (top / "module/a").write_text("changed\n")
    before = look(top)
    changed = take(top, state, "refs/claudine/test/two")
    assert look(top) == before
    assert [(left.path, left.why) for left in changed.left] == [("module", "submodule")]
    commit_all(top / "module")
    moved = take(top, state, "refs/claudine/test/three")
    head = run_git(top / "module", "rev-parse", "HEAD").strip()
    assert stored(top, moved.commit)["module"] == ("160000", head)


def test_what_cannot_be_stored_is_named(tmp_path: Path, state: Path) -> None:
    top = new_repository(tmp_path / "repository")
    (top / "tracked").write_bytes(b"small")
    commit_all(top)
    (top / "tracked").write_bytes(b"x" * (LARGE + 1))
    (top / "untracked").write_bytes(b"y" * (LARGE + 1))
    (top / "just right").write_bytes(b"z" * LARGE)
    new_repository(top / "inner")
    (top / "inner/a").write_text("a\n")
    os.mkfifo(top / "pipe")
    made = take(top, state)
    named = {(left.path, left.why, left.bytes) for left in made.left}
    expected = {
        ("tracked", "large", LARGE + 1),
        ("untracked", "large", LARGE + 1),
        ("inner/", "repository", None),
    }
    assert named == expected
    assert stored(top, made.commit)["tracked"][1] == b"small"
    assert "untracked" not in stored(top, made.commit)
    assert take(top, state, "refs/claudine/test/two") == made


@pytest.mark.parametrize("cone", ["--cone", "--no-cone"])
def test_what_a_sparse_checkout_leaves_out_is_not_taken_for_deleted(
    cone: str, tmp_path: Path, state: Path
) -> None:
    top = new_repository(tmp_path / "repository")
    for folder in ("a", "b"):
        (top / folder).mkdir()
        (top / folder / "file").write_text(f"{folder}\n")
    commit_all(top)
    run_git(top, "sparse-checkout", "set", cone, "a")
    assert not (top / "b").exists()
    (top / "a/file").write_text("changed\n")
    before = look(top)
    made = take(top, state)
    assert look(top) == before
    assert stored(top, made.commit)["b/file"] == ("100644", b"b\n")
    assert stored(top, made.commit)["a/file"] == ("100644", b"changed\n")
    run_git(top, "sparse-checkout", "disable")
    (top / "b/file").write_text("here now\n")
    assert stored(top, take(top, state, "refs/claudine/test/two").commit)["b/file"][1] == b"here now\n"


def test_files_that_git_is_told_not_to_look_at_are_looked_at(tmp_path: Path, state: Path) -> None:
    top = new_repository(tmp_path / "repository")
    (top / "a").write_text("a\n")
    commit_all(top)
    run_git(top, "update-index", "--assume-unchanged", "a")
    (top / "a").write_text("changed\n")
    assert stored(top, take(top, state).commit)["a"][1] == b"changed\n"


def test_a_split_index_and_other_hashes_are_read(tmp_path: Path, state: Path) -> None:
    for name, options in {"split": (), "sha256": ("--object-format=sha256",)}.items():
        top = new_repository(tmp_path / name, *options)
        (top / "a").write_text("a\n")
        (top / "gone").write_text("gone\n")
        commit_all(top)
        run_git(top, "update-index", "--split-index")
        (top / "a").write_text("changed\n")
        (top / "gone").unlink()
        before = look(top)
        made = take(top, state)
        assert look(top) == before
        assert stored(top, made.commit) == kept(top)


def test_our_own_state_is_never_stored(tmp_path: Path) -> None:
    top = new_repository(tmp_path / "repository")
    (top / "a").write_text("a\n")
    (top / "state").mkdir()
    (top / "state/env").write_text("KEY=secret\n")
    for ref in ("refs/claudine/test/one", "refs/claudine/test/two"):
        assert set(stored(top, take(top, top / "state", ref).commit)) == {"a"}


@pytest.mark.parametrize("kind", ["none", "bare", "git's own", "gone", "corrupt"])
def test_a_folder_without_a_work_tree_says_so(kind: str, tmp_path: Path, state: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if kind == "bare":
        run_git(folder, "init", "-q", "--bare")
    elif kind == "git's own":
        folder = new_repository(folder) / ".git"
    elif kind == "gone":
        folder.rmdir()
    elif kind == "corrupt":
        (folder / ".git").write_text("gitdir: /nowhere/at/all\n")
    words = {
        "none": "not a git repository",
        "bare": "bare",
        "git's own": "git's own",
        "gone": "no such folder",
        "corrupt": "not a git repository",
    }
    with pytest.raises(NoWorkTree, match=words[kind]):
        take(folder, state)


def test_a_locked_index_is_said_and_nothing_changes(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_trees, "PATIENCE_S", 0.05)
    top = everything(tmp_path / "repository")
    before = look(top)
    (top / ".git/index.lock").touch()
    with pytest.raises(GitLocked, match=r"index\.lock"):
        take(top, state)
    (top / ".git/index.lock").unlink()
    assert look(top) == before
    assert refs_of(top, "refs/claudine/") == {}


def test_a_locked_ref_is_said_and_the_next_one_is_whole(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    lock = top / f".git/{REF}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(GitLocked, match=r"one\.lock"):
        take(top, state)
    assert refs_of(top, "refs/claudine/") == {}
    lock.unlink()
    assert stored(top, take(top, state).commit) == kept(top)


def test_a_ref_that_is_there_stays_as_it_is(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    first = take(top, state)
    (top / "kept").write_text("later\n")
    assert take(top, state) == first == read_snapshot(top, REF)


def test_objects_that_were_thrown_away_are_stored_again(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    take(top, state)
    run_git(top, "update-ref", "-d", REF)
    run_git(top, "update-ref", "-d", kept_ref(state, top))
    run_git(top, "gc", "-q", "--prune=now")
    made = take(top, state, "refs/claudine/test/two")
    assert stored(top, made.commit) == kept(top)
    run_git(top, "fsck", "--connectivity-only", made.commit)


def test_what_is_deleted_is_kept_no_longer_and_what_the_newest_has_stays(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    take(top, state)
    delete_refs(top, [REF, "refs/claudine/test/never"])
    with pytest.raises(SnapshotMissing, match="any more"):
        read_snapshot(top, REF)
    run_git(top, "gc", "-q", "--prune=now")
    assert stored(top, take(top, state, "refs/claudine/test/two").commit) == kept(top)


def test_an_index_of_ours_that_is_damaged_is_made_anew(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    first = take(top, state)
    for index in shadows_folder(state).glob("*/index"):
        index.write_bytes(b"DIRC nonsense")
    assert take(top, state, "refs/claudine/test/two").tree == first.tree


def test_a_ref_that_is_not_ours_is_no_snapshot(tmp_path: Path) -> None:
    top = everything(tmp_path / "repository")
    with pytest.raises(SnapshotMissing, match="not made by claudine"):
        read_snapshot(top, "HEAD")


def test_a_git_that_fails_says_what_it_said(tmp_path: Path, state: Path) -> None:
    top = everything(tmp_path / "repository")
    (top / ".git/index").write_bytes(b"DIRC nonsense")
    with pytest.raises(GitError, match="index"):
        take(top, state)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, state: Path) -> None:
    top = new_repository(tmp_path / "repository")
    (top / "closed").write_text("a\n")
    (top / "closed").chmod(stat.S_IWUSR)
    assert [left.why for left in take(top, state).left] == ["unreadable"]
