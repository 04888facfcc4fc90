"""`reserve`."""

from __future__ import annotations

from commandline import CommandLine


def test_capacity_is_reserved_listed_and_released(cli: CommandLine) -> None:
    assert cli.out("reserve") == "nothing is reserved"
    done, advice = cli.out("reserve", "--slots", "1", "--memory", "1MB", "--duration", "1h").splitlines()
    assert done.startswith("kept free: 1 MB of memory and 1 slot, until ")
    assert advice.startswith("release it with `claudine-mcp reserve --release ")
    (kept,) = cli.json("reserve")["reservations"]
    assert (kept["slots"], kept["memoryBytes"]) == (1, 10**6)
    for command in ("reserve", "status"):
        assert f"{kept['reservationId']}  1 MB" in cli.out(command)
    gone = cli.out("reserve", "--release", kept["reservationId"][:6])
    assert gone.startswith("not kept free any more: 1 MB of memory and 1 slot; released by ")
    assert cli.json("reserve") == {"reservations": []}


def test_what_is_not_there_is_not_released_and_nothing_is_not_reserved(cli: CommandLine) -> None:
    assert "there is no reservation 'nope'" in cli.refused("reserve", "--release", "nope", code=3)
    assert "--memory: there is nothing to keep free" in cli.refused("reserve", "--duration", "1h")
    assert "--slots: -1 is no number of slots" in cli.refused("reserve", "--slots", "-1")
