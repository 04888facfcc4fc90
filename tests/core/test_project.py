"""What a project's own file may say, and that it can say nothing else."""

from __future__ import annotations

import contextlib

import pytest
from config_values import RIGHT, junk, nested
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.config import KEYS, ProjectDefaults, project_layer
from claudine_mcp.core.errors import ConfigError


def test_a_project_may_speak_of_its_own_tasks() -> None:
    values = {
        "monitoring": {"stallThreshold": "10m", "checkpointInterval": 120_000},
        "limits": {"maxMemoryPerTask": "1.5GB", "defaultTimeout": "2h"},
        "tasks": {"priority": "P2", "labels": ["docs", "nächtlich", "docs"]},
    }
    assert project_layer(values, "/p/.claudine.json") == ProjectDefaults(
        stall_threshold=600_000,
        checkpoint_interval=120_000,
        max_memory_per_task=1_500_000_000,
        default_timeout=7_200_000,
        priority="P2",
        labels=("docs", "nächtlich"),
    )


def test_a_project_that_says_nothing_changes_nothing() -> None:
    assert project_layer({}, "x") == ProjectDefaults()
    assert set(ProjectDefaults().model_dump().values()) == {None}


PROJECT_KEYS = {
    "monitoring.stallThreshold",
    "monitoring.checkpointInterval",
    "limits.maxMemoryPerTask",
    "limits.defaultTimeout",
}


@pytest.mark.parametrize("key", sorted(set(KEYS) - PROJECT_KEYS))
def test_a_project_may_not_set_what_is_the_users(key: str) -> None:
    for written, _ in RIGHT[key]:
        with pytest.raises(ConfigError, match="a project's file may not set it") as caught:
            project_layer(nested({key: written}), "/p/.claudine.json")
        assert key.startswith(caught.value.field)
        assert "/p/.claudine.json" in caught.value.problem
        assert "monitoring.stallThreshold" in caught.value.right


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"tasks": {"priority": "P0"}}, "tasks.priority", "before all others"),
        ({"tasks": {"priority": "p1"}}, "tasks.priority", '"p1" is not a priority'),
        ({"tasks": {"priority": ["P1"]}}, "tasks.priority", "a list is not a priority"),
        ({"tasks": {"priority": None}}, "tasks.priority", "null is not a priority"),
        ({"tasks": {"label": []}}, "tasks.label", "Did you mean tasks.labels?"),
        ({"tasks": {"labels": "docs"}}, "tasks.labels", "not a list"),
        ({"tasks": {"labels": [""]}}, "tasks.labels", "cannot be a label"),
        ({"tasks": {"labels": ["a\nb"]}}, "tasks.labels", "cannot be a label"),
        ({"tasks": {"labels": ["\ud800"]}}, "tasks.labels", "cannot be a label"),
        ({"tasks": {"labels": [5]}}, "tasks.labels", "cannot be a label"),
        ({"tasks": {"labels": ["x" * 65]}}, "tasks.labels", "too long"),
        ({"tasks": {"labels": ["x"] * 21}}, "tasks.labels", "21 labels are too many"),
        ({"tasks": []}, "tasks", "a list is not an object"),
        ({"hooks": {}}, "hooks", "there is no such key"),
        ({"stallThreshold": 1}, "stallThreshold", "Did you mean monitoring.stallThreshold?"),
        ({"limits": {"defaultTimeout": None}}, "limits.defaultTimeout", "keep the user's"),
        ({"limits": {"maxMemoryPerTask": "1"}}, "limits.maxMemoryPerTask", "at least 1 MB"),
        ({"monitoring": {"stallThreshold": 60}}, "monitoring.stallThreshold", '"60s"'),
        ("x", "/p/.claudine.json", "is not an object"),
    ],
)
def test_a_projects_mistake_is_refused_by_key(values: object, field: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project_layer(values, "/p/.claudine.json")
    assert caught.value.field == field
    assert said in str(caught.value)
    assert "/p/.claudine.json" in str(caught.value)


@given(junk)
def test_a_projects_file_never_says_more_than_it_may(values: object) -> None:
    with contextlib.suppress(ConfigError):
        project = project_layer(values, "/p/.claudine.json")
        assert isinstance(values, dict)
        said = {f"{section}.{name}" for section, content in values.items() for name in content}
        assert said <= PROJECT_KEYS | {"tasks.priority", "tasks.labels"}
        assert len(said) == sum(value is not None for value in project.model_dump().values())
        assert project.priority != "P0"


ALLOWED = {
    **{key: RIGHT[key] for key in PROJECT_KEYS},
    "tasks.priority": [("P1", "P1")],
    "tasks.labels": [(["a"], ("a",))],
}
chosen = st.fixed_dictionaries(
    {},
    optional={
        key: st.sampled_from([pair for pair in pairs if pair[0] is not None])
        for key, pairs in ALLOWED.items()
    },
)


@given(chosen, st.none() | st.sampled_from(sorted(set(KEYS) - PROJECT_KEYS)))
def test_one_key_that_is_the_users_makes_a_projects_file_worth_nothing(
    mine: dict[str, tuple[object, object]], theirs: str | None
) -> None:
    values = {key: pair[0] for key, pair in mine.items()}
    if theirs is None:
        said = project_layer(nested(values), "x").model_dump(exclude_none=True)
        assert sorted(map(str, said.values())) == sorted(str(pair[1]) for pair in mine.values())
    else:
        with pytest.raises(ConfigError, match="may not set it"):
            project_layer(nested({**values, theirs: RIGHT[theirs][0][0]}), "x")
