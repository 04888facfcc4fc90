from __future__ import annotations

import pytest

from claudine_mcp.core.classes import class_of
from claudine_mcp.core.models import Kind


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("make -j8 test", "make test"),
        ("make -j 8 test", "make test"),
        ("/usr/bin/make test", "make test"),
        (["/usr/bin/make", "-j8", "test"], "make test"),
        (["sh", "-c", "make test"], "make test"),
        ("cd sub && CI=1 nice -n 5 make test", "make test"),
        ("python -m pytest tests -x", "python -m pytest tests"),
        (["python3", "train.py", "--lr", "1e-4"], "python3 train.py"),
        ("npm ci && npm test", "npm ci && npm test"),
        ("make; echo done", "make ; echo done"),
        ("sleep 5", "sleep 5"),
        ("echo 'unfinished", "echo 'unfinished"),
        ("a b c d e f g h i j", "a b c d e f g h"),
    ],
)
def test_a_command_is_known_by_its_first_words(command: str | list[str], words: str) -> None:
    found = class_of(Kind.COMMAND, "/home/dev", {"command": command}, [])
    assert found.title == words


def test_a_title_is_short_and_safe() -> None:
    title = class_of(Kind.COMMAND, "/", {"command": ["\x1b[2J" + "x" * 500]}, []).title
    assert title.isprintable()
    assert len(title) == 60


def test_place_labels_and_kind_tell_classes_apart() -> None:
    make = class_of(Kind.COMMAND, "/a", {"command": "make"}, ["x", "y"])
    assert make == class_of(Kind.COMMAND, "/a", {"command": "make -k"}, ["y", "x"])
    assert make != class_of(Kind.COMMAND, "/b", {"command": "make"}, ["x", "y"])
    assert make != class_of(Kind.COMMAND, "/a", {"command": "make"}, ["x"])
    assert make != class_of(Kind.CLAUDE, "/a", {}, ["x", "y"])


def test_a_claude_code_is_known_by_its_model() -> None:
    assert class_of(Kind.CLAUDE, "/a", {"model": "opus"}, []).title == "claude opus"
    assert class_of(Kind.CLAUDE, "/a", {"model": None}, []).title == "claude"
