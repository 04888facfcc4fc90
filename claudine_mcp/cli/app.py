"""The command line: its commands, and how its errors and its end are told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

import claudine_mcp
from claudine_mcp.cli.checkpoints import checkpoints
from claudine_mcp.cli.config import config
from claudine_mcp.cli.console import PROGRAM, close_quietly, note, prepare, say
from claudine_mcp.cli.controls import hibernate, resume, suspend
from claudine_mcp.cli.delegate import delegate
from claudine_mcp.cli.demo import demo
from claudine_mcp.cli.doctor import doctor
from claudine_mcp.cli.ending import cancel, retry, rm, wait
from claudine_mcp.cli.events import events
from claudine_mcp.cli.logs import logs
from claudine_mcp.cli.metrics import metrics
from claudine_mcp.cli.pausing import pause
from claudine_mcp.cli.reserving import reserve
from claudine_mcp.cli.restoring import restore
from claudine_mcp.cli.run import run
from claudine_mcp.cli.speaking import answer, send
from claudine_mcp.cli.supervise import supervise
from claudine_mcp.cli.tasks import list_, status
from claudine_mcp.cli.words import DONE, INTERRUPTED, USAGE, exit_code, explained, is_expected

COMMANDS: tuple[tuple[str, Callable[..., int]], ...] = (
    ("run", run),
    ("delegate", delegate),
    ("send", send),
    ("answer", answer),
    ("list", list_),
    ("status", status),
    ("logs", logs),
    ("metrics", metrics),
    ("wait", wait),
    ("cancel", cancel),
    ("suspend", suspend),
    ("hibernate", hibernate),
    ("resume", resume),
    ("pause", pause),
    ("reserve", reserve),
    ("retry", retry),
    ("checkpoints", checkpoints),
    ("restore", restore),
    ("rm", rm),
    ("events", events),
    ("doctor", doctor),
    ("supervise", supervise),
    ("demo", demo),
)

app = typer.Typer(
    name=PROGRAM,
    help="Background tasks that are kept alive, observed and explained. Without arguments: the MCP server on stdio.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _function in COMMANDS:
    # A command's own options must not be taken for ours: `run make -j4`.
    _settings: dict[str, Any] = {"allow_interspersed_args": False} if _name == "run" else {}
    app.command(_name, context_settings=_settings)(_function)
app.add_typer(config, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"{PROGRAM} {claudine_mcp.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Background tasks that are kept alive, observed and explained. Without arguments: the MCP server on stdio."""


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for; give the exit code: 0 done, 1 failed, 2 wrong usage, 3 not found."""
    prepare()
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        close_quietly()
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(arguments: list[str]) -> int:
    try:
        code = typer.main.get_command(app).main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except BrokenPipeError:
        raise
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # which the parser has made this of
            raise BrokenPipeError from end
        raise
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        # Whatever parses the arguments has errors that can format themselves, and no public name for them.
        describe: Callable[[], str] | None = getattr(error, "format_message", None)
        if describe is not None:
            return _wrong_usage(error, describe())
        if not is_expected(error):
            raise
        note(explained(error))
        return exit_code(error)
    return code if isinstance(code, int) else DONE


def _wrong_usage(error: Exception, message: str) -> int:
    context: Any = getattr(error, "ctx", None)
    path = PROGRAM if context is None else context.command_path
    if not message or "\n" in message:  # nothing was given where something is needed: this is the help
        sys.stderr.write((message or str(context and context.get_help())) + "\n")
    else:
        note(f"{message} (`{path} --help` tells more)")
    return USAGE
