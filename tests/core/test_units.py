"""Durations, sizes and times: what is read, what is refused, and how they are shown."""

from __future__ import annotations

import contextlib
import math
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.units import (
    MAX_DURATION_MS,
    MAX_SIZE_BYTES,
    describe,
    format_time,
    human_duration,
    human_size,
    parse_duration_ms,
    parse_size_bytes,
    parse_time,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        (300_000, 300_000),
        (1000, 1000),
        (1500.4, 1500),
        ("300000", 300_000),
        ("250ms", 250),
        ("30s", 30_000),
        ("10m", 600_000),
        ("10 min", 600_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1.5h", 5_400_000),
        (" 5s ", 5000),
        ("0.1s", 100),
        (MAX_DURATION_MS, MAX_DURATION_MS),
    ],
)
def test_a_duration_is_read_into_milliseconds(written: object, ms: int) -> None:
    assert parse_duration_ms(written, "timeout") == ms


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (-1, "-1 is negative"),
        ("-5s", '"-5s" is negative'),
        (0, "0 is too short; it must be more than zero"),
        ("0s", "too short"),
        ("0.0001s", "too short"),
        (math.nan, "nan is not a number"),
        (math.inf, "inf is not a number"),
        (True, "true cannot be understood"),
        (None, "null cannot be understood"),
        ([5], "a list cannot be understood"),
        ({}, "an object cannot be understood"),
        ("", '"" cannot be understood'),
        ("soon", '"soon" cannot be understood'),
        ("5 parsecs", 'unknown unit, "parsecs"'),
        ("10M", 'unknown unit, "M"'),
        ("1e9s", "cannot be understood"),
        ("1h30m", "cannot be understood"),
        ("٣s", "cannot be understood"),
        ("9" * 40, "cannot be understood"),
        ("3651d", "more than ten years"),
        (10**400, "a number beyond 10^18 is more than ten years"),
        (sys.float_info.max, "more than ten years"),
    ],
)
def test_what_is_no_sensible_duration_is_refused_by_name(written: object, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_duration_ms(written, "limits.killGrace")
    assert caught.value.field == "limits.killGrace"
    assert said in caught.value.problem
    assert '"30s"' in caught.value.right


def test_zero_is_a_duration_where_it_makes_sense() -> None:
    assert parse_duration_ms(0, "killGrace", minimum=0) == 0
    assert parse_duration_ms("0s", "killGrace", minimum=0) == 0


def test_a_minimum_is_named_when_it_is_not_reached() -> None:
    with pytest.raises(InvalidInput, match="must be at least 100 ms"):
        parse_duration_ms("99ms", "sampleInterval", minimum=100)


@pytest.mark.parametrize("written", [300, "300", 300.0, 1, 999, 0.5])
def test_a_bare_number_that_meant_seconds_is_refused(written: object) -> None:
    with pytest.raises(InvalidInput, match="milliseconds") as caught:
        parse_duration_ms(written, "timeout")
    assert "Did you mean" in caught.value.right


def test_the_refusal_of_a_bare_number_names_both_meanings() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_duration_ms(300, "timeout")
    assert str(caught.value) == (
        'timeout: 300 means 300 milliseconds. Did you mean "300s" or 300000? '
        'If it is milliseconds, write "300ms".'
    )
    with pytest.raises(InvalidInput, match='"14d" or 1209600000'):
        parse_duration_ms(14, "retention.tasks", likely_unit="d")


def test_a_bare_number_is_taken_at_its_word_when_nobody_is_suspicious() -> None:
    assert parse_duration_ms(300, "timeout", suspicious=False) == 300


@given(st.integers(1, MAX_DURATION_MS))
def test_milliseconds_with_their_unit_come_back_as_they_are(ms: int) -> None:
    assert parse_duration_ms(f"{ms}ms", "x") == ms
    assert parse_duration_ms(ms, "x", suspicious=False) == ms


@given(anything)
def test_any_value_is_a_duration_within_bounds_or_refused(value: object) -> None:
    with contextlib.suppress(InvalidInput):
        assert 1 <= parse_duration_ms(value, "x") <= MAX_DURATION_MS


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1, 1),
        (2_000_000_000, 2 * 10**9),
        (2e9, 2 * 10**9),
        ("2000000000", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("2gb", 2 * 10**9),
        ("2 GB", 2 * 10**9),
        ("1.5GB", 1_500_000_000),
        ("512MiB", 512 * 2**20),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("1TB", 10**12),
        ("1TiB", 2**40),
        ("1GiB", 2**30),
        ("12B", 12),
    ],
)
def test_a_size_is_read_into_bytes(written: object, size: int) -> None:
    assert parse_size_bytes(written, "maxMemory") == size


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (-1, "negative"),
        ("-2GB", "negative"),
        (0, "too small; it must be more than zero"),
        (1.5, "not a whole number of bytes"),
        ("1.5", "not a whole number of bytes"),
        (math.nan, "nan"),
        (True, "cannot be understood"),
        (None, "cannot be understood"),
        (["2GB"], "a list"),
        ("2G", 'unknown unit, "G"'),
        ("lots", "cannot be understood"),
        ("2000000TB", "more than an exabyte"),
        (sys.float_info.max, "more than an exabyte"),
    ],
)
def test_what_is_no_sensible_size_is_refused_by_name(written: object, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_size_bytes(written, "minMemory")
    assert caught.value.field == "minMemory"
    assert said in caught.value.problem
    assert '"2GB"' in caught.value.right


def test_a_number_that_lost_its_unit_is_shown_for_what_it_is() -> None:
    with pytest.raises(InvalidInput, match=re.escape("2048 (2 kB) is too small; it must be at least 1 MB")):
        parse_size_bytes(2048, "minMemory", minimum=10**6)


@given(anything)
def test_any_value_is_a_size_within_bounds_or_refused(value: object) -> None:
    with contextlib.suppress(InvalidInput):
        assert 1 <= parse_size_bytes(value, "x") <= MAX_SIZE_BYTES


@pytest.mark.parametrize(
    ("written", "epoch_s"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-01-31T09:30:00Z", 1769851800.0),
        ("2026-01-31T10:30:00+01:00", 1769851800.0),
        ("2026-01-31t04:00:00-05:30", 1769851800.0),
        ("2026-01-31 09:30:00z", 1769851800.0),
        ("2026-01-31T09:30:00.25Z", 1769851800.25),
        ("2026-01-31T09:30:00.123456789Z", pytest.approx(1769851800.123456789, abs=1e-6)),
        ("1969-12-31T23:59:59.5Z", -0.5),
        ("2016-12-31T23:59:60Z", 1483228800.0),
        ("0001-01-01T00:00:00+23:59", -62135683140.0),
    ],
)
def test_a_time_is_read_into_seconds(written: str, epoch_s: float) -> None:
    assert parse_time(written, "since") == epoch_s


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026-01-31T09:30:00", "has no time zone"),
        ("2026-02-30T09:30:00Z", "is not a time"),
        ("2026-01-31T25:30:00Z", "is not a time"),
        ("2026-01-31T09:30:61Z", "is not a time"),
        ("2026-01-31T09:30:00+24:00", "within 23:59"),
        ("2026-01-31", "is not a time"),
        ("20260131T093000Z", "is not a time"),
        ("٢026-01-31T09:30:00Z", "is not a time"),
        ("yesterday", "is not a time"),
        (1769851800, "is not a time"),
        (None, "is not a time"),
    ],
)
def test_what_is_no_time_is_refused_by_name(written: object, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_time(written, "notBefore")
    assert caught.value.field == "notBefore"
    assert said in caught.value.problem
    assert "2026-01-31T09:30:00Z" in caught.value.right


@given(anything | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z"))
def test_any_value_is_a_time_or_refused(value: object) -> None:
    with contextlib.suppress(InvalidInput):
        assert math.isfinite(parse_time(value, "x"))


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_time_survives_being_written_and_read_to_the_millisecond(ms: int) -> None:
    written = format_time(ms / 1000)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written)
    assert round(parse_time(written, "x") * 1000) == ms


@pytest.mark.parametrize("epoch_s", [math.nan, math.inf, 1e18, -1e12])
def test_a_time_that_no_calendar_has_is_not_written(epoch_s: float) -> None:
    with pytest.raises(InvalidInput, match="years 1 to 9999"):
        format_time(epoch_s)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.045, "45 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (3.2, "3.2 s"),
        (3.0, "3 s"),
        (9.96, "10 s"),
        (45.4, "45 s"),
        (59.7, "1 min"),
        (372, "6 min 12 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (7530, "2 h 6 min"),
        (86_399, "1 d"),
        (100_800, "1 d 4 h"),
        (-3.2, "-3.2 s"),
        (-0.0001, "0 ms"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_a_duration_is_shown_for_a_person(seconds: float, shown: str) -> None:
    assert human_duration(seconds) == shown


@given(st.floats(0, 200_000))
def test_a_shown_duration_has_at_most_two_units_none_of_them_full(seconds: float) -> None:
    amounts = {
        unit: float(amount) for amount, unit in re.findall(r"([0-9.]+) ([a-z]+)", human_duration(seconds))
    }
    assert 1 <= len(amounts) <= 2
    full = {"ms": 1000, "s": 60, "min": 60, "h": 24, "d": math.inf}
    assert all(amount < full[unit] for unit, amount in amounts.items())


@given(st.floats())
def test_showing_a_number_never_fails(number: float) -> None:
    assert human_duration(number)
    assert human_size(number)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1440, "1.4 kB"),
        (999_600, "1 MB"),
        (99_960_000, "100 MB"),
        (250_000_000, "250 MB"),
        (1_440_000_000, "1.4 GB"),
        (5 * 10**12, "5 TB"),
        (10**18, "1000000 TB"),
        (-3_000_000, "-3 MB"),
        (-0.2, "0 B"),
        (math.nan, "unknown"),
    ],
)
def test_a_size_is_shown_for_a_person(size: float, shown: str) -> None:
    assert human_size(size) == shown


@given(st.integers(1, 10**15))
def test_a_shown_size_reads_back_to_within_its_rounding(size: int) -> None:
    assert parse_size_bytes(human_size(size), "x") == pytest.approx(size, rel=0.05)


@given(anything)
def test_an_error_shows_a_value_shortly_and_harmlessly(value: object) -> None:
    shown = describe(value)
    assert shown.isprintable()
    assert len(shown) <= 62 * len(r"\U0010ffff")


def test_an_error_shows_no_terminal_escape() -> None:
    assert describe("a\x1b[31m\ud800") == r'"a\x1b[31m\ud800"'
