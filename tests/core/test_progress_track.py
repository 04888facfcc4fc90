from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.activity import SILENT, Activity, RunningTool
from claudine_mcp.core.eta import Eta, Unknown
from claudine_mcp.core.progress.model import Progress
from claudine_mcp.core.progress.track import ProgressTrack

WALL = 1.7e9


def at(
    percent: float | None, phase: str | None = None, *, source: str = "file", of_phase: bool = False
) -> Progress:
    return Progress(source, percent, phase=phase, is_of_phase=of_phase)


def tracked(*observed: tuple[float, Progress | None]) -> ProgressTrack:
    track = ProgressTrack()
    for now, progress in observed:
        track.observe(progress, now)
    return track


STEADY = [(2.0 * n, at(1.0 * n, "building")) for n in range(21)]


# -- what others ask --------------------------------------------------------------------------------------------


def test_it_knows_since_when_nothing_has_moved() -> None:
    track = tracked((10, at(5, "a")), (20, at(6, "a")), (30, at(6, "a")))
    assert track.moved_at == 20
    track.observe(at(6, "b"), 60)
    assert track.moved_at == 60


def test_it_knows_since_when_the_phase_lasts() -> None:
    track = tracked((0, at(5, "a")), (10, at(6, "b")), (15, at(7, "b")))
    assert track.phase_since == 10
    track.observe(at(8), 20)
    assert track.phase_since is None


def test_what_a_claude_code_does_just_now_is_no_phase() -> None:
    track = tracked(*((10.0 * n, at(None, f"Bash ({n})", source="activity")) for n in range(5)))
    assert track.phase_since is None
    assert track.moved_at == 40


def test_the_rules_are_told_the_stage_and_how_far_it_is_beside_what_else_is_known() -> None:
    own = Activity(phase="tool", tools=(RunningTool("Bash (make)", 5),), stage="by its list", progress=10)
    track = tracked((0, at(40, "building")))
    assert track.activity(own) == Activity(phase="tool", tools=own.tools, stage="building", progress=40)
    track.observe(at(None, "Compiling", source="output"), 10)
    assert track.activity() == Activity(stage="Compiling", progress=None)


def test_the_rules_get_the_same_object_until_something_changes() -> None:
    track = tracked(*STEADY)
    first = track.activity()
    track.observe(STEADY[-1][1], 60)
    assert track.activity() is first
    track.observe(at(21, "building"), 62)
    assert track.activity() is not first


@pytest.mark.parametrize(
    "progress", [None, at(50, "Bash (x)", source="turns"), at(None, "x", source="activity")]
)
def test_the_rules_are_told_of_no_stage_where_there_is_none(progress: Progress | None) -> None:
    own = Activity(phase="tool")
    assert tracked((0, progress)).activity(own) is own
    assert tracked((0, progress)).activity() is SILENT


def test_nothing_is_known_of_what_says_nothing() -> None:
    track = tracked((0, None), (10, None))
    assert (track.moved_at, track.phase_since) == (None, None)
    assert track.eta(20) == Unknown("it reports no progress")
    assert track.shown(20, WALL) is None
    assert track.announcement(20) is None


def test_suspended_time_does_not_count() -> None:
    track = tracked(*STEADY)
    before = track.eta(40)
    track.observe(at(20, "building"), 40, is_suspended=True)
    assert track.eta(3600) == Unknown("it is suspended")
    track.observe(at(20, "building"), 4000)
    assert track.eta(4000) == before


# -- estimates ---------------------------------------------------------------------------------------------------


def test_progress_gives_an_estimate() -> None:
    eta = tracked(*STEADY).eta(40)
    assert isinstance(eta, Eta)
    assert eta.p50_s == pytest.approx(160)


@pytest.mark.parametrize(
    ("progress", "because"),
    [
        (at(None, "compiling", source="output"), "it says what it does, not how far it is"),
        (at(50, "x", source="turns"), "its turns say how much it may still do, not how much there is to do"),
        (at(50, "x", of_phase=True), "its progress is that of one phase, and what follows is not known"),
        (at(100, "x", of_phase=True), "what it counted is complete, and it goes on"),
    ],
)
def test_there_is_no_estimate_because(progress: Progress, because: str) -> None:
    assert tracked(*STEADY, (42, progress)).eta(43) == Unknown(because)


def test_nothing_is_estimated_beyond_a_year() -> None:
    counted = [(at, Progress("count", 0.0, done=at / 10, total=1e9)) for at in (0.0, 10.0, 20.0, 30.0, 40.0)]
    assert tracked(*counted).eta(40) == Unknown("at its pace it may take more than a year")


def test_another_source_begins_anew() -> None:
    track = tracked(*STEADY, (42, at(30, "building", source="tqdm")))
    assert isinstance(track.eta(43), Unknown)


