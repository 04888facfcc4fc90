from __future__ import annotations

import json
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.eta import LEAST_RUNS, Eta, Pace, PastRun, Unknown, from_history

DAY_S = 86_400.0


def paced(*steps: tuple[float, float]) -> Pace:
    pace = Pace()
    for done, at in steps:
        pace.advance(done, at)
    return pace


def known(eta: Eta | Unknown) -> Eta:
    assert isinstance(eta, Eta)
    return eta


# -- by its own progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "because"),
    [
        ([], "it has not advanced since its progress was first seen"),
        ([(0, 0)], "it has not advanced since its progress was first seen"),
        ([(0, 0), (1, 2)], "it has advanced only once since its progress was first seen"),
        ([(0, 0), (1, 2), (2, 4)], "it has advanced only 2 times since its progress was first seen"),
        ([(9, 0), (9, 2), (9, 4), (9, 6)], "it has not advanced since its progress was first seen"),
    ],
)
def test_too_few_steps_give_no_estimate(steps: list[tuple[float, float]], because: str) -> None:
    assert paced(*steps).eta(100, 10) == Unknown(because)


def test_a_steady_pace_gives_what_is_left() -> None:
    eta = known(paced(*((n, 2.0 * n) for n in range(11))).eta(100, 20))
    assert eta.p50_s == pytest.approx(180)
    assert 180 < eta.p90_s < 250


def test_what_has_passed_since_the_last_step_is_taken_off() -> None:
    pace = paced(*((n, 10.0 * n) for n in range(11)))
    assert known(pace.eta(100, 107)).p50_s == pytest.approx(893)


def test_a_stand_still_makes_it_later_with_every_second() -> None:
    pace = paced(*((n, 2.0 * n) for n in range(11)))
    left = [known(pace.eta(100, 20 + waited)).p50_s for waited in (10, 100, 1000)]
    assert left == sorted(left)
    assert left[-1] > 1000


def test_a_newer_pace_counts_more_and_the_change_makes_it_less_certain() -> None:
    steady = paced(*((n, 2.0 * n) for n in range(21)))
    slower = paced(*((n, 2.0 * n) for n in range(11)), *((10 + n, 20 + 8.0 * n) for n in range(1, 11)))
    before, after = known(steady.eta(100, 40)), known(slower.eta(100, 100))
    assert after.p50_s > 3 * before.p50_s
    assert after.p90_s / after.p50_s > before.p90_s / before.p50_s


def test_less_than_before_is_another_beginning() -> None:
    pace = paced(*((n, 2.0 * n) for n in range(11)), (3, 30))
    assert isinstance(pace.eta(100, 30), Unknown)


def test_complete_is_nothing_left() -> None:
    assert paced(*((n, 2.0 * n) for n in range(11))).eta(10, 20) == Eta(0, 0)


def test_a_pace_is_kept_whole() -> None:
    pace = paced(*((n**1.5, 2.0 * n) for n in range(11)))
    again = Pace(json.loads(json.dumps(pace.to_json())))
    for each in (pace, again):
        each.advance(40, 30)
    assert again.eta(100, 31) == pace.eta(100, 31)


Steps = Callable[[random.Random, int], float]
SOURCES: dict[str, tuple[Steps, float, float]] = {
    # how long each step takes, and in how many cases of 100 p50 and p90 must not be passed
    "steady": (lambda _random, _n: 1.0, 0.30, 0.97),
    "noisy": (lambda random, _n: math.exp(random.gauss(0, 0.3)), 0.30, 0.95),
    "very noisy": (lambda random, _n: math.exp(random.gauss(0, 1)), 0.30, 0.85),
    "slower and slower": (lambda _random, n: 1 + n / 300, 0.0, 0.5),
    "faster and faster": (lambda _random, n: 2 - n / 300, 0.9, 0.97),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_quantiles_hold_for_simulated_tasks(name: str) -> None:
    step_s, least_p50, least_p90 = SOURCES[name]
    dice = random.Random(name)  # the same cases in every run
    within: list[tuple[bool, bool]] = []
    for _ in range(60):
        ends: list[float] = []
        now = 0.0
        for n in range(300):
            now += step_s(dice, n)
            ends.append(now)
        for mark in (0.1, 0.5, 0.9):
            pace, at, done = Pace(), 0.0, 0
            pace.advance(0, 0)
            while done < mark * 300:
                at += 2
                done = sum(end <= at for end in ends)
                pace.advance(done, at)
            if done < 300:
                eta = known(pace.eta(300, at))
                within.append((ends[-1] - at <= eta.p50_s, ends[-1] - at <= eta.p90_s))
    p50, p90 = (sum(item[each] for item in within) / len(within) for each in (0, 1))
    assert p50 >= least_p50
    assert p90 >= least_p90


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.001, 1000)), max_size=40), st.floats(0, 1e6))
def test_an_estimate_is_two_numbers_in_order(steps: list[tuple[float, float]], later_s: float) -> None:
    pace, at = Pace(), 0.0
    for done, took_s in steps:
        at += took_s
        pace.advance(done, at)
    eta = pace.eta(100, at + later_s)
    if isinstance(eta, Eta):
        assert 0 <= eta.p50_s <= eta.p90_s < math.inf
    else:
        assert eta.because


