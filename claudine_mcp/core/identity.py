"""Who a process is: a pid alone may be someone else tomorrow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for good: (boot id, pid namespace, pid, start time).

    `start` is in clock ticks since boot on Linux, elsewhere in hundredths of a second since the epoch.
    """

    boot_id: str
    pid_namespace: str
    pid: int
    start: int

    def __str__(self) -> str:
        return f"{self.boot_id} {self.pid_namespace or '-'} {self.pid} {self.start}"

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Read what `str()` wrote.

        Raises:
            ValueError: it is something else.
        """
        boot_id, namespace, pid, start = text.split(" ")
        return cls(boot_id, "" if namespace == "-" else namespace, int(pid), int(start))
