"""What is made of samples: ten minutes in memory, ten seconds on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from claudine_mcp.core.samples import OtherClaude, SystemSample, TreeSample
from claudine_mcp.core.series import TASK_METRICS
from claudine_mcp.registry.metrics import FILE, MACHINE, read_latest, read_series
from claudine_mcp.supervisor.recording import MOST_RAW, MOST_SUBJECTS, Raw, Recorder

RUN = "task1.1"
T0 = 1_700_000_000.0  # a multiple of ten
RSS, CPU = TASK_METRICS.index("rss_bytes"), TASK_METRICS.index("cpu_percent")


def tree(at: float, *, rss_bytes: int = 100, cpu_s: float = 0.0, pss_at: float | None = None) -> TreeSample:
    return TreeSample(at, 2, 0, 1, 3, rss_bytes, 900, cpu_s, 5, 7, 80 if pss_at else None, pss_at, fds=4)


def system(at: float) -> SystemSample:
    return SystemSample(at, 1000, 600, 0, 0, 0.5, 2.0, 50, 100, other_claude=OtherClaude(1, 30, 1))


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path, 1.0)
    yield made
    made.close()


def seconds(recorder: Recorder, first: int, until: int, run: str = RUN) -> None:
    """Take a sample a second, each with as many bytes as seconds have passed."""
    for second in range(first, until):
        sample = tree(second, rss_bytes=second, cpu_s=second / 4)
        recorder.take(T0 + second, {run: sample}, system(second))


def test_every_sample_of_ten_minutes_is_at_hand(recorder: Recorder) -> None:
    seconds(recorder, 0, 700)
    found = recorder.recent(RUN, 1000)
    assert [values[RSS] for _, values in found] == list(range(100, 700))
    assert [at for at, _ in found] == [T0 + second for second in range(100, 700)]
    assert recorder.recent(RUN, 3) == found[-3:]
    assert recorder.recent("other.1", 3) == []


def test_what_was_not_measured_stays_unknown() -> None:
    raw = Raw(2, 1.0)
    raw.add(1.0, (None, 5.0))
    assert raw.last(9) == [(1.0, (None, 5.0))]


def test_however_short_the_interval_memory_is_bounded() -> None:
    raw = Raw(1, 0.001)
    for number in range(MOST_RAW + 10):
        raw.add(float(number), (float(number),))
    found = raw.last(10**6)
    assert len(found) == MOST_RAW
    assert found[-1] == (MOST_RAW + 9.0, (MOST_RAW + 9.0,))


def test_ten_seconds_are_written_when_they_are_over(recorder: Recorder, tmp_path: Path) -> None:
    seconds(recorder, 0, 10)
    assert read_series(tmp_path, RUN, T0, T0 + 60) == []
    seconds(recorder, 10, 25)
    rows = read_series(tmp_path, RUN, T0, T0 + 60)
    assert [(each.at, each.span_s, each.stats[RSS]) for each in rows] == [
        (T0, 10, (4.5, 0.0, 9.0, 10)),
        (T0 + 10, 10, (14.5, 10.0, 19.0, 10)),
    ]
    assert read_latest(tmp_path, [RUN])[RUN].at == T0 + 20


def test_per_cent_of_a_processor_are_those_between_two_looks(recorder: Recorder) -> None:
    seconds(recorder, 0, 3)
    assert [values[CPU] for _, values in recorder.recent(RUN, 3)] == [None, 25.0, 25.0]


def test_a_run_that_is_over_is_written_to_its_end(recorder: Recorder, tmp_path: Path) -> None:
    seconds(recorder, 0, 14)
    seconds(recorder, 14, 21, run="task2.1")
    rows = read_series(tmp_path, RUN, T0, T0 + 60)
    assert [stat.samples for each in rows if (stat := each.stats[RSS])] == [10, 4]
    assert read_latest(tmp_path, [RUN])[RUN].at == T0 + 13
    assert recorder.recent(RUN, 9) == [], "and takes no memory any more"


def test_what_is_left_is_written_when_the_recorder_is_closed(recorder: Recorder, tmp_path: Path) -> None:
    seconds(recorder, 0, 5)
    recorder.close()
    (row,) = read_series(tmp_path, RUN, T0, T0 + 60)
    assert row.stats[RSS] == (2.0, 0.0, 4.0, 5)
    assert len(read_series(tmp_path, MACHINE, T0, T0 + 60)) == 1


def test_when_nothing_runs_any_more_that_is_written_at_once(recorder: Recorder, tmp_path: Path) -> None:
    seconds(recorder, 0, 4)
    recorder.rest(T0 + 4)
    (row,) = read_series(tmp_path, RUN, T0, T0 + 60)
    assert row.stats[RSS] == (1.5, 0.0, 3.0, 4)
    seconds(recorder, 5, 12, run="task2.1")
    (row,) = read_series(tmp_path, MACHINE, T0, T0 + 9)
    assert row.stats[0] == (600.0, 600.0, 600.0, 9), "the machine's ten seconds are whole"


def test_the_last_sample_tells_ages_not_times_of_a_clock_that_others_do_not_have(
    recorder: Recorder, tmp_path: Path
) -> None:
    sample = replace(tree(50.0, pss_at=38.0), wait_channels=frozenset({"futex_do_wait"}))
    recorder.take(T0, {RUN: sample}, system(50.0))
    known = read_latest(tmp_path, [RUN, MACHINE])
    last = known[RUN].sample
    assert (last["pss_bytes"], last["pss_age_s"], last["processes"]) == (80, 12.0, 2)
    assert "at" not in last
    assert known[MACHINE].sample["other_claude"] == {"processes": 1, "rss_bytes": 30, "orphans": 1}


def test_a_clock_that_is_set_back_loses_nothing(recorder: Recorder, tmp_path: Path) -> None:
    seconds(recorder, 0, 25)
    for second in range(25, 45):
        recorder.take(T0 - 3600 + second, {RUN: tree(second, rss_bytes=second)}, system(second))
    recorder.close()
    rows = read_series(tmp_path, RUN, T0 - 7200, T0 + 60)
    assert sum(stat.samples for each in rows if (stat := each.stats[RSS])) == 45


def test_without_its_file_samples_are_taken_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).mkdir()
    recorder = Recorder(tmp_path, 1.0)
    seconds(recorder, 0, 60)
    assert len(recorder.recent(RUN, 100)) == 60
    assert len([record for record in caplog.records if "out of reach" in record.message]) == 1, "said once"
    (tmp_path / FILE).rmdir()
    seconds(recorder, 60, 75)
    recorder.close()
    rows = read_series(tmp_path, RUN, T0, T0 + 100)
    assert sum(stat.samples for each in rows if (stat := each.stats[RSS])) == 75, (
        "what could not be written is, later"
    )


def test_a_run_that_is_over_is_written_when_that_can_be(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    recorder = Recorder(tmp_path, 1.0)
    seconds(recorder, 0, 14)
    seconds(recorder, 14, 31, run="task2.1")
    (tmp_path / FILE).rmdir()
    seconds(recorder, 31, 41, run="task2.1")
    recorder.close()
    rows = read_series(tmp_path, RUN, T0, T0 + 60)
    assert sum(stat.samples for each in rows if (stat := each.stats[RSS])) == 14


def test_what_cannot_be_written_takes_no_more_and_more_memory(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    recorder = Recorder(tmp_path, 1.0)
    for number in range(150):
        seconds(recorder, 10 * number, 10 * number + 2, run=f"task{number}.1")
    assert len(recorder._raw) <= MOST_SUBJECTS + 1
    recorder.close()


def test_processor_time_that_falls_is_no_percentage(recorder: Recorder) -> None:
    for second, cpu_s in enumerate((5.0, 6.0, 1.0, 1.5)):
        recorder.take(T0 + second, {RUN: tree(second, cpu_s=cpu_s)}, system(second))
    assert [values[CPU] for _, values in recorder.recent(RUN, 4)] == [None, 100.0, None, 50.0]
