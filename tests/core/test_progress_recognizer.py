"""Judgement: what is progress, of what, and how several counters make one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.progress.model import Progress
from claudine_mcp.core.progress.recognizer import MAX_COUNTERS, Recognizer


def after(*looks: str, every_s: float = 2.0) -> Progress | None:
    """What is known after output that was read in these portions."""
    recognizer = Recognizer()
    for number, text in enumerate(looks):
        recognizer.feed("stdout", text.encode(), every_s * number)
    return recognizer.progress()


def percents(looks: Iterable[str]) -> list[float | None]:
    """What was known after each portion."""
    recognizer = Recognizer()
    known: list[float | None] = []
    for number, text in enumerate(looks):
        recognizer.feed("stdout", text.encode(), 2.0 * number)
        progress = recognizer.progress()
        known.append(None if progress is None else progress.percent)
    return known


def bar(name: str, done: int, total: int) -> str:
    """What tqdm draws."""
    return f"\r{name}{100 * done // total:3}%|{'#' * (done * 10 // total):10}| {done}/{total} [00:01<00:02, 5.00it/s]"


# -- what is believed -----------------------------------------------------------------------------------------


def test_what_is_only_likely_is_believed_when_it_has_grown() -> None:
    assert percents(["processed 10%\n", "processed 20%\n", "processed 30%\n"]) == [None, None, 30.0]
    assert percents(["[1/40] a\n", "[2/40] b\n"]) == [None, 5.0]


def test_a_table_that_is_printed_at_once_is_none() -> None:
    table = "10%   1.0\n25%   2.0\n50%   3.0\n75%   4.0\n"
    assert after(table) is None
    assert after(table, "") is None
    assert after("[1/4] one\n[2/4] two\n[3/4] three\n") is None
    assert after(table, table, table, table) is None


def test_a_measurement_that_rises_and_falls_is_none() -> None:
    values = [20, 31, 25, 44, 40, 52, 35, 61, 20, 64]
    assert set(percents(f"filled {value}%\n" for value in values)) <= {None, 25.0, 44.0}
    assert percents(f"filled {value}%\n" for value in values)[-1] is None


def test_a_report_of_coverage_is_none() -> None:
    lines = [f"src/{name}.py     100     {cover}     {cover}%\n" for cover, name in enumerate("abcdefgh", 60)]
    assert percents([*lines, "TOTAL    800    500    63%\n"]) == [None] * 9


def test_lines_of_parallel_jobs_that_swap_do_not_go_back() -> None:
    lines = [f"[{n}/50] CC x{n}.o\n" for n in (1, 3, 2, 4, 6, 5, 8, 7, 9)]
    assert percents(lines) == [None, 6.0, 6.0, 8.0, 12.0, 12.0, 16.0, 16.0, 18.0]


def test_a_total_that_becomes_known_better_is_followed() -> None:
    assert percents(["[10/100] a\n", "[20/100] b\n", "[30/200] c\n"]) == [None, 20.0, 15.0]


def test_an_unfinished_line_counts_when_nothing_more_comes() -> None:
    recognizer = Recognizer()
    recognizer.feed("stdout", bar("", 42, 100).encode(), 0.0)
    assert recognizer.progress() is None
    recognizer.rest(2.0)
    assert recognizer.progress() == Progress("tqdm", 42.0, done=42.0, total=100.0)


def test_what_follows_a_gap_is_not_taken_for_a_whole_line() -> None:
    recognizer = Recognizer()
    recognizer.feed("stdout", b"Epoch 1", 0.0)
    recognizer.feed("stdout", b"00% done\nProgress: 42%\n", 2.0, after_gap=True)
    assert recognizer.progress() == Progress("percent", 42.0)


def test_so_many_counters_are_kept_and_the_believed_ones_longest() -> None:
    recognizer = Recognizer()
    recognizer.feed("stdout", b"tests/test_a.py .... [ 42%]\n", 0.0)
    for number in range(5 * MAX_COUNTERS):
        name = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        recognizer.feed("stdout", f"{name} 1/5\n".encode(), 1.0)
    assert len(recognizer.to_json()["counters"]) == MAX_COUNTERS
    assert recognizer.progress() == Progress("pytest", 42.0, phase="tests")


# -- one after the other, and side by side ----------------------------------------------------------------------


def test_what_begins_anew_is_the_progress_of_a_phase() -> None:
    first = after("collected 9 items\n", "test_a.py ... [ 90%]\n")
    assert first == Progress("pytest", 90.0, phase="tests")
    second = after("test_a.py ... [100%]\n", "collected 9 items\n", "test_a.py . [ 10%]\n")
    assert second == Progress("pytest", 10.0, phase="tests", is_of_phase=True)


def test_what_is_complete_says_nothing_of_the_rest() -> None:
    known = after(bar("Loading", 2, 2) + "\n", "training...\n")
    assert known is not None
    assert (known.percent, known.is_of_phase) == (100.0, True)


def test_a_short_bar_before_the_long_one_does_not_make_that_a_phase() -> None:
    known = after(bar("Loading: ", 2, 2) + "\n", bar("Training: ", 10, 100) + "\n")
    assert known == Progress("tqdm", 10.0, done=10.0, total=100.0, phase="Training")


def test_one_of_many_bars_is_a_phase() -> None:
    known = after(
        *(bar(f"{name}: ", 5, 5) + "\n" for name in ("one", "two", "three")), bar("four: ", 1, 5) + "\n"
    )
    assert known == Progress("tqdm", 20.0, done=1.0, total=5.0, phase="four", is_of_phase=True)


def test_of_bars_side_by_side_the_slowest_counts() -> None:
    known = after(
        *(bar("rank 0: ", n, 100) + "\n" + bar("rank one: ", n - 5, 100) + "\n" for n in (10, 20, 30))
    )
    assert known is not None
    assert known.percent == 25.0
    assert not known.is_of_phase


def test_ranks_that_draw_the_same_bar_are_one() -> None:
    looks = [bar("Training: ", n, 100) + bar("Training: ", n - 1, 100) + "\n" for n in (10, 20, 30, 40)]
    assert percents(looks) == [10.0, 20.0, 30.0, 40.0]


def test_what_is_certain_goes_before_what_is_likely() -> None:
    known = after(*(f"test_a.py . [ {n}%]\nfilled {n + 50}%\n" for n in (10, 20, 30, 40)))
    assert known == Progress("pytest", 40.0, phase="tests")


def test_items_of_alternating_kinds_are_one_phase() -> None:
    kinds = ["Building CXX object x.o", "Building CXX object y.o", "Linking CXX library z.so"]
    looks = [f"[{n}/90] {kinds[n % 3]}\n" for n in range(1, 30)]
    known = after(*looks)
    assert known is not None
    assert known.phase == "Building CXX object"
    linking = after(*looks, *(f"[{n}/90] Linking CXX executable bin/e\n" for n in range(30, 40)))
    assert linking is not None
    assert linking.phase == "Linking CXX executable"


# -- within each other -------------------------------------------------------------------------------------------


def test_epochs_and_the_steps_of_each() -> None:
    looks = [f"Epoch [{epoch}/4], Step [{step}/100]\n" for epoch in (1, 2, 3) for step in (25, 50, 75, 100)]
    # The steps are believed from the second on.
    expected: list[float | None] = [0.0, *(100 * n / 16 for n in range(2, 13))]
    assert percents(looks) == [round(value, 1) if value else value for value in expected]


def test_epochs_and_a_bar_that_names_no_epoch() -> None:
    looks = [f"Epoch {epoch}/2\n" + bar("", n, 10) for epoch in (1, 2) for n in (0, 5, 10)]
    looks = [look if look.endswith("\n") else look + "\r" for look in looks]
    assert percents(looks) == [0.0, 25.0, 50.0, 50.0, 75.0, 100.0]


def test_steps_that_are_counted_over_all_epochs() -> None:
    looks = [
        f"Epoch {epoch}/5\nstep {step}/500\n" for step in range(20, 400, 20) for epoch in [1 + step // 100]
    ]
    known = percents(looks)
    assert known[-1] == 76.0
    assert known[5:] == [round(step / 5, 1) for step in range(120, 400, 20)]


def test_bars_within_a_bar() -> None:
    looks: list[str] = []
    for outer in range(3):
        looks += [bar("outer: ", outer, 4) + "\n" + bar("inner: ", inner, 10) + "\r" for inner in (0, 5, 9)]
    known = percents(looks)
    assert known[:3] == [0.0, 0.0, 0.0], "it may be that they are side by side"
    assert known[3:] == [25.0, 37.5, 47.5, 50.0, 62.5, 72.5]


def test_the_steps_of_a_build_in_a_container_and_a_build_within() -> None:
    known = after("#5 [1/4] FROM debian\n", "#6 [2/4] RUN make\n#6 1.50 [ 50%] Building C object x.o\n")
    assert known is not None
    assert (known.percent, known.phase) == (37.5, "RUN make")


def test_stages_of_a_container_that_are_built_side_by_side_are_one_whole() -> None:
    known = after(
        "#5 [build 1/4] FROM a\n#6 [stage-1 1/6] FROM b\n", "#7 [build 3/4] RUN x\n#8 [stage-1 2/6] RUN y\n"
    )
    assert known is not None
    assert (known.percent, known.done, known.total) == (30.0, 3.0, 10.0)


def test_a_step_that_has_begun_is_not_complete() -> None:
    assert percents(["[1/4] Resolving...\n", "[2/4] Fetching...\n", "[4/4] Building...\n"]) == [
        None,
        25.0,
        75.0,
    ]


def test_what_comes_after_the_last_step_is_something_else() -> None:
    known = after("[1/2] a\n", "[2/2] b\n", "collected 9 items\n", "test_a.py . [ 10%]\n")
    assert known == Progress("pytest", 10.0, phase="tests")


# -- what the terminal is told -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\x07", "\x1b\\"])
def test_what_the_terminal_is_told_counts_most(end: str) -> None:
    known = after(bar("", 10, 100) + f"\n\x1b]9;4;1;42{end}")
    assert known == Progress("terminal", 42.0)


def test_the_terminal_is_told_that_it_is_over() -> None:
    assert after("\x1b]9;4;1;42\x07", "\x1b]9;4;0;\x07") is None
    assert after("\x1b]9;4;1;42\x07", "\x1b]9;4;3\x07") == Progress("terminal", 42.0)
    assert after("\x1b]9;4;2;50\x07") == Progress("terminal", 50.0)
    assert after("\x1b]9;4;1;142\x07") is None


# -- properties ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 500), min_size=2, max_size=30))
def test_a_source_that_grows_gives_progress_that_grows(steps: list[int]) -> None:
    values = sorted(steps)
    known = [value for value in percents(f"[{value}/500] x\n" for value in values) if value is not None]
    assert known == sorted(known)


@given(st.lists(st.integers(0, 100), max_size=30))
def test_a_bar_shows_what_was_drawn_last_but_for_small_steps_back(values: list[int]) -> None:
    known = percents(bar("x: ", value, 100) + "\n" for value in values)
    for value, percent in zip(values, known, strict=True):
        assert percent is not None
        assert value <= percent < value + 25


def test_a_state_of_another_version_is_not_used() -> None:
    recognizer = Recognizer({"version": 0, "counters": "something else"})
    assert recognizer.progress() is None
