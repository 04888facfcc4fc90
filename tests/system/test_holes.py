"""The beginning of a file is given back to the disk under the hands of whoever writes to it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from claudine_mcp.host import holes
from claudine_mcp.host.holes import CannotRelease, can_release, release_head, released_bytes

BLOCK = 4096
MEBIBYTE = 2**20


@pytest.fixture
def log(tmp_path: Path) -> Path:
    if not can_release(tmp_path):
        pytest.skip("this file system cannot release a part of a file")
    return tmp_path / "stdout.log"


def test_space_is_given_back_and_every_offset_stays(log: Path) -> None:
    lines = b"".join(b"line %06d\n" % number for number in range(400_000))
    log.write_bytes(lines)
    os.sync()
    before = log.stat()
    released = release_head(log, 4_000_000)
    after = log.stat()
    assert 4_000_000 - 12 <= released <= 4_000_000
    assert after.st_size == before.st_size
    assert after.st_blocks * 512 <= before.st_blocks * 512 - 4_000_000 + 2 * BLOCK
    data = log.read_bytes()
    assert data[released:] == lines[released:]
    assert not any(data[:released])


def test_a_line_stays_whole(log: Path) -> None:
    log.write_bytes(b"first\n" + b"x" * 9000 + b"\n" + b"y" * 9000 + b"\n")
    assert release_head(log, 12_000) == 9007
    assert log.read_bytes()[9007:9010] == b"yyy"


def test_a_line_that_is_longer_than_anyone_would_look_is_cut(log: Path) -> None:
    log.write_bytes(b"x" * MEBIBYTE)
    assert release_head(log, 500_000) == 500_000


def test_who_appends_goes_on_behind_the_hole(log: Path) -> None:
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, b"a" * 9999 + b"\n")
        release_head(log, 10_000)
        os.write(fd, b"more\n")
    finally:
        os.close(fd)
    assert log.stat().st_size == 10_005
    assert log.read_bytes()[10_000:] == b"more\n"


def test_the_hole_is_found_again(log: Path) -> None:
    log.write_bytes(b"x" * MEBIBYTE)
    assert released_bytes(log) == 0
    release_head(log, 100 * BLOCK)
    assert released_bytes(log) == 100 * BLOCK
    release_head(log, MEBIBYTE)
    assert released_bytes(log) == MEBIBYTE, "though there is nothing behind it"


def test_less_than_a_block_is_not_worth_it(log: Path) -> None:
    log.write_bytes(b"short\n" * 10)
    assert release_head(log, 50) == 0
    assert log.read_bytes() == b"short\n" * 10


def test_a_link_in_the_place_of_the_file_is_not_followed(log: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"p" * MEBIBYTE)
    log.symlink_to(precious)
    with pytest.raises(OSError, match="something else has taken the place"):
        release_head(log, MEBIBYTE)
    assert precious.read_bytes() == b"p" * MEBIBYTE


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    can_release(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_done_that_is_found_out_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _mode: int, _offset: int, _length: int) -> int:
        holes.ctypes.set_errno(errno.EOPNOTSUPP)
        return -1

    monkeypatch.setattr(holes, "_fallocate", lambda: refuse)
    assert not can_release(tmp_path)
    log = tmp_path / "stdout.log"
    log.write_bytes(b"x" * MEBIBYTE)
    with pytest.raises(CannotRelease, match="its file system cannot release a part of a file"):
        release_head(log, MEBIBYTE)
    assert log.read_bytes() == b"x" * MEBIBYTE