# -- by its like ----------------------------------------------------------------------------------------------

TEN = [PastRun(60.0 * n) for n in range(1, 11)]


def test_the_past_of_its_like_gives_quantiles() -> None:
    assert from_history(TEN, 0, "make") == Eta(300, 540)


def test_what_took_less_than_it_has_taken_does_not_count() -> None:
    assert from_history(TEN, 330, "make") == Eta(480 - 330, 600 - 330)


def test_a_run_that_was_ended_early_would_have_taken_longer() -> None:
    # Kaplan and Meier by hand: of 4 at risk one ends at 10 (3/4), one is lost at 20, of 2 one ends at 30 (3/8).
    runs = [PastRun(10), PastRun(20, is_censored=True), PastRun(30), PastRun(40)]
    assert from_history(runs, 0, "make") == Eta(30, 40)
    assert from_history([*runs, PastRun(50, is_censored=True)], 0, "make") == Unknown(
        "too many of the earlier runs of make were ended before they were over"
    )


@pytest.mark.parametrize(
    ("runs", "age_s", "because"),
    [
        ([], 0, "0 earlier runs of make came to an end, and it takes 3 to tell"),
        ([PastRun(5)], 0, "1 earlier run of make came to an end, and it takes 3 to tell"),
        (
            [PastRun(5), PastRun(6), PastRun(7, is_censored=True)],
            0,
            "2 earlier runs of make came to an end, and it takes 3 to tell",
        ),
        (
            [PastRun(5), PastRun(6), PastRun(70), PastRun(80)],
            10,
            "it has already taken longer than 2 of the 4 earlier runs of make, of which the longest took 1 min 20 s",
        ),
        (
            [PastRun(5), PastRun(6), PastRun(7)],
            10,
            "it has already taken longer than 3 of the 3 earlier runs of make, of which the longest took 7 s",
        ),
    ],
)
def test_there_is_no_estimate_because(runs: list[PastRun], age_s: float, because: str) -> None:
    assert from_history(runs, age_s, "make") == Unknown(because)


RUNS = st.lists(st.builds(PastRun, st.floats(0, DAY_S), st.booleans()), max_size=30)


@given(RUNS, st.floats(0, DAY_S))
def test_an_estimate_by_its_like_is_within_what_they_took(runs: list[PastRun], age_s: float) -> None:
    eta = from_history(runs, age_s, "make")
    if isinstance(eta, Eta):
        ends = [run.seconds for run in runs if not run.is_censored and run.seconds > age_s]
        assert len(ends) >= LEAST_RUNS
        assert 0 < eta.p50_s <= eta.p90_s
        assert any(eta.p90_s == pytest.approx(end - age_s) for end in ends)


@given(st.lists(st.floats(1, DAY_S), min_size=3, max_size=30), st.floats(2, 10))
def test_a_run_that_is_cut_short_never_makes_it_sooner(ends: list[float], factor: float) -> None:
    runs = [PastRun(end) for end in ends]
    cut = [*runs[:-1], PastRun(ends[-1] / factor, is_censored=True)]
    whole, shortened = (
        from_history(runs, 0, "make"),
        from_history([*runs[:-1], PastRun(ends[-1] / factor)], 0, "make"),
    )
    censored = from_history(cut, 0, "make")
    if isinstance(censored, Eta):
        assert censored.p50_s >= known(shortened).p50_s
        assert isinstance(whole, Eta)


DURATIONS: dict[str, Callable[[random.Random], float]] = {
    "even": lambda random: random.uniform(100, 200),
    "lognormal": lambda random: 600 * math.exp(random.gauss(0, 0.5)),
    "heavy tail": lambda random: 60 * random.paretovariate(1.5),
    "quick from a cache, or slow": lambda random: random.choice((20, 900)) * random.uniform(0.9, 1.1),
}


@pytest.mark.parametrize("cancelled_share", [0.0, 0.2])
@pytest.mark.parametrize("name", DURATIONS)
def test_the_quantiles_of_its_like_hold_for_simulated_runs(name: str, cancelled_share: float) -> None:
    dice, draw = random.Random(name), DURATIONS[name]  # the same cases in every run
    within: list[tuple[bool, bool]] = []
    for _ in range(1500):
        past = [PastRun(draw(dice)) for _ in range(20)]
        past = [
            PastRun(run.seconds * dice.random(), is_censored=True) if dice.random() < cancelled_share else run
            for run in past
        ]
        takes_s = draw(dice)
        age_s = takes_s * dice.choice((0.0, 0.3, 0.8))
        eta = from_history(past, age_s, "make")
        if isinstance(eta, Eta):
            within.append((takes_s - age_s <= eta.p50_s, takes_s - age_s <= eta.p90_s))
    assert len(within) > 1350, "nearly all get an estimate"
    p50, p90 = (sum(item[each] for item in within) / len(within) for each in (0, 1))
    assert 0.45 <= p50 <= 0.70
    assert 0.85 <= p90 <= 0.95


def test_a_step_in_no_time_at_all_is_no_error() -> None:
    pace = Pace()
    pace.advance(0.0, 0.0)
    pace.advance(2.0, 5e-324)
