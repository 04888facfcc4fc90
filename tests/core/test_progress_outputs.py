"""What tools were recorded to print, played as it would be read: in portions, some seconds apart."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claudine_mcp.core.progress.model import Progress
from claudine_mcp.core.progress.recognizer import Recognizer

FOLDER = Path(__file__).parent.parent / "data" / "progress"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
END_BYTES = 1500
SILENT = {"npm", "npm-tty"}
PHASE_ONLY = {"cargo", "cargo-tty"}
SEVERAL = {"click-rich-tty", "ctest", "git", "tqdm"}
"""In which one thing follows another, so that what is counted begins anew."""
ENDS_EARLIER = {
    "cargo-always": 75.0,  # the bar goes away when nothing is left
    "pytest-v": 35.0,  # the recording was cut short
    "pytest-xdist-v": 16.0,
    "wget": 12.0,
    "yarn": 75.0,  # the last of four steps has begun
    "yarn-tty": 75.0,
    "tqdm": 0.0,  # the last bar counts beyond its total
}


def recorded(name: str) -> bytes:
    return (FOLDER / f"{name}.txt").read_bytes()


def portions(data: bytes, count: int) -> list[bytes]:
    return [data[len(data) * k // count : len(data) * (k + 1) // count] for k in range(count)]


def played(name: str, count: int = 12) -> list[Progress | None]:
    """What is known after each portion."""
    recognizer = Recognizer()
    known: list[Progress | None] = []
    for number, portion in enumerate(portions(recorded(name), count)):
        recognizer.feed("stdout", portion, 2.0 * number)
        known.append(recognizer.progress())
    return known


@pytest.mark.parametrize("name", sorted(SILENT))
def test_a_tool_that_tells_nothing_has_no_progress(name: str) -> None:
    assert set(played(name)) == {None}


@pytest.mark.parametrize("name", sorted(PHASE_ONLY))
def test_cargo_without_a_bar_has_a_phase(name: str) -> None:
    assert played(name)[-1] == Progress("output", phase="Compiling")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SILENT | PHASE_ONLY])
def test_a_tool_is_understood_to_its_end(name: str) -> None:
    known = [item for item in played(name) if item is not None]
    percents = [item.percent for item in known if item.percent is not None]
    assert len(set(percents)) >= 2, percents
    assert percents[-1] == ENDS_EARLIER.get(name, 100.0)
    assert known[-1].is_of_phase is (percents[-1] == 100 or name == "tqdm"), "complete, and it goes on"
    if name not in SEVERAL:
        assert percents == sorted(percents)


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("cmake-make", ["Building C object"]),
        ("ninja", ["Building CXX object"]),
        ("pytest", ["tests"]),
        ("yarn", ["Fetching packages", "Linking dependencies", "Building fresh packages"]),
        ("git", ["Counting objects", "Compressing objects", "Receiving objects"]),
        ("cargo-always", ["Compiling", "Building"]),
    ],
)
def test_its_phases_are_named_in_their_order(name: str, phases: list[str]) -> None:
    named = [item.phase for item in played(name, 200) if item is not None]
    assert [phase for phase, before in zip(named, [None, *named], strict=False) if phase != before] == phases


def test_bars_within_epochs_and_within_bars_are_combined() -> None:
    known = [item for item in played("tqdm", 60) if item is not None]
    epochs = [item.percent or 0.0 for item in known if item.source == "epoch"]
    outer = [item.percent or 0.0 for item in known if item.phase == "outer"]
    assert epochs == sorted(epochs)
    assert {25.0, 50.0, 75.0} <= {round(percent / 12.5) * 12.5 for percent in epochs}
    assert outer == sorted(outer)
    assert len(set(outer)) > 5, "not only 0, 33 and 66 %"


@pytest.mark.parametrize("name", [name for name in NAMES if len(recorded(name)) > END_BYTES])
def test_the_end_alone_says_the_same_as_everything(name: str) -> None:
    whole, end = Recognizer(), Recognizer()
    data = recorded(name)
    whole.feed("stdout", data, 0.0)
    whole.feed("stdout", b"\n", 5.0)
    end.feed("stdout", data[-END_BYTES:], 0.0, after_gap=True)
    end.feed("stdout", b"\n", 5.0)
    seen, known = end.progress(), whole.progress()
    assert (None if seen is None else seen.percent) == (None if known is None else known.percent)


@pytest.mark.parametrize("name", NAMES)
def test_byte_by_byte_is_the_same_as_at_once(name: str) -> None:
    data = recorded(name)[:6000]
    at_once, by_byte = Recognizer(), Recognizer()
    at_once.feed("stdout", data, 0.0)
    for at in range(len(data)):
        by_byte.feed("stdout", data[at : at + 1], 0.0)
    assert by_byte.to_json() == at_once.to_json()
    assert by_byte.progress() == at_once.progress()


PARTS = st.sampled_from(
    [
        b"\r 42%|####      | 42/100 [00:01<00:02, 5it/s]",
        b"\n[3/10] Building foo\n",
        b"50% done\r\n",
        b"\x1b]9;4;1;30\x07",
        b"\x1b]9;4;0\x1b\\",
        b"\x1b]9;4;1;99999\x07",
        b"\x1b[2K\x1b[1G",
        b"Epoch 2/3",
        b"\b\b\b\b",
        b"x" * 700,
        b"\n",
        b"\x1b",
        b"\x1b[",
        "█▏".encode(),
        b"\xff\xfe",
        b"9",
        b"%",
    ]
)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=30), st.data())
def test_any_output_torn_anywhere_is_the_same_as_at_once(parts: list[bytes], data: st.DataObject) -> None:
    output = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=8)))
    at_once, torn = Recognizer(), Recognizer()
    at_once.feed("stdout", output, 0.0)
    for low, high in pairwise([0, *cuts, len(output)]):
        torn.feed("stdout", output[low:high], 0.0)
    assert torn.to_json() == at_once.to_json()
    at_once.rest(1.0)
    torn.rest(1.0)
    assert torn.progress() == at_once.progress()


@settings(deadline=None)
@given(st.lists(PARTS, max_size=40))
def test_no_output_is_beyond_bounds(parts: list[bytes]) -> None:
    recognizer = Recognizer()
    for number, part in enumerate(parts):
        recognizer.feed("stdout", part, 1.5 * number)
        known = recognizer.progress()
        if known is not None and known.percent is not None:
            assert 0 <= known.percent <= 100
            assert known.done is None or (known.total is not None and 0 <= known.done <= known.total)
    assert len(json.dumps(recognizer.to_json())) < 20_000


@pytest.mark.parametrize("name", NAMES)
def test_another_reader_goes_on_where_one_has_stopped(name: str) -> None:
    straight, relayed = Recognizer(), Recognizer()
    unread = b""
    for number, portion in enumerate(portions(recorded(name), 6)):
        straight.feed("stdout", portion, 2.0 * number)
        relayed = Recognizer(json.loads(json.dumps(relayed.to_json())))
        relayed.feed("stdout", unread + portion, 2.0 * number)
        count = relayed.unread_bytes("stdout")
        assert count is not None
        unread = (unread + portion)[len(unread + portion) - count :]
    assert relayed.progress() == straight.progress()
    assert relayed.to_json() == straight.to_json()
