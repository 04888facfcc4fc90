"""`metrics.db`: what is kept of the series, for how long, and what becomes of a file that cannot be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from claudine_mcp.core.series import MACHINE_METRICS, TASK_METRICS, Row, Stat
from claudine_mcp.registry.metrics import (
    FILE,
    MACHINE,
    Latest,
    MetricsError,
    MetricsStore,
    read_latest,
    read_series,
)

HOUR_S, DAY_S = 3600, 86_400
T0 = 1_700_000_000 // DAY_S * DAY_S
RUN = "task1.1"


def row(at: float, mean: float, low: float, high: float, samples: int = 10) -> Row:
    """What ten seconds come to; every metric is the same but the second, which was not measured."""
    stat = Stat(mean, low, high, samples)
    return Row(at, 10, tuple(None if place == 1 else stat for place in range(len(TASK_METRICS))))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricsStore]:
    made = MetricsStore(tmp_path)
    yield made
    made.close()


def keep(store: MetricsStore, *rows: Row, run: str = RUN) -> None:
    latest = Latest(rows[-1].at, {"rss_bytes": 1})
    store.write([(run, each) for each in rows], [], [(run, latest)])


def test_what_was_stored_is_given_by_window_oldest_first(store: MetricsStore, tmp_path: Path) -> None:
    rows = [row(T0 + 10 * place, place, place - 1, place + 1) for place in range(6)]
    keep(store, *reversed(rows))
    assert read_series(tmp_path, RUN, T0, T0 + 60) == rows
    assert read_series(tmp_path, RUN, T0 + 15, T0 + 30) == rows[1:4], "one that reaches into it, too"
    assert read_series(tmp_path, "other.1", T0, T0 + 60) == []


def test_the_last_sample_of_each_is_known_and_replaced(store: MetricsStore, tmp_path: Path) -> None:
    store.write([], [], [(RUN, Latest(1.0, {"fds": 3})), (MACHINE, Latest(1.5, {"load": 0.5}))])
    store.write([], [], [(RUN, Latest(2.0, {"fds": None}))])
    found = read_latest(tmp_path, [RUN, MACHINE, "unknown.1"])
    assert found == {RUN: Latest(2.0, {"fds": None}), MACHINE: Latest(1.5, {"load": 0.5})}


def test_the_machine_has_series_of_its_own(store: MetricsStore, tmp_path: Path) -> None:
    stats = tuple(Stat(float(place), 0.0, 9.0, 10) for place in range(len(MACHINE_METRICS)))
    store.write([], [Row(T0, 10, stats)], [])
    assert read_series(tmp_path, MACHINE, T0, T0) == [Row(T0, 10, stats)]


def test_after_a_day_hours_are_left_with_their_means_and_extremes(
    store: MetricsStore, tmp_path: Path
) -> None:
    old = [row(T0 + 10, 10, 5, 20, samples=30), row(T0 + 20, 50, 30, 70, samples=10)]
    second = row(T0 + HOUR_S, 7, 7, 7)
    new = row(T0 + 2 * HOUR_S + 10, 1, 1, 1)
    keep(store, *old, second, new)
    store.tidy(T0 + DAY_S + 2 * HOUR_S + 5, 7 * DAY_S, {"task1"})
    found = read_series(tmp_path, RUN, T0, T0 + DAY_S)
    assert [(each.at, each.span_s) for each in found] == [
        (T0, HOUR_S),
        (T0 + HOUR_S, HOUR_S),
        (new.at, 10),
    ]
    assert found[0].stats[0] == Stat(20.0, 5.0, 70.0, 40), "a mean of all samples, not of the means"
    assert found[0].stats[1] is None
    assert found[1].stats[0] == second.stats[0]
    assert found[2] == new


def test_tidying_again_changes_nothing(store: MetricsStore, tmp_path: Path) -> None:
    keep(store, *(row(T0 + 10 * place, place, place, place) for place in range(500)))
    store.tidy(T0 + DAY_S + HOUR_S, 7 * DAY_S, {"task1"})
    once = read_series(tmp_path, RUN, T0, T0 + DAY_S)
    store.tidy(T0 + DAY_S + HOUR_S, 7 * DAY_S, {"task1"})
    assert read_series(tmp_path, RUN, T0, T0 + DAY_S) == once
    assert {each.span_s for each in once} == {10, HOUR_S}


def test_what_is_older_than_wanted_goes(store: MetricsStore, tmp_path: Path) -> None:
    keep(store, row(T0, 1, 1, 1), row(T0 + 5 * DAY_S, 2, 2, 2))
    keep(store, row(T0, 3, 3, 3), run="task2.1")
    store.tidy(T0 + 5 * DAY_S + 60, 3 * DAY_S, {"task1", "task2"})
    assert [each.at for each in read_series(tmp_path, RUN, T0, T0 + 6 * DAY_S)] == [T0 + 5 * DAY_S]
    assert read_series(tmp_path, "task2.1", T0, T0 + 6 * DAY_S) == []
    assert set(read_latest(tmp_path, [RUN, "task2.1"])) == {RUN}


def test_the_series_of_tasks_that_were_removed_go(store: MetricsStore, tmp_path: Path) -> None:
    keep(store, row(T0, 1, 1, 1))
    keep(store, row(T0, 1, 1, 1), run="removed.2")
    store.tidy(T0 + 60, 7 * DAY_S, {"task1"})
    assert read_series(tmp_path, "removed.2", T0, T0 + 60) == []
    assert read_series(tmp_path, RUN, T0, T0 + 60) != []
    assert set(read_latest(tmp_path, [RUN, "removed.2"])) == {RUN}


def test_the_file_is_nobody_elses(store: MetricsStore, tmp_path: Path) -> None:
    keep(store, row(T0, 1, 1, 1))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_replaced_and_its_readers_are_told(store: MetricsStore, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 1000)
    with pytest.raises(MetricsError, match=r"metrics\.db: the samples are out of reach"):
        read_series(tmp_path, RUN, T0, T0)
    keep(store, row(T0, 1, 1, 1))
    assert len(read_series(tmp_path, RUN, T0, T0)) == 1


def test_a_file_that_is_damaged_while_it_is_open_is_replaced(store: MetricsStore, tmp_path: Path) -> None:
    keep(store, *(row(T0 + 10 * place, 1, 1, 1) for place in range(1000)))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / FILE).open("r+b") as file:
        file.write(b"\xff" * 20_000)
    for attempt in range(3):
        try:
            keep(store, row(T0 + 20_000 + attempt, 1, 1, 1))
            break
        except MetricsError:
            continue
    assert len(read_series(tmp_path, RUN, T0, T0 + 30_000)) == 1


def test_a_file_of_another_version_is_replaced(store: MetricsStore, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.executescript("CREATE TABLE latest (x); PRAGMA user_version = 99;")
    with pytest.raises(MetricsError, match="its version is 99, not 1"):
        read_latest(tmp_path, [RUN])
    keep(store, row(T0, 1, 1, 1))
    assert len(read_series(tmp_path, RUN, T0, T0)) == 1


def test_without_a_file_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(MetricsError, match="no samples are kept yet"):
        read_series(tmp_path, RUN, T0, T0)
    assert not (tmp_path / FILE).exists(), "reading makes none"


def test_readers_are_served_while_the_writer_is_at_it(store: MetricsStore, tmp_path: Path) -> None:
    keep(store, row(T0, 1, 1, 1))
    with store._transaction() as connection:
        connection.execute("DELETE FROM latest")
        assert set(read_latest(tmp_path, [RUN])) == {RUN}


def test_a_directory_that_cannot_be_written_is_said_and_kept_as_it_is(tmp_path: Path) -> None:
    store = MetricsStore(tmp_path / "missing")
    with pytest.raises(MetricsError, match="unable to open"):
        keep(store, row(T0, 1, 1, 1))
    store.close()
