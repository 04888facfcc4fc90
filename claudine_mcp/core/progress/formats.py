"""How tools write their progress: a table. `reading` reads a line by it.

Each row is a regular expression whose groups say what they are: `percent`, or `done` and `total` (with `more`,
which is added to `done`); `name` tells counters of one format apart; `phase` is what is being done. A row without
a number says that a count begins. The first row that fits is taken. What no row can be mistaken for is believed at
once, everything else when it has been seen to grow (`counters`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

AT_ONCE, AGAIN, THRICE = 1, 2, 3
"""How many growing values it takes until a format is believed."""


@dataclass(frozen=True, slots=True)
class Format:
    """A row.

    Attributes:
        source: what it is called; mostly the tool.
        pattern: what a line looks like.
        needs: how many growing values it takes until it is believed.
        phase: what is being done, where the line does not say.
        is_steps: whether it counts steps, of which the one named has begun. A step may have its own progress.
        is_few_steps: whether it does so if there are only a few.
        is_part: whether it is known to be one of several that follow each other.
        is_shared: whether counters with other names are parts of the same whole.
        words: where those are that may make it a measure of something else, as in `95% CPU`.
        is_alone: whether the line has only one number of that kind.
    """

    source: str
    pattern: re.Pattern[str]
    needs: int = AT_ONCE
    phase: str | None = None
    is_steps: bool = False
    is_few_steps: bool = False
    is_part: bool = False
    is_shared: bool = False
    words: Literal["nowhere", "before", "beside"] = "nowhere"
    is_alone: bool = False

    def may_fit(self, *, has_percent: bool, has_count: bool) -> bool:
        """Whether it may fit a line that has, or has not, the sign of a percentage or of a count."""
        groups, text = self.pattern.groupindex, self.pattern.pattern
        if "done" in groups:
            return has_count or "percent" in groups or not ("/" in text or "of " in text)
        return has_percent or "%" not in text


_PERCENT: Final = r"(?P<percent>\d{1,3}(?:\.\d{1,4})?)"
_COUNT: Final = r"(?P<done>\d[\d,]{0,14}) ?/ ?(?P<total>\d[\d,]{0,14})"
_SPOKEN: Final = r"(?P<done>\d[\d,]{0,14})\]?(?: ?/ ?| (?:out )?of )\[?(?P<total>\d[\d,]{0,14})\b"
_SIZE: Final = r"\d[\d.]{0,8}[kKMGTPE]?"
_SIZE_FOUND: Final = r"[1-9][\d.]{0,8}[kKMGTPE]?"
_SIZES: Final = rf"(?P<done>{_SIZE})/(?P<total>{_SIZE})"
_VERDICT: Final = r"(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|RERUN)"
_TEST: Final = rf"(?:(?:^|(?<= ))[.FEsxXpPR]+|\b{_VERDICT}(?: \(.*\))?)"
_GLYPHS: Final = "█▉▊▋▌▍▎▏░▒▓━╸╺■□▰▱⣿⣀"
_BAR: Final = (
    rf"(?:(?>[\[(<][#=>.~o*\-\s{_GLYPHS}]{{5,}}[\])>])|\|[#=>*{_GLYPHS}][#=>*\s{_GLYPHS}]{{4,}}+\|"
    rf"|(?<![{_GLYPHS}])(?>[{_GLYPHS}][{_GLYPHS} ]{{4,}}(?<=[{_GLYPHS}]))|\[#*+-*+\](?= \d))"
)
_THINGS: Final = (
    "step|iter|iteration|batch|sample|chunk|file|test|image|frame|page|row|record|round|trial|shard|part|item|task"
    "|target|package|module|document|example|generation|fold|job|stage|phase"
)


def _bar(before: str, after: str) -> Format:
    return Format("bar", re.compile(rf"^(?P<name>.*?){before}{_BAR}{after}"), words="before")


STEPS: Final = (
    Format(
        "docker",
        re.compile(r"^#\d+ \[(?P<name>(?:[\w./-]+ )*)(?P<done>\d+)/(?P<total>\d+)\] (?P<phase>.+)"),
        is_steps=True,
        is_shared=True,
    ),
    Format("docker", re.compile(r"^Step (?P<done>\d+)/(?P<total>\d+) : (?P<phase>.+)"), is_steps=True),
    Format(
        "epoch",
        re.compile(rf"\b(?P<phase>epoch)s?[ :#=]*[\[(]?{_SPOKEN}[\])]?", re.IGNORECASE),
        is_steps=True,
    ),
)
"""What a line may name before the progress of the step itself."""

_THING: Final = Format(
    "count",
    re.compile(rf"\b(?P<name>(?P<phase>{_THINGS}))s?\b[ :#=]*[\[(]?{_SPOKEN}", re.IGNORECASE),
    AGAIN,
    is_few_steps=True,
)

FEW_STEPS: Final = (
    Format(
        "[n/m]",
        re.compile(rf"^[\[(] ?{_COUNT}(?:[ |,][^\])]*)?[\])] +(?P<phase>\S.*)"),
        AGAIN,
        is_few_steps=True,
        words="before",
    ),
    Format(
        "[n/m]", re.compile(rf"^(?P<phase>.*\S) +\[{_COUNT}\]$"), AGAIN, is_few_steps=True, words="before"
    ),
    _THING,
)
"""Steps if they are few, else items: ninja, bazel, yarn, maven and many a script."""

UNMISTAKABLE: Final = (
    Format(
        "tqdm", re.compile(rf"^(?P<name>.*?)(?<!\d)\d{{1,3}}%\|[^|]{{0,300}}\| *{_SIZES} \[[\d:]{{4,9}}<")
    ),
    Format("pytest", re.compile(rf"^\[gw\d+\] \[ *{_PERCENT}%\] {_VERDICT}\b"), phase="tests"),
    Format("pytest", re.compile(rf"{_TEST} +\[ *(?:{_PERCENT}%|{_COUNT})\]$"), phase="tests"),
    Format(
        "pytest",
        re.compile(r"^(?:collecting \.\.\. )?collected [1-9]\d* items?\b|^\d+ workers? \[[1-9]\d* items?\]"),
        phase="tests",
    ),
    Format("ctest", re.compile(r"^ *(?P<done>\d+)/(?P<total>\d+) +(?:Mem)?Test +#\d+: "), phase="tests"),
    Format(
        "cmake",
        re.compile(
            rf"^\[ *{_PERCENT}%\] (?:Built target|(?P<phase>(?:Building|Linking|Generating|Automatic|Creating"
            r"|Performing|Completed|Re-running|Running|Copying)\b.*))"
        ),
    ),
    Format("cargo", re.compile(rf"^ *(?P<phase>[A-Z][a-z]+) \[[=> ]*\] {_COUNT}(?::|$)")),
    Format(
        "git",
        re.compile(rf"^(?:remote: )?(?P<name>(?P<phase>[A-Z][a-z]+ [a-z]+)): +{_PERCENT}% \(\d+/\d+\)"),
        is_part=True,
    ),
    Format(
        "curl",
        re.compile(
            rf"^ *{_PERCENT} +{_SIZE_FOUND} +\d+ +{_SIZE} +\d+ +(?:{_SIZE} +){{3}}[\d:dh-]+ +[\d:dh-]+ "
        ),
        phase="transfer",
    ),
    Format("curl", re.compile(rf"^#+ +{_PERCENT}%$"), phase="transfer"),
    Format("wget", re.compile(rf"^ *\d+K(?: +[.,]{{1,10}})+ +{_PERCENT}% +{_SIZE}"), phase="transfer"),
    Format("wget", re.compile(rf"^(?P<name>\S.*?)(?<! ) ++{_PERCENT}%\[[ =+>]*\]"), phase="transfer"),
    Format(
        "rsync",
        re.compile(rf"^ *[\d,.]+[KMGT]? +{_PERCENT}% +[\d.]+[kMGT]?B/s +\d+:\d\d:\d\d"),
        phase="transfer",
    ),
    Format(
        "pnpm",
        re.compile(
            r"^Progress: resolved (?P<total>[1-9]\d*), reused (?P<more>\d+), downloaded (?P<done>\d+), added \d"
        ),
        phase="packages",
    ),
    _bar("", rf".{{0,40}}?(?<![\d.]){_PERCENT} ?%"),
    _bar("", rf"[^%]{{0,20}}?(?<![\d.]){_SIZES}\b"),
    _bar(rf"(?<![\d.]){_PERCENT} ?%[ |:]*", ""),
    _bar(rf"(?<![\d.]){_COUNT} ", ""),
    Format(
        "percent",
        re.compile(rf"^(?P<name>[^%]*?)\bprogress\b\W{{0,4}}{_PERCENT} ?%", re.IGNORECASE),
        words="before",
    ),
    Format(
        "percent",
        re.compile(
            rf"^(?P<name>[^%]*?)(?<![\d.+-]){_PERCENT} ?% +(?:completed?|done|finished)\b", re.IGNORECASE
        ),
        words="before",
    ),
)

LIKELY: Final = (
    Format("pip", re.compile(r"^Progress (?P<done>\d+) of (?P<total>[1-9]\d*)$"), AGAIN, is_part=True),
    _THING,
    Format(
        "percent",
        re.compile(rf"^(?P<name>[^%]*?)(?<![\d.+-]){_PERCENT} ?%(?! ?\d)(?P<phase>[^%]*)$"),
        THRICE,
        words="beside",
        is_alone=True,
    ),
    Format(
        "count",
        re.compile(rf"^(?P<name>.*?)(?<![^\s\[(:=]){_SPOKEN}(?![^\s\]),;:.])(?P<phase>.*)$"),
        THRICE,
        words="beside",
        is_alone=True,
    ),
)

PHASES: Final = (
    # cargo aligns its verbs to the right in twelve columns
    re.compile(r"^(?=.{12} \S) *(?P<phase>Compiling|Checking|Documenting|Downloading|Installing|Running) "),
    re.compile(r"^➤ YN0000: ┌ (?P<phase>[A-Z][a-z]+ step)"),
)
"""What a line looks like that says what is being done, and not how far it is."""

MAY_BE: Final = re.compile(
    rb"\d[kKMGT]?\]?(?:\x1b\[[0-9;]*m)*(?: ?%| ?/ ?\[?(?:\x1b\[[0-9;]*m)*\d| (?:out )?of \[?\d)"
    rb"|:(?:\d\d|--) +[\d-]{1,3}:|collected \d|workers? \[\d|resolved \d"
    rb"|  (?:\x1b\[[0-9;]*m)*[CDIR][a-z]+ing\b|YN0000: "
)
"""What is somewhere in each line that fits any of these: a quick look at its bytes."""

STAMP: Final = re.compile(
    r"(?:#\d+ \d+\.\d+ )?"  # docker, before what a step prints
    r"(?:\[?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?[\s,|-]*)?"
    r"(?:[\[(]?(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR)[\])]?[ :|-]*)?"
)
"""What a log puts before its lines."""

MEASURES: Final = re.compile(
    r"(?<![a-z])(?:[cgt]pu|mem|memory|ram|swap|heap|disk|load|usage|used?|util|utili[sz]ation|free|idle|avail|available"
    r"|cached?|hits?|miss|misses|battery|cover|coverage|covered|pass|passed|failed|success|successful|failures?"
    r"|errors?|loss|acc|accuracy|precision|recall|f1|auc|iou|ratio|rate|scores?|confidence|probability|threshold"
    r"|similar|similarity|compressed|compression|deflated|saved|smaller|larger|bigger|faster|slower|quality|packet"
    r"|volume|attempts?|retry|retries|retrying|try|tries|quota|limit|workers?|threads?|slots?|pool|connections?"
    r"|queued?|lr|discount|quantile|percentile|health|humidity|signal|rank|gpus?|node)(?![a-z])",
    re.IGNORECASE,
)
"""Words that make a number beside them a measure of something else."""
