"""What `doctor` says of a logout: logind's configuration, and where a task is started from."""

from __future__ import annotations

from pathlib import Path

import pytest

from claudine_mcp.front.health.findings import Verdict
from claudine_mcp.front.health.kernel import Logind, judge_logout, logind_texts, read_logind

OK, WARNING, PROBLEM = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM

MAIN = "[Login]\n#KillUserProcesses=no\n#KillExcludeUsers=root\n"


@pytest.mark.parametrize(
    ("texts", "kill", "origin"),
    [
        ({}, False, "default of most distributions"),
        ({"/etc/systemd/logind.conf": MAIN}, False, "default in /etc/systemd/logind.conf"),
        (
            {"/usr/lib/systemd/logind.conf": "#KillUserProcesses=yes"},
            True,
            "default in /usr/lib/systemd/logind.conf",
        ),
        ({"/etc/systemd/logind.conf": "KillUserProcesses=yes"}, True, "/etc/systemd/logind.conf"),
        (
            {
                "/usr/lib/systemd/logind.conf": "KillUserProcesses=yes",
                "/etc/systemd/logind.conf": "KillUserProcesses = no",
            },
            False,
            "/etc/systemd/logind.conf",
        ),
        (
            {
                "/etc/systemd/logind.conf": "KillUserProcesses=no",
                "/usr/lib/systemd/logind.conf.d/50-x.conf": "[Login]\nKillUserProcesses=true\n",
            },
            True,
            "/usr/lib/systemd/logind.conf.d/50-x.conf",
        ),
        (
            {
                "/usr/lib/systemd/logind.conf.d/50-x.conf": "KillUserProcesses=yes",
                "/etc/systemd/logind.conf.d/50-x.conf": "KillUserProcesses=no",
            },
            False,
            "/etc/systemd/logind.conf.d/50-x.conf",
        ),
        (
            {
                "/etc/systemd/logind.conf.d/10-a.conf": "KillUserProcesses=no",
                "/usr/lib/systemd/logind.conf.d/90-z.conf": "KillUserProcesses=1",
            },
            True,
            "/usr/lib/systemd/logind.conf.d/90-z.conf",
        ),
    ],
)
def test_logind_is_read_as_systemd_reads_it(texts: dict[str, str], kill: bool, origin: str) -> None:
    logind = read_logind(texts)

    assert (logind.kill, logind.origin) == (kill, origin)


@pytest.mark.parametrize(
    ("logind", "user", "kills"),
    [
        (Logind(True, ""), "me", True),
        (Logind(True, ""), "root", False),
        (Logind(True, "", only=frozenset({"you"})), "me", False),
        (Logind(True, "", only=frozenset({"me"}), exclude=frozenset()), "me", True),
        (Logind(True, "", exclude=frozenset({"me"})), "me", False),
        (Logind(False, ""), "me", False),
    ],
)
def test_logind_kills_those_it_is_told_to(logind: Logind, user: str, kills: bool) -> None:
    assert logind.kills(user) is kills


SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"
MANAGER = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope\n"


@pytest.mark.parametrize(
    ("kill", "cgroup", "lingers", "verdict", "mend"),
    [
        (True, SESSION, False, PROBLEM, "KillUserProcesses=no"),
        (True, SESSION, False, PROBLEM, "loginctl enable-linger me"),
        (True, SESSION, True, PROBLEM, "systemd-run --user --scope"),
        (False, SESSION, False, OK, ""),
        (True, MANAGER, False, WARNING, "loginctl enable-linger me"),
        (False, MANAGER, False, WARNING, "loginctl enable-linger me"),
        (True, MANAGER, True, OK, ""),
        (True, "0::/\n", False, WARNING, "KillUserProcesses=no"),
    ],
)
def test_what_a_logout_does_depends_on_where_one_is(
    kill: bool, cgroup: str, lingers: bool, verdict: Verdict, mend: str
) -> None:
    finding = judge_logout(Logind(kill, "a file"), "me", cgroup, lingers=lingers)

    assert finding.verdict is verdict
    assert mend in (finding.mend or "")


def test_the_files_of_logind_are_found(tmp_path: Path) -> None:
    (tmp_path / "logind.conf.d").mkdir()
    (tmp_path / "logind.conf").write_text("a")
    (tmp_path / "logind.conf.d" / "x.conf").write_text("b")
    (tmp_path / "logind.conf.d" / "ignored.txt").write_text("c")

    assert logind_texts([str(tmp_path), str(tmp_path / "none")]) == {
        str(tmp_path / "logind.conf"): "a",
        str(tmp_path / "logind.conf.d" / "x.conf"): "b",
    }
