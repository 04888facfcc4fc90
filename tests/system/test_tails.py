"""What is read of a run's files, and what is not."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from claudine_mcp.core.progress.model import Progress
from claudine_mcp.supervisor.tails import TAIL_BYTES, ReportFile, Tails, read_new


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def lines(first: int, last: int) -> str:
    return "".join(f"[{n}/100] Building CXX object x{n}.o\n" for n in range(first, last))


def test_only_the_end_is_read_however_much_there_is(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # no block of it is there
        file.seek(0, os.SEEK_END)
        file.write(b"the end\n")
    found = read_new(path, 5)
    assert found is not None
    start, data = found
    assert (start + len(data), len(data)) == (10 * 2**30 + 8, TAIL_BYTES)
    assert data.endswith(b"the end\n")
    assert read_new(path, start + len(data)) is None


def test_what_was_appended_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    assert read_new(path, 0) is None
    append(path, "one")
    assert read_new(path, 0) == (0, b"one")
    append(path, "two")
    assert read_new(path, 3) == (3, b"two")
    path.write_text("x", encoding="utf-8")
    assert read_new(path, 6) == (0, b"x"), "someone has made it shorter"


@pytest.mark.parametrize("what", ["fifo", "link", "folder", "socket"])
def test_nothing_but_a_regular_file_is_read(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = Path("stdout.log")
    Path("secret").write_text("50 secret\n", encoding="utf-8")
    server = socket.socket(socket.AF_UNIX)
    match what:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("secret")
        case "folder":
            path.mkdir()
        case _:
            server.bind(str(path))
    server.close()
    assert read_new(path, 1) is None
    path.rename("progress")
    report = ReportFile(Path("progress"))
    report.look()
    assert report.report == (None, None)


def test_both_streams_tell_of_one_run(tmp_path: Path) -> None:
    tails = Tails(tmp_path, None)
    for n, done in enumerate((9, 5, 2)):
        append(tmp_path / "stdout.log", f"Epoch {n + 1}/4\n")
        append(tmp_path / "stderr.log", f"\r {done}0%|#####     | {done}/10 [00:0{n}<00:02, 5.00it/s]")
        tails.look(2.0 * n)
    tails.look(8.0)
    assert tails.progress() == Progress("epoch", 55.0, done=2.2, total=4.0, phase="Epoch 3/4")


def test_another_goes_on_where_one_has_stopped_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    first = Tails(tmp_path, None)
    append(path, lines(1, 10))
    first.look(0.0)
    append(path, lines(10, 20) + "[20/1")
    first.look(2.0)
    assert first.progress() == Progress("[n/m]", 19.0, done=19.0, total=100.0, phase="Building CXX object")
    second = Tails(tmp_path, json.loads(json.dumps(first.to_json())))
    append(path, "00] Building CXX object y.o\n")
    second.look(4.0)
    assert second.progress() == Progress("[n/m]", 20.0, done=20.0, total=100.0, phase="Building CXX object")


def test_what_has_no_newline_is_read_when_nothing_more_comes(tmp_path: Path) -> None:
    append(tmp_path / "stdout.log", "Progress: 42%")
    tails = Tails(tmp_path, None)
    tails.look(0.0)
    assert tails.progress() is None
    tails.look(2.0)
    assert tails.progress() == Progress("percent", 42.0)
    at_the_end = Tails(tmp_path, None)
    at_the_end.look(0.0, is_over=True)
    assert at_the_end.progress() == Progress("percent", 42.0)


def test_a_report_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    report = ReportFile(path)
    report.look()
    assert report.report == (None, None)
    append(path, "40 building\n")
    report.look()
    assert report.report.progress == Progress("file", 40.0, phase="building")
    append(path, "oops\n")
    report.look()
    assert report.report.progress == Progress("file", 40.0, phase="building")
    assert report.report.problem is not None
    path.write_text("50 building\n", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    report.look()
    assert report.report == (Progress("file", 50.0, phase="building"), None), (
        "written over, as long as before"
    )


def test_of_a_long_report_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    append(path, "".join(f"{n / 1000} phase {n}\n" for n in range(20_000)))
    report = ReportFile(path)
    report.look()
    assert report.report.progress == Progress("file", 19.999, phase="phase 19999")