def test_a_list_that_grows_keeps_its_pace() -> None:
    def todos(done: float, total: float) -> Progress:
        return Progress("todos", 100 * done / total, done=done, total=total)

    track = tracked(*((60.0 * n, todos(n, 10)) for n in range(5)), (300, todos(5, 20)))
    eta = track.eta(300)
    assert isinstance(eta, Eta)
    assert eta.p50_s == pytest.approx(900)


# -- announcements -----------------------------------------------------------------------------------------------


def announced(*observed: tuple[float, Progress | None]) -> list[tuple[float, float | None, str | None]]:
    track = ProgressTrack()
    events: list[tuple[float, float | None, str | None]] = []
    for now, progress in observed:
        track.observe(progress, now)
        told = track.announcement(now)
        if told is not None:
            track.announced(told, now)
            events.append((now, told.percent, told.phase))
    return events


def test_a_new_phase_and_each_ten_per_cent_are_announced() -> None:
    progress = [(20.0 * n, at(4.0 * n, "building" if n < 6 else "testing")) for n in range(11)]
    assert announced(*progress) == [
        (0, 0, "building"),
        (60, 12, "building"),
        (100, 20, "building"),
        (120, 24, "testing"),
        (160, 32, "testing"),
        (200, 40, "testing"),
    ]


def test_no_more_than_one_announcement_in_ten_seconds_and_the_last_is_not_lost() -> None:
    assert announced(*((0.5 * n, at(min(5.0 * n, 95), f"p{min(n, 19)}")) for n in range(60))) == [
        (0, 0, "p0"),
        (10, 95, "p19"),
    ]


def test_that_a_percentage_is_known_is_no_news_until_it_is_some() -> None:
    assert announced((0, at(0)), (10, at(9)), (20, at(11))) == [(20, 11, None)]


@pytest.mark.parametrize("source", ["turns", "activity"])
def test_what_a_claude_code_does_without_a_list_is_not_announced(source: str) -> None:
    assert announced(*((20.0 * n, at(10.0 * n, f"Bash ({n})", source=source)) for n in range(5))) == []


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 100), st.sampled_from("abc")), max_size=60))
def test_announcements_are_never_closer_than_ten_seconds(steps: list[tuple[float, float, str]]) -> None:
    now, observed = 0.0, list[tuple[float, Progress]]()
    for passed_s, percent, phase in steps:
        now += passed_s
        observed.append((now, at(percent, phase)))
    times = [when for when, _, _ in announced(*observed)]
    assert all(later - earlier >= 10 for earlier, later in pairwise(times))


# -- what is shown -----------------------------------------------------------------------------------------------


def test_what_is_shown_has_moments_of_the_wall_clock() -> None:
    track = tracked(*STEADY)
    shown = track.shown(41, WALL)
    assert shown is not None
    eta = shown.pop("eta")
    assert shown == {
        "source": "file",
        "percent": 20.0,
        "phase": "building",
        "movedAt": WALL - 1,
        "phaseSince": WALL - 41,
    }
    assert eta["p50At"] == pytest.approx(WALL + 159)
    assert eta["p90At"] > eta["p50At"]


def test_it_is_shown_anew_only_when_that_tells_something() -> None:
    track = ProgressTrack()
    shown = 0
    last = None
    for n in range(3000):
        track.observe(at(0.01 * n, "building"), 2.0 * n)
        now = track.shown(2.0 * n, WALL + 2 * n)
        shown += now is not last
        last = now
    assert 6000 / 30 <= shown <= 6000 / 30 * 2, "every half a minute, and when the estimate changes"
    before = track.shown(6000, WALL)
    assert track.shown(6001, WALL) is before
    track.observe(at(30, "testing"), 6002)
    assert track.shown(6002, WALL) is not before


def test_a_stand_still_is_shown_ever_more_seldom() -> None:
    track = tracked(*STEADY)
    shown = [track.shown(40.0 + n, WALL + n) for n in range(36_000)]
    changes = [later for earlier, later in pairwise(shown) if later is not earlier]
    assert 5 < len(changes) < 200
    assert changes[-1] is not None
    assert changes[-1]["eta"]["p50At"] > WALL + 36_000


# -- kept ----------------------------------------------------------------------------------------------------------


def test_a_track_is_kept_whole() -> None:
    track = tracked(*STEADY)
    told = track.announcement(40)
    assert told is not None
    track.announced(told, 40)
    again = ProgressTrack(json.loads(json.dumps(track.to_json())))
    for each in (track, again):
        each.observe(at(21, "building"), 42)
    assert again.to_json() == track.to_json()
    assert again.eta(43) == track.eta(43)
    assert again.announcement(43) is None
    assert again.shown(43, WALL) == track.shown(43, WALL)


def test_a_track_of_another_version_is_not_used() -> None:
    assert ProgressTrack({"version": 0, "progress": "something else"}).progress is None
