"""The program: without arguments the stdio server, by the shortest way; else the command line.

The supervisor is started through here as well, and must import neither the server's nor the command line's
libraries.
"""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run what the arguments ask for; give the exit code."""
    if sys.platform == "win32":
        sys.stderr.write("claudine-mcp runs on Linux and macOS; on Windows, run it inside WSL 2.\n")
        return 2
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in {"--era", "--channel"}:
        # What imports make stays for good: to look through it for garbage again and again costs a tenth of
        # the start. `serve` goes on with the collector once everything is there.
        gc.disable()
        from claudine_mcp.server.run import main as serve  # noqa: PLC0415

        return serve(arguments)
    if arguments[0] == "ask":
        from claudine_mcp.server.ask import main as ask  # noqa: PLC0415

        return ask()
    if arguments[0] == "supervise":
        from claudine_mcp.supervisor.process import main as supervise  # noqa: PLC0415

        return supervise(arguments[1:])
    from claudine_mcp.cli.app import main as command_line  # noqa: PLC0415

    return command_line(arguments)


if __name__ == "__main__":
    sys.exit(main())
