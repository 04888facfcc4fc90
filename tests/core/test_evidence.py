from __future__ import annotations

import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.evidence import Evidence, ExitRecord, Verdict, judge_exit, recover
from claudine_mcp.core.states import TRANSITIONS, Outcome, State, Trigger

CLEAN = ExitRecord("keeper", 0, None, 1.0)
BEFORE = Evidence(
    keeper_alive=True,
    started=False,
    start_error=None,
    began=False,
    exit=None,
    gone=False,
    main_alive=False,
    same_boot=None,
)
"""A keeper has just been started."""
STARTED = replace(BEFORE, started=True, main_alive=True, same_boot=True)
RUNNING = replace(STARTED, began=True)
DEAD = {"keeper_alive": False, "main_alive": False}

records = st.builds(
    ExitRecord,
    source=st.sampled_from(["keeper", "waitpid", "pidfd", "unknown"]),
    code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    at=st.floats(0, 1e10),
    exec_error=st.none() | st.just("cannot run 'x'"),
    oom_kills=st.integers(0, 3),
    killed_for_memory=st.booleans(),
)
evidence = st.builds(
    Evidence,
    keeper_alive=st.booleans(),
    started=st.booleans(),
    start_error=st.none() | st.just("no such file"),
    began=st.booleans(),
    exit=st.none() | records,
    gone=st.booleans(),
    main_alive=st.booleans(),
    same_boot=st.none() | st.booleans(),
)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (BEFORE, Verdict.WAIT),
        (replace(BEFORE, keeper_alive=False), Verdict.NEVER_BEGAN),
        (replace(BEFORE, start_error="no such program"), Verdict.SPAWN_FAILED),
        (replace(BEFORE, start_error="no such program", keeper_alive=False), Verdict.SPAWN_FAILED),
        (STARTED, Verdict.READY),
        (replace(STARTED, keeper_alive=False), Verdict.NEVER_BEGAN),
        (replace(STARTED, **DEAD, same_boot=False), Verdict.NEVER_BEGAN),
        (RUNNING, Verdict.RUNNING),
        (replace(RUNNING, main_alive=False), Verdict.RUNNING),
        (replace(RUNNING, keeper_alive=False), Verdict.UNSUPERVISED),
        (replace(RUNNING, **DEAD), Verdict.VANISHED),
        (replace(RUNNING, **DEAD, same_boot=False), Verdict.VANISHED),
        (replace(RUNNING, same_boot=False), Verdict.VANISHED),
        (replace(RUNNING, exit=CLEAN), Verdict.EXITED),
        (replace(RUNNING, exit=CLEAN, keeper_alive=False), Verdict.EXITED),
        (replace(RUNNING, exit=CLEAN, **DEAD, same_boot=False), Verdict.EXITED),
        (replace(RUNNING, exit=CLEAN, gone=True, **DEAD), Verdict.EXITED),
    ],
)
def test_recovery_reads_the_evidence_like_this(found: Evidence, verdict: Verdict) -> None:
    assert recover(found) is verdict


@given(evidence)
def test_recovery_gives_the_same_answer_when_asked_twice(found: Evidence) -> None:
    assert recover(found) is recover(found)


@given(evidence)
def test_what_has_not_begun_is_never_taken_for_running(found: Evidence) -> None:
    verdict = recover(replace(found, began=False, exit=None))
    assert verdict in {Verdict.WAIT, Verdict.READY, Verdict.SPAWN_FAILED, Verdict.NEVER_BEGAN}


@given(evidence)
def test_what_has_begun_is_never_put_back_into_the_queue(found: Evidence) -> None:
    assert recover(replace(found, began=True)) not in {
        Verdict.NEVER_BEGAN,
        Verdict.SPAWN_FAILED,
        Verdict.READY,
    }


@given(evidence)
def test_without_an_exit_record_nothing_has_exited(found: Evidence) -> None:
    assert (recover(found) is Verdict.EXITED) == (found.exit is not None)


@given(evidence)
def test_nothing_is_given_up_while_a_keeper_or_its_process_lives(found: Evidence) -> None:
    here = replace(found, exit=None, same_boot=True, began=True)
    assert (recover(here) is Verdict.VANISHED) == (not here.keeper_alive and not here.main_alive)


VERDICT_STEP = {
    Verdict.SPAWN_FAILED: Trigger.SPAWN_FAILED,
    Verdict.NEVER_BEGAN: Trigger.NEVER_BEGAN,
    Verdict.EXITED: Trigger.EXITED,
    Verdict.VANISHED: Trigger.VANISHED,
}


@pytest.mark.parametrize("verdict", [Verdict.NEVER_BEGAN, Verdict.EXITED, Verdict.VANISHED])
def test_a_running_task_can_take_the_step_that_follows_from_every_verdict(verdict: Verdict) -> None:
    assert (State.RUNNING, VERDICT_STEP[verdict]) in TRANSITIONS


@given(records, st.none() | st.just("cancelled by a test"))
def test_success_needs_a_seen_exit_with_code_0(record: ExitRecord, stop_reason: str | None) -> None:
    outcome = judge_exit(record, stop_reason=stop_reason).outcome
    supported = record.source != "unknown" and record.code == 0 and record.signal is None
    assert (outcome is Outcome.SUCCEEDED) == (supported and record.exec_error is None and stop_reason is None)


@given(records)
def test_every_judgement_gives_a_reason(record: ExitRecord) -> None:
    judgement = judge_exit(record, stop_reason=None)
    assert judgement.reason
    if record.exec_error is None and record.source != "unknown" and record.signal is not None:
        assert judgement.outcome is Outcome.FAILED
        assert str(record.signal) in judgement.reason


@pytest.mark.parametrize(
    ("record", "outcome", "words"),
    [
        (CLEAN, Outcome.SUCCEEDED, "exit code 0"),
        (ExitRecord("keeper", 3, None, 1.0), Outcome.FAILED, "exit code 3"),
        (ExitRecord("keeper", 137, None, 1.0), Outcome.FAILED, "SIGKILL"),
        (ExitRecord("keeper", 255, None, 1.0), Outcome.FAILED, "exit code 255"),
        (ExitRecord("keeper", None, 9, 1.0), Outcome.FAILED, "signal 9 (SIGKILL)"),
        (ExitRecord("keeper", None, signal.SIGRTMIN + 3, 1.0), Outcome.FAILED, "signal 37"),
        (ExitRecord("keeper", None, 9, 1.0, killed_for_memory=True), Outcome.FAILED, "memory"),
        (ExitRecord("keeper", 137, None, 1.0, killed_for_memory=True), Outcome.FAILED, "memory"),
        (ExitRecord("keeper", 126, None, 1.0, "exec format error"), Outcome.NOT_STARTED, "exec format error"),
        (ExitRecord("unknown", None, None, 1.0), Outcome.INTERRUPTED, "nobody saw"),
    ],
)
def test_an_exit_is_judged_like_this(record: ExitRecord, outcome: Outcome, words: str) -> None:
    judgement = judge_exit(record, stop_reason=None)
    assert judgement.outcome is outcome
    assert words in judgement.reason
