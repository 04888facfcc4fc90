"""Whether memory only ever grows: what is a leak, and what is none."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from watched import GB, MB

from claudine_mcp.core.history.trend import Growth, MemoryTrend, are_rising, is_steady
from claudine_mcp.core.rules.memory import reach_s

MARK_S = 10.0
Series = Callable[[float, random.Random], float]


def alarm_s(series: Series, hours: float, seed: int = 0, limit: float = 2 * GB) -> float | None:
    """When a leak would be told that reaches the limit soon enough; None: never."""
    trend, rng = MemoryTrend(), random.Random(seed)
    for number in range(1, round(hours * 3600 / MARK_S)):
        memory = series(number * MARK_S, rng)
        trend.add(number * MARK_S, memory)
        for growth in trend.growths:
            if (limit - memory) / growth.bytes_per_s <= reach_s(growth):
                return number * MARK_S
    return None


def noisy(level: float, rng: random.Random, sd: float = 0.02) -> float:
    return level * (1 + rng.gauss(0, sd))


HARMLESS: dict[str, Series] = {
    "constant": lambda _t, rng: noisy(500 * MB, rng, 0.05),
    "warm-up": lambda t, rng: noisy(1500 * MB - 1400 * MB * math.exp(-t / 900), rng),
    "single step": lambda t, rng: noisy(1200 * MB if t > 5000 else 400 * MB, rng),
    "quick sawtooth": lambda t, rng: noisy(300 * MB + 900 * MB * (t / 45 % 1), rng),
    "slow sawtooth": lambda t, rng: noisy(300 * MB + 900 * MB * (t / 1200 % 1), rng),
    "fills a cache": lambda t, rng: noisy(200 * MB + 300 * MB * min(1.0, t / 2400), rng),
    "falls": lambda t, rng: noisy(1500 * MB - 100 * MB * t / 3600, rng),
}
LEAKS: dict[str, Series] = {
    "steady": lambda t, rng: noisy(200 * MB + 10 * MB * t / 60, rng),
    "below a sawtooth": lambda t, rng: noisy(200 * MB + 10 * MB * t / 60 + 200 * MB * (t / 90 % 1), rng),
    "with workers that are replaced": lambda t, _: 200 * MB + 6 * MB * t / 60 + 300 * MB * (t / 1000 % 1),
    "in steps": lambda t, rng: noisy(200 * MB + 100 * MB * (t // 600), rng, 0.01),
    "faster and faster": lambda t, _: 200 * MB * 2 ** (t / 3000),
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("seed", range(3))
def test_harmless_series_are_no_leak(name: str, seed: int) -> None:
    assert alarm_s(HARMLESS[name], 12, seed) is None


@pytest.mark.parametrize("seed", range(5))
def test_series_that_fall_back_to_their_mean_are_no_leak(seed: int) -> None:
    state = 0.0

    def ar1(_t: float, rng: random.Random) -> float:
        nonlocal state
        state = 0.99 * state + rng.gauss(0, 20 * MB)
        return 800 * MB + state

    assert alarm_s(ar1, 24, seed) is None


@pytest.mark.parametrize("seed", range(10))
def test_random_walks_are_no_leak(seed: int) -> None:
    at = 600.0 * MB

    def walk(_t: float, rng: random.Random) -> float:
        nonlocal at
        at = min(1800 * MB, max(50 * MB, at + rng.gauss(0, 4 * MB)))
        return at

    assert alarm_s(walk, 12, seed) is None


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("seed", range(3))
def test_leaks_are_told_before_they_reach_their_limit(name: str, seed: int) -> None:
    when = alarm_s(LEAKS[name], 12, seed)
    assert when is not None
    assert LEAKS[name](when, random.Random(0)) < 2 * GB


@given(st.lists(st.floats(0, 4e9), min_size=12, max_size=16))
def test_what_grows_too_little_is_not_steady(minima: list[float]) -> None:
    if is_steady(minima):
        assert minima[-1] - minima[0] > max(50 * MB, 0.1 * minima[0])


@given(st.integers(1, 15), st.floats(1e8, 4e9), st.lists(st.floats(0, 5e6), min_size=16, max_size=16))
def test_one_step_is_never_steady_wherever_it_is(place: int, height: float, noise: list[float]) -> None:
    minima = [3e8 + (height if number >= place else 0.0) + noise[number] for number in range(16)]
    assert not is_steady(minima)


@given(st.floats(1e5, 1e9), st.floats(1e7, 4e9))
def test_a_straight_line_is_steady_if_it_rises_enough(slope: float, start: float) -> None:
    enough = max(50 * MB, 0.1 * start)
    assume(abs(11 * slope - enough) > 1)
    assert is_steady([start + slope * number for number in range(12)]) == (11 * slope > enough)


def test_valleys_must_come_regularly() -> None:
    regular = [(600.0 * n, 200 * MB + 40.0 * MB * n) for n in range(6)]
    assert are_rising(regular)
    assert not are_rising([*regular[:5], (9000.0, 800.0 * MB)])
    assert not are_rising([*regular[:3], (1800.0, 250.0 * MB), *regular[4:]])


def test_a_sawtooth_is_forgotten_when_it_no_longer_comes() -> None:
    trend = MemoryTrend()
    for number in range(1, 800):
        at = number * MARK_S
        trend.add(at, (300 + 500 * (at / 600 % 1)) * MB if at < 4000 else 400 * MB)
        if at == 4000:
            assert trend.longest_tooth_s(at) == pytest.approx(600, abs=20)
    assert trend.longest_tooth_s(8000.0) == 0


def test_a_stored_trend_goes_on_exactly_where_it_was() -> None:
    one, rng = MemoryTrend(), random.Random(5)
    other = one
    for number in range(1, 3000):
        memory = noisy(200 * MB + 0.1 * MB * number + 150 * MB * (number / 40 % 1), rng)
        one.add(number * MARK_S, memory)
        if other is not one:
            other.add(number * MARK_S, memory)
        if number % 500 == 0:
            other = MemoryTrend.from_json(json.loads(json.dumps(one.to_json())))
        assert other.growths == one.growths


def test_a_line_is_extended_further_the_longer_it_is_and_never_beyond_a_day() -> None:
    def reach(hours: float) -> float:
        return reach_s(Growth(0, GB, hours * 3600)) / 3600

    assert reach(0.2) == 0
    assert reach(1) == pytest.approx(1.5)
    assert reach(2) == pytest.approx(6)
    assert reach(30) == 24
