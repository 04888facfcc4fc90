"""What the operating system allows: watching files, reading its log, exit statuses, living on after a logout."""

from __future__ import annotations

import ctypes
import fcntl
import getpass
import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from claudine_mcp.front.health.findings import Finding, ok, problem, warning
from claudine_mcp.host.exitstatus import PIDFD_GET_INFO, PIDFD_INFO_EXIT

LOGIND_FOLDERS = (
    "/etc/systemd",
    "/run/systemd",
    "/usr/local/lib/systemd",
    "/usr/lib/systemd",
    "/lib/systemd",
)
"""In the order of logind.conf(5): an earlier one wins."""
_SETTING = re.compile(
    r"^\s*(#?)\s*(KillUserProcesses|KillOnlyUsers|KillExcludeUsers)\s*=\s*(.*?)\s*$", re.MULTILINE
)
_TRUE = frozenset({"1", "yes", "true", "on", "y", "t"})
IN_CLOEXEC = 0o2000000


def look_at_system() -> list[Finding]:
    """Look at everything that depends on the system."""
    if sys.platform != "linux":
        return [ok("system", f"{sys.platform}: written for, and not tested")]
    return [inotify(), kernel_log(), exit_statuses(), logout_here()]


def inotify() -> Finding:
    """See whether a file can be watched."""
    limit = _number(Path("/proc/sys/fs/inotify/max_user_instances"))
    fd = ctypes.CDLL(None).inotify_init1(IN_CLOEXEC)
    if fd >= 0:
        os.close(fd)
        return ok("inotify", f"available (at most {limit} instances a user)")
    return warning(
        "inotify",
        f"no instance is left of {limit}; clients look twice a second instead, and answer later",
        f"sudo sysctl fs.inotify.max_user_instances={max(512, 2 * (limit or 0))}",
    )


def kernel_log() -> Finding:
    """See whether the kernel says which process it killed for memory."""
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        restrict = _number(Path("/proc/sys/kernel/dmesg_restrict"))
        why = " (kernel.dmesg_restrict is 1)" if restrict else ""
        what = f"not readable{why}: that a task was killed for memory is inferred from the machine's counter"
        return ok(
            "kernel log", what, "sudo sysctl kernel.dmesg_restrict=0 makes it exact." if restrict else None
        )
    return ok("kernel log", "readable: a kill for memory is known for certain")


def exit_statuses() -> Finding:
    """See whether the kernel tells how a process ended that was nobody's child (Linux 6.15)."""
    buffer = bytearray(64)
    buffer[0:8] = PIDFD_INFO_EXIT.to_bytes(8, sys.byteorder)
    try:
        fd = os.pidfd_open(os.getpid())
        try:
            fcntl.ioctl(fd, PIDFD_GET_INFO, buffer)
        finally:
            os.close(fd)
    except OSError:
        what = (
            "this kernel cannot tell it: a task that loses keeper and supervisor at once ends as interrupted"
        )
        return ok("exit status", what, "Linux 6.15 or later can.")
    return ok("exit status", "the kernel can tell it even if a keeper dies (PIDFD_GET_INFO)")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Logind:
    """What logind does to processes of a user who logs out. `origin`: the file that says so."""

    kill: bool
    origin: str
    only: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset({"root"})

    def kills(self, user: str) -> bool:
        """Whether processes in a session of this user are killed when it ends."""
        return self.kill and user not in self.exclude and (not self.only or user in self.only)


def read_logind(texts: Mapping[str, str]) -> Logind:
    """Read the configuration of logind.

    Args:
        texts: content by path: main files and drop-ins, in any order. A main file that is commented out
            shows the defaults that were compiled in.
    """
    rank = {folder: place for place, folder in enumerate(LOGIND_FOLDERS)}
    mains = sorted(
        (path for path in texts if path.endswith("/logind.conf")), key=lambda path: _rank(path, rank)
    )
    drop_ins: dict[str, str] = {}
    for path in sorted(
        (path for path in texts if "/logind.conf.d/" in path), key=lambda path: -_rank(path, rank)
    ):
        drop_ins[Path(path).name] = path
    values: dict[str, tuple[str, str]] = {"KillUserProcesses": ("no", "default of most distributions")}
    comments = [(path, "#") for path in reversed(mains)]
    for path, sign in [
        *comments,
        *((path, "") for path in mains[:1]),
        *((drop_ins[n], "") for n in sorted(drop_ins)),
    ]:
        for comment, name, value in _SETTING.findall(texts[path]):
            if comment == sign:
                values[name] = (value, f"default in {path}" if comment else path)
    users = {
        name: frozenset(value.split()) for name, (value, _) in values.items() if name != "KillUserProcesses"
    }
    kill, origin = values["KillUserProcesses"]
    return Logind(
        kill.lower() in _TRUE,
        origin,
        users.get("KillOnlyUsers", frozenset()),
        users.get("KillExcludeUsers", frozenset({"root"})),
    )


def _rank(path: str, rank: Mapping[str, int]) -> int:
    return next((place for folder, place in rank.items() if path.startswith(folder + "/")), len(rank))


def judge_logout(logind: Logind, user: str, cgroup: str, *, lingers: bool) -> Finding:
    """Say what becomes of tasks when the user logs out.

    Args:
        logind: its configuration.
        user: who runs the tasks.
        cgroup: the text of `/proc/self/cgroup`: a session's scope, or the user's own service manager.
        lingers: whether the user's service manager stays when the last session ends.
    """
    linger = f"loginctl enable-linger {user}"
    if "user@" in cgroup:
        if lingers:
            return ok("logout", "tasks live on: the user's service manager stays (linger)")
        what = "tasks that are started from here end when you log out of your last session"
        return warning("logout", what, linger)
    if not logind.kills(user):
        return ok("logout", f"tasks live on after a logout (KillUserProcesses=no, {logind.origin})")
    what = f"logind kills what a session has started when it ends (KillUserProcesses=yes, {logind.origin})"
    mend = (
        "Set KillUserProcesses=no in /etc/systemd/logind.conf; or "
        + ("" if lingers else f"{linger}, and ")
        + "start the client with systemd-run --user --scope"
    )
    if "session-" in cgroup:
        return problem("logout", f"{what}: tasks that are started from here, too", mend)
    return warning("logout", what, mend)


def logout_here() -> Finding:
    """Say what becomes of this user's tasks at a logout, on this machine."""
    if not Path("/run/systemd/system").is_dir():
        return ok("logout", "there is no systemd that could end tasks at a logout")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in some containers
        user = str(os.getuid())
    return judge_logout(
        read_logind(logind_texts()),
        user,
        _text(Path("/proc/self/cgroup")) or "",
        lingers=(Path("/var/lib/systemd/linger") / user).exists(),
    )


def logind_texts(folders: Collection[str] = LOGIND_FOLDERS) -> dict[str, str]:
    """Read every file of logind's configuration that there is."""
    found: dict[str, str] = {}
    for folder in map(Path, folders):
        drop_ins = folder / "logind.conf.d"
        for path in (folder / "logind.conf", *(drop_ins.glob("*.conf") if drop_ins.is_dir() else ())):
            text = _text(path)
            if text is not None:
                found[str(path)] = text
    return found


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
