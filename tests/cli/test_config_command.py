"""`config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import CommandLine


def config(cli: CommandLine, *arguments: str, expect: int = 0) -> str:
    return cli.out("config", *arguments, expect=expect)


def test_each_value_is_shown_with_its_origin(cli: CommandLine) -> None:
    cli.home.configure(limits={"softMaxConcurrent": 3})

    shown = json.loads(config(cli, "show", "--json"))

    path = cli.home.env["CLAUDINE_CONFIG"]
    assert shown["limits.softMaxConcurrent"] == {"value": 3, "origin": path}
    assert shown["limits.hardMaxConcurrent"] == {"value": 50, "origin": "default"}
    lines = config(cli, "show").splitlines()
    assert lines[0].split() == ["KEY", "VALUE", "ORIGIN"]
    assert f"limits.softMaxConcurrent       3                    {path}".split() in [
        line.split() for line in lines
    ]


def test_showing_makes_no_state_directory(cli: CommandLine) -> None:
    config(cli, "show")

    assert not cli.home.state_dir.exists()


def test_a_preset_is_an_origin(cli: CommandLine) -> None:
    Path(cli.home.env["CLAUDINE_CONFIG"]).write_text('{"preset": "conservative"}')

    shown = json.loads(config(cli, "show", "--json"))

    assert shown["monitoring.level"] == {"value": "protective", "origin": "preset conservative"}


def test_a_wrong_configuration_is_refused_by_key(cli: CommandLine) -> None:
    cli.home.configure(limits={"kilGrace": 1})

    assert "limits.kilGrace: there is no such key" in cli.refused("config", "show")
    assert "Did you mean limits.killGrace?" in cli.refused("run", "true")


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        ("c.json", '{"limits": {"softMaxConcurrent": 5}}', []),
        ("c.json", '{"limits": {"kilGrace": 1, "niceness": 99}}', ["limits.kilGrace", "limits.niceness"]),
        ("c.json", "{", ["line 1 column 2"]),
        ("c.json", "[]", ["is not an object"]),
        (".claudine.json", '{"tasks": {"priority": "P2"}}', []),
        (".claudine.json", '{"notifications": {"command": ["sh"]}}', ["It may set"]),
    ],
)
def test_a_file_is_checked_and_everything_wrong_is_told(
    cli: CommandLine, name: str, text: str, problems: list[str]
) -> None:
    path = cli.home.work / name
    path.write_text(text)

    found = json.loads(config(cli, "check", str(path), "--json", expect=1 if problems else 0))["problems"]

    assert len(found) == len(problems)
    for problem, said in zip(problems, found, strict=True):
        assert problem in said


def test_a_right_file_is_said_to_be_right(cli: CommandLine) -> None:
    path = cli.home.env["CLAUDINE_CONFIG"]

    assert config(cli, "check", path) == f"{path}: nothing is wrong with it"


def test_a_file_that_is_not_there_is_not_found(cli: CommandLine) -> None:
    assert "there is no file" in cli.refused("config", "check", "nowhere.json", code=3)
