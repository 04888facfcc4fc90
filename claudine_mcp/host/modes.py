"""Permission bits of files, of which git itself knows only whether a file is executable."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Modes:
    """Permission bits of many files.

    Attributes:
        plain: of files that are not executable, unless they are named.
        executable: of files that are, unless they are named.
        others: of those that have others, by path.
    """

    plain: int = 0o644
    executable: int = 0o755
    others: Mapping[str, int] = field(default_factory=dict[str, int])

    def usual(self, mode: int) -> int:
        """Give what a file would have if it were not named."""
        return self.executable if mode & stat.S_IXUSR else self.plain

    def of(self, path: str, *, is_executable: bool) -> int:
        """Give the mode of a file."""
        return self.others.get(path, self.executable if is_executable else self.plain)

    def updated(self, seen: Mapping[str, int], gone: Iterable[str]) -> Modes:
        """Give them with what was seen of some paths now."""
        others = {path: mode for path, mode in self.others.items() if path not in seen}
        for path in gone:
            others.pop(path, None)
        others |= {path: mode for path, mode in seen.items() if mode != self.usual(mode)}
        return Modes(self.plain, self.executable, others)

    @classmethod
    def most_common(cls, seen: Mapping[str, int]) -> Modes:
        """Give the most common ones of some files."""
        counts: dict[int, int] = {}
        for mode in seen.values():
            counts[mode] = counts.get(mode, 0) + 1
        by_count = sorted(counts, key=lambda mode: -counts[mode])
        plain = next((mode for mode in by_count if not mode & stat.S_IXUSR), 0o644)
        executable = next((mode for mode in by_count if mode & stat.S_IXUSR), 0o755)
        return cls(plain, executable)
