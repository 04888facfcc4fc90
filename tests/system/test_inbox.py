"""A run's input as the supervisor writes it: into a real pipe, whole lines, and never waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from claudine_mcp.supervisor.inbox import Inbox

PIPE_BYTES = 65536
"""Of a pipe that nobody has enlarged."""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "stdin"
    os.mkfifo(path)
    return path


@pytest.fixture
def reader(fifo: Path) -> Iterator[int]:
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    yield fd
    os.close(fd)


def read(reader: int) -> bytes:
    """Give all that is there now."""
    data = b""
    try:
        while piece := os.read(reader, 2**20):
            data += piece
    except BlockingIOError:
        pass
    return data


def line(letter: str, size: int) -> bytes:
    return letter.encode() * (size - 1) + b"\n"


def test_lines_arrive_in_order_and_the_pipe_is_let_go_of(fifo: Path, reader: int) -> None:
    inbox = Inbox(fifo)
    inbox.put(b"one\n")
    inbox.put(b"two\n")
    assert inbox.push()
    assert read(reader) == b"one\ntwo\n"
    assert os.read(reader, 1) == b"", "nobody holds the other end"


def test_a_long_line_is_written_whole_or_not_yet(fifo: Path, reader: int) -> None:
    inbox = Inbox(fifo)
    inbox.put(line("a", 100))
    inbox.put(line("b", PIPE_BYTES))
    assert not inbox.push()
    assert read(reader) == line("a", 100)
    assert inbox.push()
    assert read(reader) == line("b", PIPE_BYTES)


def test_a_short_line_waits_for_room(fifo: Path, reader: int) -> None:
    inbox = Inbox(fifo)
    inbox.put(line("a", PIPE_BYTES))
    inbox.put(line("b", 100))
    assert not inbox.push()
    assert read(reader) == line("a", PIPE_BYTES)
    assert inbox.push()
    assert read(reader) == line("b", 100)


def test_a_line_that_no_pipe_holds_is_written_in_pieces_and_nothing_gets_between(
    fifo: Path, reader: int
) -> None:
    inbox = Inbox(fifo)
    inbox.put(line("a", 3 * PIPE_BYTES))
    inbox.put(line("b", PIPE_BYTES))
    came = b""
    while not inbox.push():
        came += read(reader)
    assert came + read(reader) == line("a", 3 * PIPE_BYTES) + line("b", PIPE_BYTES)


def test_without_a_reader_it_says_so_and_forgets(fifo: Path) -> None:
    inbox = Inbox(fifo)
    inbox.put(b"one\n")
    with pytest.raises(OSError, match="No such device"):
        inbox.push()
    assert inbox.push()


def test_a_reader_that_leaves_in_the_middle_of_a_line_is_noticed(fifo: Path) -> None:
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    inbox = Inbox(fifo)
    inbox.put(line("a", 3 * PIPE_BYTES))
    assert not inbox.push()
    os.close(fd)
    with pytest.raises(BrokenPipeError):
        inbox.push()
    assert inbox.push()


def test_a_run_without_an_input_is_one_that_nobody_reads(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "stdin")
    assert inbox.push()
    inbox.put(b"one\n")
    with pytest.raises(FileNotFoundError):
        inbox.push()
