"""Processes read through psutil: slower, and the same on every system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from claudine_mcp.host.probes import Census, Reading, Transfer
from claudine_mcp.host.processes import Process, PsutilReader

if TYPE_CHECKING:
    import psutil

MICROSECONDS: Final = 1_000_000


class PortableProbe:
    """See `Probe`."""

    def __init__(self, process: Process, reader: PsutilReader) -> None:
        import psutil  # noqa: PLC0415 - not needed where there is something faster

        self.process = process
        self.reading = Reading(0, 0, 0, 0, 0, 0, int(not process.zombie), 0, 0)
        self._psutil = psutil
        self._reader = reader

    def read(self, *, afresh: bool = False) -> Reading | None:  # noqa: ARG002 - it is always read
        """See `Probe`."""
        psutil = self._psutil
        try:
            found = psutil.Process(self.process.pid)
            if self._reader.start_of(found) != self.process.start:
                return None
            with found.oneshot():
                state, threads = found.status(), found.num_threads()
                alive = state not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD} or threads > 1
                times = found.cpu_times()
                memory = found.memory_info() if alive else None
                self.reading = Reading(
                    own_us=round((times.user + times.system) * MICROSECONDS),
                    waited_us=round((times.children_user + times.children_system) * MICROSECONDS),
                    switches=found.num_ctx_switches().voluntary,
                    rss_bytes=0 if memory is None else memory.rss,
                    vsz_bytes=0 if memory is None else memory.vms,
                    threads=threads if alive else 0,
                    alive=int(alive),
                    stopped=int(state in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}),
                    runnable=int(state in {psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP}),
                )
        except psutil.NoSuchProcess as error:
            if not isinstance(error, psutil.ZombieProcess):
                return None
            self.reading = self.reading._replace(
                rss_bytes=0, vsz_bytes=0, threads=0, alive=0, stopped=0, runnable=0
            )
        except (psutil.AccessDenied, OSError):
            self.reading = self.reading._replace(alive=1)  # it is there, and nobody's business
        return self.reading

    def transfer(self) -> Transfer | None:
        """See `Probe`."""
        counters = self._ask("io_counters")
        return None if counters is None else Transfer(counters.read_bytes, counters.write_bytes)

    def fds(self) -> int | None:
        """See `Probe`."""
        return self._ask("num_fds")

    def other_switches(self) -> int | None:
        """See `Probe`. psutil does not tell."""
        return None

    def pss_bytes(self) -> int | None:
        """See `Probe`."""
        return getattr(self._ask("memory_full_info"), "pss", None)  # Linux only

    def close(self) -> None:
        """See `Probe`. There is nothing."""

    def _found(self) -> psutil.Process | None:
        try:
            found = self._psutil.Process(self.process.pid)
            return found if self._reader.start_of(found) == self.process.start else None
        except (self._psutil.Error, OSError):
            return None

    def _ask(self, method: str) -> Any:
        """Ask for what not every system has."""
        found = self._found()
        if found is None or not hasattr(found, method):
            return None
        try:
            return getattr(found, method)()
        except (self._psutil.Error, OSError):
            return None


class PortableProbes:
    """See `Probes`."""

    def __init__(self) -> None:
        import psutil  # noqa: PLC0415

        self._psutil = psutil
        self._reader = PsutilReader()

    def census(self, *, afresh: bool) -> Census | None:  # noqa: ARG002 - nobody tells whether there are new ones
        """See `Probes`."""
        return Census(self._psutil.pids())

    def open(self, process: Process) -> PortableProbe | None:
        """See `Probes`."""
        probe = PortableProbe(process, self._reader)
        return None if probe.read() is None else probe

    def close(self) -> None:
        """See `Probes`. There is nothing."""
