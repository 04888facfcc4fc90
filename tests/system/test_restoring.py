from __future__ import annotations

from pathlib import Path

import pytest
from work_tree_kinds import CHANGES, IGNORED, everything, files_of, look, run_git

from claudine_mcp.host.restoring import carry_out, steps_between, would_lose
from claudine_mcp.host.snapshots import Snapshot, snapshot


def take(folder: Path, state: Path, ref: str = "refs/claudine/test/one") -> Snapshot:
    return snapshot(folder, ref, state_dir=state, large_bytes=10**6)


@pytest.mark.parametrize("change", CHANGES)
def test_every_byte_and_mode_comes_back_and_the_users_index_stays(change: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    top = everything(tmp_path / "repository")
    target = take(top, state)
    kept = files_of(top)
    CHANGES[change](top)
    before = take(top, state, "refs/claudine/test/before")
    users = look(top)
    steps = steps_between(before, target)
    carry_out(steps, target, state_dir=state)
    now = files_of(top)
    assert {path: now.get(path) for path in kept if path not in IGNORED} == {
        path: item for path, item in kept.items() if path not in IGNORED
    }
    assert (look(top).index, look(top).head, look(top).reflogs) == (users.index, users.head, users.reflogs)
    carry_out(steps, target, state_dir=state)
    assert files_of(top) == now
    if change != "tracked no more and ignored":  # which is put back, and ignored all the same
        assert take(top, state, "refs/claudine/test/after").tree == target.tree


def test_only_what_no_commit_has_would_be_lost(tmp_path: Path) -> None:
    state = tmp_path / "state"
    top = everything(tmp_path / "repository")
    target = take(top, state)
    (top / "kept").write_text("work\n")
    (top / "untracked since").write_text("work\n")
    before = take(top, state, "refs/claudine/test/before")
    assert would_lose(before, steps_between(before, target)) == ["kept", "untracked since"]
    run_git(top, "add", "kept", "untracked since")
    run_git(top, "commit", "-q", "-m", "saved", "--", "kept", "untracked since")
    saved = take(top, state, "refs/claudine/test/saved")
    assert would_lose(saved, steps_between(saved, target)) == []
