from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support import Home

from claudine_mcp.core.errors import StateDirError
from claudine_mcp.host.statedir import (
    REFUSED,
    claim,
    discard,
    discard_drafts,
    file_system,
    lock_unclaimed,
    prepare,
)


def mounts(*points: tuple[str, str]) -> str:
    """Write a mountinfo: (mount point, type of file system)."""
    return "".join(
        f"{number} 1 0:{number} / {point} rw,relatime shared:1 - {kind} source rw\n"
        for number, (point, kind) in enumerate(points, 20)
    )


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_a_file_system_that_does_not_keep_its_promises_is_refused(home: Home, kind: str) -> None:
    text = mounts(("/", "ext4"), (str(home.folder), kind))
    with pytest.raises(StateDirError) as caught:
        prepare(home.state_dir, text)
    assert kind in str(caught.value)
    assert str(home.state_dir) in str(caught.value)
    assert "CLAUDINE_HOME" in str(caught.value)
    assert not home.state_dir.exists()


def test_the_innermost_mount_counts_and_of_two_the_later() -> None:
    text = mounts(("/", "ext4"), ("/net", "nfs4"), ("/net/local", "xfs"), ("/over", "nfs"), ("/over", "ext4"))
    assert file_system(Path("/net/x"), text) == "nfs4"
    assert file_system(Path("/net/local/x/y"), text) == "xfs"
    assert file_system(Path("/network"), text) == "ext4"
    assert file_system(Path("/over/x"), text) == "ext4"


def test_a_mount_point_with_a_space_is_understood() -> None:
    text = mounts(("/", "ext4"), ("/my\\040disk", "cifs"))
    assert file_system(Path("/my disk/x"), text) == "cifs"


def test_a_link_is_followed_to_the_file_system_that_it_leads_to(home: Home) -> None:
    (home.folder / "link").symlink_to(home.work)
    text = mounts(("/", "ext4"), (str(home.work), "nfs"))
    assert file_system(home.folder / "link" / "state", text) == "nfs"


def test_what_is_no_directory_is_refused(home: Home) -> None:
    file = home.folder / "file"
    file.touch()
    with pytest.raises(StateDirError, match="not a directory"):
        prepare(file)
    with pytest.raises(StateDirError, match=r"(?i)not a directory"):
        prepare(file / "below")


def test_it_is_made_for_its_owner_only_and_made_so(home: Home) -> None:
    prepare(home.state_dir)
    assert stat.S_IMODE(home.state_dir.stat().st_mode) == 0o700
    home.state_dir.chmod(0o755)
    prepare(home.state_dir)
    assert stat.S_IMODE(home.state_dir.stat().st_mode) == 0o700


def test_a_sweep_takes_what_no_task_is_known_for_and_nobody_is_submitting(home: Home) -> None:
    prepare(home.state_dir)
    tasks = home.state_dir / "tasks"
    for name in ("known", "forgotten"):
        (tasks / name).mkdir()
        (tasks / name / "env").touch()
    outside = home.folder / "outside"
    outside.mkdir()
    (tasks / "link").symlink_to(outside)
    (tasks / "file").touch()
    submitting = claim(tasks / "submitting")
    try:
        locked = lock_unclaimed(home.state_dir, {"known"})
        assert set(locked) == {"forgotten"}
        assert discard(home.state_dir, locked, {"known"}) == ["forgotten"]
    finally:
        os.close(submitting)
    assert sorted(path.name for path in tasks.iterdir()) == ["file", "known", "link", "submitting"]
    assert outside.exists()


def test_a_task_that_was_stored_between_two_looks_is_not_swept(home: Home) -> None:
    prepare(home.state_dir)
    (home.state_dir / "tasks" / "new").mkdir()
    locked = lock_unclaimed(home.state_dir, set())
    assert discard(home.state_dir, locked, {"new"}) == []
    assert (home.state_dir / "tasks" / "new").exists()


def test_files_of_another_task_are_never_claimed(home: Home) -> None:
    prepare(home.state_dir)
    folder = home.state_dir / "tasks" / "taken"
    os.close(claim(folder))
    os.close(claim(folder))  # empty: left by a crash
    (folder / "env").touch()
    with pytest.raises(FileExistsError):
        claim(folder)


def test_only_drafts_that_were_given_up_are_removed(home: Home) -> None:
    prepare(home.state_dir)
    (home.state_dir / "keepers").mkdir()
    files = [
        "registry.db",
        "registry.db-wal",
        "registry.db.new-1-ab",
        "registry.db.new-1-ab-wal",
        "keepers/a.py",
    ]
    files += ["registry.db.new-2-cd", "keepers/a.py.tmp-7"]
    for name in files:
        (home.state_dir / name).touch()
        os.utime(home.state_dir / name, (1000, 1000))
    os.utime(home.state_dir / "registry.db.new-2-cd", (1100, 1100))
    removed = discard_drafts(home.state_dir, 1100)
    assert sorted(removed) == ["a.py.tmp-7", "registry.db.new-1-ab", "registry.db.new-1-ab-wal"]
    assert [name for name in files if not (home.state_dir / name).exists()] == [
        "registry.db.new-1-ab",
        "registry.db.new-1-ab-wal",
        "keepers/a.py.tmp-7",
    ]
