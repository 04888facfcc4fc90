"""`doctor`: what is wrong with the installation and the state directory, and how to mend it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from claudine_mcp.cli.console import BAD, GOOD, say, say_json, styled
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.words import DONE, FAILED
from claudine_mcp.core.units import printable
from claudine_mcp.front.health.examination import examine
from claudine_mcp.front.health.findings import Finding, Verdict
from claudine_mcp.front.views import shown

YELLOW = "33"
STYLES = {Verdict.OK: GOOD, Verdict.WARNING: YELLOW, Verdict.PROBLEM: BAD}


def doctor(
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Remove git worktrees that no task knows, if nothing in them would be lost."
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say what is wrong, and how to mend it.

    Changes nothing, unless --fix is given. Exits with 1 if there is a problem, else with 0.
    """
    findings = examine(os.environ, fix=fix)
    if as_json:
        say_json([shown(finding) for finding in findings])
    else:
        _show(findings)
    return FAILED if any(finding.verdict is Verdict.PROBLEM for finding in findings) else DONE


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    margin = " " * (9 + width + 2)
    for finding in findings:
        verdict = styled(finding.verdict.ljust(7), STYLES[finding.verdict])
        say(f"{verdict}  {finding.check.ljust(width)}  {printable(finding.what)}")
        if finding.mend is not None:
            say(f"{margin}→ {printable(finding.mend)}")
    counts = [sum(finding.verdict is verdict for finding in findings) for verdict in Verdict]
    say(f"{counts[0]} ok, {counts[1]} to look at, {counts[2]} to mend")
