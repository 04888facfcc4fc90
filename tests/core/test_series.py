from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.series import Row, Stat, merged, row_of, sliced, sparkline, summary

VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1e12)), min_size=1, max_size=50)


def series(*means: float | None, span_s: float = 10, begin: float = 1000.0) -> list[Row]:
    return [
        Row(begin + place * span_s, span_s, (None if mean is None else Stat(mean, mean - 1, mean + 1, 10),))
        for place, mean in enumerate(means)
    ]


def test_a_row_knows_mean_low_and_high_of_what_was_measured() -> None:
    row = row_of(1000.0, 10, [(1.0, None), (5.0, 7.0), (None, None)])
    assert row == Row(1000.0, 10, (Stat(3.0, 1.0, 5.0, 2), Stat(7.0, 7.0, 7.0, 1)))
    assert row_of(0.0, 1, [(None,)]).stats == (None,)


@given(VALUES, VALUES)
def test_merging_rows_gives_what_all_measurements_together_give(
    first: list[float | None], second: list[float | None]
) -> None:
    whole = row_of(0, 1, [(value,) for value in first + second]).stats[0]
    parts = [row_of(0, 1, [(value,) for value in part]).stats[0] for part in (first, second)]
    found = merged(parts)
    if whole is None:
        assert found is None
        return
    assert found is not None
    assert found.mean == pytest.approx(whole.mean)
    assert (found.low, found.high, found.samples) == (whole.low, whole.high, whole.samples)


def test_a_window_is_cut_into_as_many_slices_as_are_wanted() -> None:
    found = sliced(series(*range(60)), 1000, 1600, 6)
    assert [row.at for row in found] == [1000, 1100, 1200, 1300, 1400, 1500]
    assert [row.stats[0].mean for row in found if row.stats[0]] == [4.5, 14.5, 24.5, 34.5, 44.5, 54.5]
    assert found[0].stats[0] == Stat(4.5, -1, 10, 100)


def test_a_slice_is_never_shorter_than_a_row() -> None:
    assert len(sliced(series(1, 2, 3), 1000, 1030, 1000)) == 3
    assert len(sliced(series(1, span_s=3600), 1000, 2000, 60)) == 1
    assert sliced([], 0, 10, 5) == []


def test_time_in_which_nothing_was_measured_is_a_gap() -> None:
    rows = [row for row in series(1, 2, 3, 4) if row.at not in {1010, 1020}]
    assert [row.stats[0] and row.stats[0].mean for row in sliced(rows, 1000, 1040, 4)] == [1, None, None, 4]


def test_rows_outside_of_the_window_do_not_count_and_one_at_its_end_does() -> None:
    found = sliced(series(1, 2, 3), 1010, 1020, 1)
    assert [row.stats[0] and row.stats[0].mean for row in found] == [2.5]


def test_a_summary_has_the_growth_in_a_minute() -> None:
    found = summary(series(*(100 + 5 * n for n in range(30))), 0)
    assert found is not None
    assert found.growth_per_minute == pytest.approx(30)
    assert (found.low, found.high, found.mean) == (99, 246, 172.5)
    assert found.p95 == 240


def test_a_single_moment_has_no_growth_and_no_measurement_no_summary() -> None:
    found = summary(series(None, 7), 0)
    assert found is not None
    assert found.growth_per_minute is None
    assert found.p95 == 7
    assert summary(series(None, None), 0) is None
    assert summary([], 0) is None


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([5, 5, 5], "▁▁▁"),
        ([0, None, 100], "▁ █"),
        ([None, None], ""),
        ([], ""),
        ([1e-9, 2e-9], "▁█"),
    ],
)
def test_a_sparkline_reaches_from_the_least_to_the_greatest(values: list[float | None], drawn: str) -> None:
    assert sparkline(values) == drawn


@given(VALUES)
def test_a_sparkline_is_as_long_as_its_values_unless_there_are_none(values: list[float | None]) -> None:
    assert len(sparkline(values)) == (len(values) if any(value is not None for value in values) else 0)
