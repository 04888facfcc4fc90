from __future__ import annotations

import os
import signal
import subprocess
import sys

import anyio
import pytest
from support import Home, alive, ended, wait_for, wait_until

from claudine_mcp.front import supervision
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.lease import FILE, adopt, is_held, try_take
from claudine_mcp.host.statedir import prepare

HOLD = "import sys, time; print('here', flush=True); time.sleep(60)"
HELD, SUPERSEDED = 3, 4


@pytest.fixture(autouse=True)
def _prepared(home: Home) -> None:
    prepare(home.state_dir)


def test_only_one_holds_it(home: Home) -> None:
    assert not is_held(home.state_dir)
    lease = try_take(home.state_dir)
    assert lease is not None
    assert is_held(home.state_dir)
    assert try_take(home.state_dir) is None
    lease.release()
    assert not is_held(home.state_dir)


def test_it_is_passed_to_a_child_with_the_descriptor_and_ends_with_that(home: Home) -> None:
    lease = try_take(home.state_dir)
    assert lease is not None
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.folder)], pass_fds=[lease.fd], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        lease.release()
        assert is_held(home.state_dir)
        child.kill()
        child.wait()
        wait_until(lambda: not is_held(home.state_dir))


def test_a_child_that_was_not_meant_to_have_it_does_not_keep_it(home: Home) -> None:
    lease = try_take(home.state_dir)
    assert lease is not None
    with subprocess.Popen([sys.executable, "-c", HOLD, str(home.folder)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        lease.release()
        assert not is_held(home.state_dir)
        child.kill()


def test_a_descriptor_that_is_not_the_lease_is_not_adopted(home: Home) -> None:
    other = os.open(home.folder / "other", os.O_RDWR | os.O_CREAT)
    assert adopt(other, home.state_dir) is None
    mine = os.open(home.state_dir / FILE, os.O_RDWR | os.O_CREAT)
    lease = adopt(mine, home.state_dir)
    assert lease is not None
    assert not os.get_inheritable(lease.fd)
    lease.release()


def test_a_lock_on_a_file_that_was_replaced_is_no_lease(home: Home) -> None:
    old = try_take(home.state_dir)
    assert old is not None
    (home.state_dir / FILE).unlink()
    new = try_take(home.state_dir)
    assert new is not None
    assert adopt(os.dup(old.fd), home.state_dir) is None
    old.release()
    new.release()


async def test_a_second_supervisor_is_refused(home: Home) -> None:
    async with home.front() as front:
        await front.submit_command(CommandRequest("true", not_before="2099-01-01T00:00:00Z"))
        await home.supervisor()
        second = await anyio.run_process(
            [sys.executable, "-P", "-m", "claudine_mcp", "supervise"],
            env=home.env,
            check=False,
        )
        assert second.returncode == HELD
        assert b"another supervisor" in second.stderr
        assert home.epoch() == 1


async def test_a_supervisor_with_nothing_to_do_leaves_and_a_later_front_starts_another(home: Home) -> None:
    home.configure(supervisor={"idleExit": 0})
    async with home.front() as front:
        for epoch in (1, 2):
            task = await front.submit_command(CommandRequest("true"))
            await ended(front, task)
            supervisor = await wait_for(
                lambda epoch=epoch: home.epoch() == epoch and home.query("SELECT 1 FROM lease")
            )
            assert supervisor
            await wait_for(lambda: not is_held(home.state_dir))


async def test_a_supervisor_that_lost_its_lease_stops_without_touching_a_task(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(
            CommandRequest("echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done")
        )
        await wait_for(lambda: home.lines("begun"))
        supervisor = await home.supervisor()
        # The file is replaced, as by someone who cleaned up: the next front finds no lease held.
        (home.state_dir / FILE).unlink()
        assert supervision.ensure_supervisor(home.state_dir, home.env)
        await wait_for(lambda: home.epoch() == 2)
        (home.work / "go").touch()
        done = await ended(front, task)
        assert (done.exit_code, done.run) == (0, 1)
        await front.submit_command(CommandRequest("true"))
        await wait_for(lambda: not alive(supervisor.pid), what="the first supervisor has noticed")
    assert "superseded" in home.log()
    assert "Traceback" not in home.log()
    assert len(home.lines("begun")) == 1


async def test_a_storm_of_starters_starts_one(home: Home) -> None:
    async with home.front() as front:
        await front.submit_command(CommandRequest("true", not_before="2099-01-01T00:00:00Z"))
        started = [supervision.ensure_supervisor(home.state_dir, home.env) for _ in range(50)]
        assert not any(started)
        await wait_for(lambda: home.epoch() == 1)
        await home.kill_supervisor()
        started = [supervision.ensure_supervisor(home.state_dir, home.env) for _ in range(50)]
        assert started.count(True) == 1
        await wait_for(lambda: home.epoch() == 2)


async def test_a_supervisor_that_has_frozen_is_replaced_by_who_waits_for_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claudine_mcp.front import front as front_module  # noqa: PLC0415

    assert supervision.SILENT_BEAT_S == 10
    monkeypatch.setattr(front_module, "SILENT_BEAT_S", 3.0)  # the next one takes its time to start
    monkeypatch.setattr(front_module, "LOOK_EVERY_S", 0.05)
    async with home.front() as front:
        task = await front.submit_command(CommandRequest("echo $$ >> begun; exec sleep 300"))
        await wait_for(lambda: home.lines("begun"))
        frozen = await home.supervisor()
        os.kill(frozen.pid, signal.SIGSTOP)
        done, result = await front.cancel(task.id)
        assert result["changed"] is True
        assert not alive(frozen.pid)
        assert not alive(home.main_pid(task))
        assert home.epoch() == 2
    assert done.outcome == "cancelled"
