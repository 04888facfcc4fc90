"""Configuration: defaults, presets, layers, origins, and changes while running."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest
from config_values import EXAMPLES, RIGHT, USER, nested, user
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from claudine_mcp.core.config import (
    ADJUSTABLE,
    DEFAULT_PRESET,
    KEYS,
    PRESETS,
    Layer,
    Level,
    Limits,
    Monitoring,
    Settings,
    adjustment,
    check,
    loosens,
    parse_setting,
    resolve,
)
from claudine_mcp.core.errors import ConfigError

# Defaults, presets, examples


def test_the_defaults_are_those_of_the_documentation() -> None:
    assert resolve([]).settings.flat() == {
        "preset": "balanced",
        "monitoring.enabled": True,
        "monitoring.level": "active",
        "monitoring.sampleInterval": 1000,
        "monitoring.stallThreshold": 300_000,
        "monitoring.deadlockThreshold": 60_000,
        "monitoring.repeatThreshold": 10,
        "monitoring.checkpointInterval": 600_000,
        "monitoring.agentMayLoosen": False,
        "limits.softMaxConcurrent": 10,
        "limits.hardMaxConcurrent": 50,
        "limits.maxMemoryPerTask": 2_000_000_000,
        "limits.criticalMemory": 4_000_000_000,
        "limits.maxFileDescriptors": 1000,
        "limits.maxDiskRate": 10**8,
        "limits.defaultTimeout": None,
        "limits.systemMemoryReserve": None,
        "limits.maxLogBytes": 256_000_000,
        "limits.maxCheckpointFile": 50_000_000,
        "limits.killGrace": 5000,
        "limits.niceness": 5,
        "limits.oomScoreAdj": 500,
        "scheduling.nSigma": 3,
        "scheduling.startBurst": None,
        "scheduling.startSpacing": 2000,
        "scheduling.ageing": 600_000,
        "scheduling.maxLoad": 4,
        "scheduling.dailyBudgetUsd": None,
        "claude.command": "claude",
        "claude.defaultModel": None,
        "claude.permissionMode": "default",
        "claude.allowBypassPermissions": False,
        "claude.allowedExtraArgs": (),
        "claude.allowedMcpServers": (),
        "claude.maxDepth": 1,
        "claude.maxResumes": 5,
        "claude.askPermission": False,
        "claude.askTimeout": 600_000,
        "notifications.command": None,
        "notifications.commandTimeout": 5000,
        "notifications.channel": False,
        "notifications.stopWait": 600_000,
        "retention.tasks": 1_209_600_000,
        "retention.logs": 604_800_000,
        "retention.samples": 604_800_000,
        "retention.checkpointsPerTask": 20,
        "supervisor.idleExit": 60_000,
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_founding_document_loads_as_it_stands(name: str) -> None:
    example = json.loads(EXAMPLES[name])
    assert check(user(example)) == []
    flat = resolve([user(example)]).settings.flat()
    for section, content in example.items():
        for key, value in content.items():
            assert flat[f"{section}.{key}"] == parse_setting(f"{section}.{key}", value)


@pytest.mark.parametrize(("name", "n_sigma"), [("minimal", 2), ("balanced", 3), ("conservative", 4)])
def test_a_preset_is_its_example_and_a_caution_of_its_own(name: str, n_sigma: float) -> None:
    example = resolve([user(json.loads(EXAMPLES[name]))]).settings
    preset = resolve([user({"preset": name})])
    assert preset.settings.scheduling.n_sigma == n_sigma
    differing = {key for key, value in preset.settings.flat().items() if value != example.flat()[key]}
    assert differing <= {"preset", "scheduling.nSigma"}
    assert preset.origins["limits.hardMaxConcurrent"] == f"preset {name}"
    assert preset.origins["limits.killGrace"] == "default"
    assert preset.origins["preset"] == USER


def test_naming_the_default_preset_changes_nothing() -> None:
    assert resolve([user({"preset": DEFAULT_PRESET})]).settings == resolve([]).settings


def test_settings_survive_being_written_and_read() -> None:
    settings = Settings(monitoring=Monitoring(sample_interval=250, stall_threshold=900))
    assert Settings.model_validate(settings.model_dump()) == settings
    assert Settings.model_validate_json(settings.model_dump_json(by_alias=True)) == settings


def test_settings_cannot_be_changed_or_given_what_they_do_not_have() -> None:
    with pytest.raises(ValidationError):
        Settings().limits.kill_grace = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Limits.model_validate({"killGrase": 1})


def test_settings_made_in_python_must_agree_too() -> None:
    with pytest.raises(ValidationError, match="softMaxConcurrent, 60, is more than hardMaxConcurrent, 50"):
        Settings(limits=Limits(soft_max_concurrent=60))


def test_the_memory_reserve_is_the_larger_of_a_gigabyte_and_a_tenth() -> None:
    assert Limits().reserve_bytes(4 * 10**9) == 10**9
    assert Limits().reserve_bytes(64 * 10**9) == 6_400_000_000
    assert Limits().reserve_bytes(10**9) == 250_000_000
    assert Limits(system_memory_reserve=2 * 10**9).reserve_bytes(64 * 10**9) == 2 * 10**9


def test_the_burst_of_starts_is_the_soft_cap_unless_set() -> None:
    assert Settings().start_burst == 10
    assert resolve([user({"scheduling": {"startBurst": 3}})]).settings.start_burst == 3


# Layers


def test_the_table_of_right_values_has_every_key() -> None:
    assert tuple(RIGHT) == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_every_key_takes_what_it_should_and_keeps_its_origin(key: str) -> None:
    for written, stored in RIGHT[key]:
        resolved = resolve([user(nested({key: written}))])
        assert resolved.settings.flat()[key] == stored
        assert resolved.origins[key] == USER
        assert tuple(resolved.origins) == KEYS


choices = st.fixed_dictionaries({}, optional={key: st.sampled_from(pairs) for key, pairs in RIGHT.items()})


@given(st.lists(choices, max_size=4))
def test_a_later_layer_always_wins_and_silence_changes_nothing(drawn: list[dict[str, Any]]) -> None:
    layers = [
        Layer(f"layer {n}", nested({key: pair[0] for key, pair in each.items()}))
        for n, each in enumerate(drawn)
    ]
    resolved = resolve(layers)
    expected = {key: ("default", value) for key, value in Settings().flat().items()}
    if any("preset" in each for each in drawn):
        preset = resolved.settings.preset
        for section, content in PRESETS[preset].items():
            for name, value in content.items():
                key = f"{section}.{name}"
                expected[key] = (f"preset {preset}", parse_setting(key, value))
    for layer, each in zip(layers, drawn, strict=True):
        expected |= {key: (layer.origin, pair[1]) for key, pair in each.items()}
    assert {
        key: (resolved.origins[key], value) for key, value in resolved.settings.flat().items()
    } == expected


def test_a_preset_stands_below_every_layer_whichever_names_it() -> None:
    resolved = resolve(
        [user({"limits": {"softMaxConcurrent": 3}}), Layer("command line", {"preset": "conservative"})]
    )
    assert resolved.settings.limits.soft_max_concurrent == 3
    assert resolved.settings.limits.hard_max_concurrent == 20
    assert resolved.origins["limits.softMaxConcurrent"] == USER
    assert resolved.origins["preset"] == "command line"


def test_a_null_is_a_value_where_the_key_has_one() -> None:
    layers = [
        user({"limits": {"defaultTimeout": "1h"}}),
        Layer("command line", {"limits": {"defaultTimeout": None}}),
    ]
    assert resolve(layers).settings.limits.default_timeout is None


# Changes while running


def test_parameters_of_a_change_become_a_layer() -> None:
    values = adjustment({"level": "protective", "stallThreshold": "5m", "maxMemoryPerTask": "1GB"})
    assert values == {
        "monitoring": {"level": "protective", "stallThreshold": "5m"},
        "limits": {"maxMemoryPerTask": "1GB"},
    }
    resolved = resolve([Layer("ConfigureMonitoring", values)])
    assert resolved.settings.monitoring.level is Level.PROTECTIVE
    assert resolved.origins["limits.maxMemoryPerTask"] == "ConfigureMonitoring"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("stallTreshold", "5m", "Did you mean stallThreshold?"),
        ("limits.hardMaxConcurrent", 100, "cannot be changed while running"),
        ("stallThreshold", 300, '"300s"'),
        ("level", "off", '"passive"'),
    ],
)
def test_a_change_that_cannot_be_is_refused(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adjustment({name: value})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("key", "tighter", "looser"),
    [
        ("level", "protective", "passive"),
        ("stallThreshold", "1m", "10m"),
        ("checkpointInterval", 60_000, 3_600_000),
        ("maxMemoryPerTask", "1GB", "3GB"),
        ("criticalMemory", "3GB", "8GB"),
    ],
)
def test_loosening_is_told_from_tightening(key: str, tighter: object, looser: object) -> None:
    current = Settings()
    for name in (key, ADJUSTABLE[key]):
        assert loosens(current, name, looser)
        assert not loosens(current, name, tighter)
        assert not loosens(current, name, current.flat()[ADJUSTABLE[key]])


def test_the_levels_are_in_the_order_of_what_they_do() -> None:
    for lower, higher in itertools.pairwise(["passive", "active", "protective"]):
        settings = Settings(monitoring=Monitoring(level=Level(higher)))
        assert loosens(settings, "level", lower)
        assert Level(lower).rank < Level(higher).rank


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_change_and_its_undoing_do_not_both_loosen(one: int, other: int) -> None:
    def at(ms: int) -> Settings:
        return Settings(monitoring=Monitoring(stall_threshold=max(ms, 1000)))

    there = loosens(at(one), "stallThreshold", max(other, 1000))
    back = loosens(at(other), "stallThreshold", max(one, 1000))
    assert there + back == (max(one, 1000) != max(other, 1000))


def test_reading_configuration_imports_nothing_heavy() -> None:
    # Every start of a server waits for this.
    program = "import sys, claudine_mcp.core.config, claudine_mcp.host.settings; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pydantic" in told.stdout.split()
    heavy = {"aiosqlite", "anyio", "asyncio", "mcp", "platformdirs", "psutil", "rich", "typer"}
    assert heavy.isdisjoint(told.stdout.split())
