"""What is wrong with a configuration, and how it is told."""

from __future__ import annotations

import math

import pytest
from config_values import USER, junk, user
from hypothesis import given

from claudine_mcp.core.config import MAX_PROBLEMS, Layer, check, resolve
from claudine_mcp.core.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "field", "problem", "right"),
    [
        ({"limits": {"killGrase": 1}}, "limits.killGrase", "no such key", "Did you mean limits.killGrace?"),
        ({"limits": {"kill_grace": 1}}, "limits.kill_grace", "no such key", "limits.killGrace"),
        ({"stallTreshold": 1}, "stallTreshold", "no such key", "monitoring.stallThreshold"),
        (
            {"limits": {"stallThreshold": 1}},
            "limits.stallThreshold",
            "no such key",
            "monitoring.stallThreshold",
        ),
        ({"monitor": {}}, "monitor", "no such key", "Did you mean monitoring?"),
        ({"limits": {"soft": {}}}, "limits.soft", "no such key", "documentation"),
        ({"limits.killGrace": 1}, "limits.killGrace", "no such key", '{"limits": {"killGrace": …}}'),
        ({"limits": {"x\x1b[2J": 1}}, r'"limits.x\x1b[2J"', "no such key", ""),
        ({"preset": "strict"}, "preset", 'no preset "strict"', '"minimal", "balanced", "conservative"'),
        ({"preset": ["minimal"]}, "preset", "no preset a list", ""),
        ({"limits": []}, "limits", "a list is not an object", '"limits": {"softMaxConcurrent": …}'),
        ({"limits": None}, "limits", "null is not an object", ""),
        ({"monitoring": {"enabled": "yes"}}, "monitoring.enabled", '"yes" is not true or false', ""),
        ({"monitoring": {"enabled": 1}}, "monitoring.enabled", "1 is not true or false", ""),
        (
            {"monitoring": {"level": "loud"}},
            "monitoring.level",
            '"loud"',
            '"passive", "active" or "protective"',
        ),
        ({"monitoring": {"level": {}}}, "monitoring.level", "an object", '"passive"'),
        ({"monitoring": {"level": None}}, "monitoring.level", "null", "Leave the key out"),
        ({"monitoring": {"stallThreshold": 300}}, "monitoring.stallThreshold", "300 milliseconds", '"300s"'),
        ({"monitoring": {"sampleInterval": "10ms"}}, "monitoring.sampleInterval", "at least 100 ms", ""),
        ({"retention": {"tasks": 14}}, "retention.tasks", "14 milliseconds", '"14d"'),
        ({"limits": {"killGrace": -5}}, "limits.killGrace", "-5 is negative", '"30s"'),
        ({"limits": {"killGrace": None}}, "limits.killGrace", "null", "Leave the key out"),
        ({"limits": {"softMaxConcurrent": 0}}, "limits.softMaxConcurrent", "0 is too small", "at least 1"),
        ({"limits": {"softMaxConcurrent": 2.5}}, "limits.softMaxConcurrent", "2.5 is not a whole number", ""),
        (
            {"limits": {"softMaxConcurrent": "10"}},
            "limits.softMaxConcurrent",
            '"10" is not a whole number',
            "",
        ),
        (
            {"limits": {"softMaxConcurrent": True}},
            "limits.softMaxConcurrent",
            "true is not a whole number",
            "",
        ),
        ({"limits": {"hardMaxConcurrent": 10**30}}, "limits.hardMaxConcurrent", "too large", "at most 10000"),
        ({"limits": {"maxMemoryPerTask": 2048}}, "limits.maxMemoryPerTask", "at least 1 MB", '"2GB"'),
        ({"limits": {"criticalMemory": "4G"}}, "limits.criticalMemory", 'unknown unit, "G"', '"2GB"'),
        ({"limits": {"niceness": -1}}, "limits.niceness", "too small", "at least 0"),
        ({"scheduling": {"nSigma": math.inf}}, "scheduling.nSigma", "not a finite number", ""),
        ({"scheduling": {"nSigma": 0}}, "scheduling.nSigma", "0 is too small", "more than 0"),
        ({"scheduling": {"nSigma": "3"}}, "scheduling.nSigma", '"3" is not a number', ""),
        ({"scheduling": {"dailyBudgetUsd": -1}}, "scheduling.dailyBudgetUsd", "too small", "more than 0"),
        ({"claude": {"command": "./claude"}}, "claude.command", "depends on where", "whole path"),
        ({"claude": {"command": ["claude"]}}, "claude.command", "a list is not the name", ""),
        ({"claude": {"command": ""}}, "claude.command", "is not the name", ""),
        ({"claude": {"defaultModel": "--settings"}}, "claude.defaultModel", "not the name of a model", ""),
        ({"claude": {"permissionMode": "yolo"}}, "claude.permissionMode", '"yolo"', '"plan"'),
        (
            {"notifications": {"command": "notify-send x"}},
            "notifications.command",
            "not a list",
            '["notify-send"',
        ),
        ({"notifications": {"command": []}}, "notifications.command", "not a list", ""),
        ({"notifications": {"command": ["x", 1]}}, "notifications.command", "not every argument", ""),
        ({"notifications": {"command": [None]}}, "notifications.command", "not the name of a program", ""),
        ([], USER, "a list is not an object", '{"limits"'),
        (None, USER, "null is not an object", ""),
    ],
)
def test_what_is_wrong_is_refused_by_key_and_origin_with_what_would_be_right(
    values: object, field: str, problem: str, right: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve([user(values), Layer("command line", {})])
    error = caught.value
    assert error.field == field
    assert problem in error.problem
    assert right in error.right
    assert USER in str(error)
    assert check(user(values)) == [str(error)]


def test_a_file_is_told_all_that_is_wrong_with_it() -> None:
    values = {
        "limits": {"killGrase": 1, "killGrace": "1s", "niceness": 99},
        "moonitoring": {},
        "monitoring": {"level": "loud"},
    }
    told = check(user(values))
    assert [line.partition(":")[0] for line in told] == [
        "limits.killGrase",
        "limits.niceness",
        "moonitoring",
        "monitoring.level",
    ]


def test_a_file_of_ten_thousand_mistakes_is_told_of_the_first() -> None:
    told = check(user({f"key{n}": n for n in range(10_000)}))
    assert len(told) == MAX_PROBLEMS + 1
    assert "more" in told[-1]
    assert len(check(user({f"key{n}": n for n in range(MAX_PROBLEMS)}))) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("layers", "field", "said"),
    [
        (
            [user({"limits": {"softMaxConcurrent": 60}})],
            "limits.softMaxConcurrent",
            f"is more than hardMaxConcurrent, 50 (from {USER}; limits.hardMaxConcurrent from default)",
        ),
        (
            [user({"limits": {"hardMaxConcurrent": 5}})],
            "limits.hardMaxConcurrent",
            "softMaxConcurrent, 10, is more than",
        ),
        (
            [user({"limits": {"softMaxConcurrent": 30}}), Layer("command line", {"preset": "conservative"})],
            "limits.softMaxConcurrent",
            "limits.hardMaxConcurrent from preset conservative",
        ),
        (
            [user({"limits": {"softMaxConcurrent": 30, "hardMaxConcurrent": 20}})],
            "limits.softMaxConcurrent",
            f"20 (from {USER}). Lower limits.softMaxConcurrent or raise limits.hardMaxConcurrent.",
        ),
        (
            [
                user({"limits": {"criticalMemory": "3GB"}}),
                Layer("ConfigureMonitoring", {"limits": {"maxMemoryPerTask": "3.5GB"}}),
            ],
            "limits.maxMemoryPerTask",
            "3.5 GB, is more than criticalMemory, 3 GB",
        ),
        (
            [Layer("ConfigureMonitoring", {"limits": {"maxMemoryPerTask": "5GB"}})],
            "limits.maxMemoryPerTask",
            "Or reset what ConfigureMonitoring changed.",
        ),
        (
            [user({"monitoring": {"sampleInterval": "10m"}})],
            "monitoring.sampleInterval",
            "10 min, is more than",
        ),
        (
            [user({"claude": {"permissionMode": "bypassPermissions"}})],
            "claude.permissionMode",
            "allowBypassPermissions",
        ),
    ],
)
def test_a_contradiction_is_blamed_on_what_was_set_last(layers: list[Layer], field: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(layers)
    assert caught.value.field == field
    assert said in str(caught.value)


def test_bypassing_permissions_must_be_allowed_and_then_is() -> None:
    values = {"claude": {"permissionMode": "bypassPermissions", "allowBypassPermissions": True}}
    assert resolve([user(values)]).settings.claude.permission_mode == "bypassPermissions"


@given(junk)
def test_any_json_is_settings_or_a_config_error(values: object) -> None:
    told = check(user(values))
    try:
        resolve([user(values)])
    except ConfigError as error:
        assert told[0] == str(error)  # noqa: PT017 - either end is right, if both agree
    else:
        assert told == []
