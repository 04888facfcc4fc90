"""Reading configuration from real files: the user's own, and a project's that cannot be trusted."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.config import ProjectDefaults
from claudine_mcp.core.errors import ConfigError
from claudine_mcp.host.settings import (
    MAX_PROJECT_BYTES,
    MAX_USER_BYTES,
    _parse,
    config_path,
    load_layer,
    load_project,
    load_settings,
    state_dir,
)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Where things are


def test_the_places_are_those_that_the_environment_names(tmp_path: Path) -> None:
    env = {"CLAUDINE_HOME": str(tmp_path / "state"), "CLAUDINE_CONFIG": str(tmp_path / "c.json")}
    assert state_dir(env) == tmp_path / "state"
    assert config_path(env) == tmp_path / "c.json"


def test_the_places_are_the_platforms_when_nothing_is_named() -> None:
    for env in ({}, {"CLAUDINE_HOME": "", "CLAUDINE_CONFIG": ""}):
        assert state_dir(env).name == "claudine"
        assert state_dir(env).is_absolute()
        assert config_path(env).name == "config.json"
        assert config_path(env).parent.name == "claudine"


def test_a_tilde_that_no_shell_expanded_is_the_home_folder() -> None:
    assert state_dir({"CLAUDINE_HOME": "~/state", "HOME": "/home/someone"}) == Path("/home/someone/state")


@pytest.mark.parametrize("named", ["state", "./state", "~someone/state"])
def test_a_relative_place_is_refused_since_processes_would_disagree(named: str) -> None:
    with pytest.raises(ConfigError, match="relative path") as caught:
        state_dir({"CLAUDINE_HOME": named, "HOME": "/home/someone"})
    assert caught.value.field == "CLAUDINE_HOME"
    with pytest.raises(ConfigError, match="CLAUDINE_CONFIG"):
        config_path({"CLAUDINE_CONFIG": named})


# The user's file


def test_the_users_file_stands_below_the_command_line_and_changes_while_running(tmp_path: Path) -> None:
    path = write(
        tmp_path / "config.json",
        '{"preset": "conservative", "limits": {"killGrace": "3s", "niceness": 7, "softMaxConcurrent": 4}}',
    )
    resolved = load_settings(
        {"CLAUDINE_CONFIG": str(path)},
        command_line={"limits": {"niceness": 9, "softMaxConcurrent": 3}},
        overrides={"limits.maxMemoryPerTask": "500MB"},
    )
    limits = resolved.settings.limits
    assert (limits.kill_grace, limits.niceness, limits.soft_max_concurrent) == (3000, 9, 3)
    assert {
        key: resolved.origins[f"limits.{key}"] for key in ("killGrace", "niceness", "hardMaxConcurrent")
    } == {
        "killGrace": str(path),
        "niceness": "command line",
        "hardMaxConcurrent": "preset conservative",
    }
    assert resolved.origins["limits.maxMemoryPerTask"] == "ConfigureMonitoring"


@pytest.fixture
def platform_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return config_path({})


def test_without_a_file_the_defaults_are_in_force(platform_config: Path) -> None:
    assert not platform_config.exists()
    assert set(load_settings({}).origins.values()) == {"default"}


def test_the_platforms_file_is_read_when_it_is_there(platform_config: Path) -> None:
    write(platform_config, '{"limits": {"niceness": 3}}')
    assert load_settings({}).settings.limits.niceness == 3


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file") as caught:
        load_settings({"CLAUDINE_CONFIG": str(tmp_path / "gone.json")})
    assert caught.value.field == "CLAUDINE_CONFIG"


def test_a_link_that_leads_nowhere_is_not_the_same_as_no_file(platform_config: Path) -> None:
    platform_config.parent.mkdir(parents=True)
    platform_config.symlink_to("gone.json")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_settings({})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_file_that_may_not_be_read_is_not_the_same_as_no_file(platform_config: Path, which: str) -> None:
    write(platform_config, "{}")
    locked = platform_config if which == "file" else platform_config.parent
    locked.chmod(0)
    try:
        with pytest.raises(ConfigError, match="Permission denied"):
            load_settings({})
    finally:
        locked.chmod(0o700)


def test_the_users_file_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "dotfiles" / "claudine.json", '{"limits": {"niceness": 3}}')
    link = tmp_path / "config.json"
    link.symlink_to("dotfiles/claudine.json")
    assert load_settings({"CLAUDINE_CONFIG": str(link)}).settings.limits.niceness == 3


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", b'\xef\xbb\xbf{"limits": {"niceness": 3}}')
    assert load_settings({"CLAUDINE_CONFIG": str(path)}).settings.limits.niceness == 3


BAD_FILES = [
    pytest.param(b"", "line 1 column 1 is not JSON", id="empty"),
    pytest.param(b'{\n  "limits": {\n    "niceness": 3,,\n', "line 3 column 19 is not JSON", id="syntax"),
    pytest.param(b"{} // a remark", "line 1 column 4 is not JSON", id="comment"),
    pytest.param(b'{"limits": "\xff"}', "byte 12 is not UTF-8", id="latin"),
    pytest.param('{"limits": {}}'.encode("utf-16"), "is not UTF-8", id="utf-16"),
    pytest.param(b'{"limits": {"niceness": NaN}}', "NaN is not JSON", id="nan"),
    pytest.param(b'{"limits": {"niceness": -Infinity}}', "-Infinity is not JSON", id="infinity"),
    pytest.param(b'{"limits": {"niceness": 1e999}}', "too large", id="overflow"),
    pytest.param(b'{"limits": {"niceness": ' + b"9" * 6000 + b"}}", "too large", id="digits"),
    pytest.param(
        b'{"limits": {"niceness": 1, "niceness": 2}}', 'the key "niceness" is there twice', id="twice"
    ),
    pytest.param(b"[" * 60_000, "nested too deeply", id="depth"),
    pytest.param(b'{"a":' * 12_000, "nested too deeply", id="depth-objects"),
    pytest.param(b"[" * 400 + b"]" * 400, "a list is not an object", id="depth-bearable"),
    pytest.param(b'{"limits": {"niceness": {"a": [[[[]]]]}}}', "niceness", id="shape"),
    pytest.param(b'{"limits": {"\\u001b[2J\\ud800": 1}}', r"limits.\x1b[2J\ud800", id="escapes"),
    pytest.param(b'{"' + b"a" * 50_000 + b'": 1}', "no such key", id="long-key"),
    pytest.param(b'"' + b"a" * 50_000 + b'"', "is not an object", id="long-text"),
]


@pytest.mark.parametrize(("content", "said"), BAD_FILES)
def test_a_file_that_cannot_be_understood_gets_a_short_error_with_its_name(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = write(tmp_path / "config.json", content)
    with pytest.raises(ConfigError) as caught:
        load_settings({"CLAUDINE_CONFIG": str(path)})
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("content", "said"), BAD_FILES)
def test_a_projects_file_that_cannot_be_understood_gets_one_too(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = write(tmp_path / ".claudine.json", content)
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@given(
    st.binary(max_size=40) | st.text(alphabet='{}[]":,0123456789.eE-nulltrfas ', max_size=40).map(str.encode)
)
def test_any_bytes_are_json_or_a_config_error(content: bytes) -> None:
    with contextlib.suppress(ConfigError, UnicodeDecodeError):
        _parse(content.decode(), "x")


def test_a_file_is_bounded(tmp_path: Path) -> None:
    padding = b'{"limits": {"niceness": 3}}'.ljust(MAX_USER_BYTES)
    path = write(tmp_path / "config.json", padding)
    assert load_settings({"CLAUDINE_CONFIG": str(path)}).settings.limits.niceness == 3
    write(path, padding + b" ")
    with pytest.raises(ConfigError, match="larger than 1000 kB"):
        load_layer(path)


@pytest.fixture
def special(tmp_path: Path) -> dict[str, Path]:
    """Things in a file's place that must never be read, some of which would never let go."""
    fifo, folder = tmp_path / "fifo", tmp_path / "folder"
    os.mkfifo(fifo)
    folder.mkdir()
    return {"fifo": fifo, "folder": folder, "device": Path("/dev/zero")}


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_only_a_regular_file_is_read(special: dict[str, Path], kind: str) -> None:
    with pytest.raises(ConfigError, match="not a regular file"):
        load_layer(special[kind])


# A project's file


def test_a_project_without_a_file_says_nothing(tmp_path: Path) -> None:
    assert load_project(tmp_path) == ProjectDefaults()
    assert load_project(tmp_path / "not there") == ProjectDefaults()


def test_the_nearest_file_up_to_the_repositorys_root_counts(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    inner = repository / "a" / "b"
    inner.mkdir(parents=True)
    (repository / ".git").mkdir()
    write(tmp_path / ".claudine.json", '{"tasks": {"labels": ["outside"]}}')
    assert load_project(inner).labels is None
    write(repository / ".claudine.json", '{"tasks": {"labels": ["root"], "priority": "P2"}}')
    assert load_project(inner).labels == ("root",)
    write(repository / "a" / ".claudine.json", '{"tasks": {"labels": ["nearer"]}}')
    assert load_project(inner) == ProjectDefaults(labels=("nearer",))
    assert load_project(repository).labels == ("root",)


def test_a_worktrees_git_file_marks_a_root_as_well(tmp_path: Path) -> None:
    write(tmp_path / ".claudine.json", '{"tasks": {"labels": ["outside"]}}')
    write(tmp_path / "tree" / ".git", "gitdir: /elsewhere")
    (tmp_path / "tree" / "a").mkdir()
    assert load_project(tmp_path / "tree" / "a").labels is None


def test_outside_any_repository_only_the_folder_itself_counts(tmp_path: Path) -> None:
    write(tmp_path / ".claudine.json", '{"tasks": {"labels": ["here"]}}')
    (tmp_path / "a").mkdir()
    assert load_project(tmp_path).labels == ("here",)
    assert load_project(tmp_path / "a").labels is None


def test_a_folder_that_is_reached_by_a_link_belongs_to_where_it_really_is(tmp_path: Path) -> None:
    write(tmp_path / "real" / ".claudine.json", '{"tasks": {"labels": ["real"]}}')
    (tmp_path / "real" / ".git").mkdir()
    (tmp_path / "real" / "a").mkdir()
    (tmp_path / "link").symlink_to("real/a")
    assert load_project(tmp_path / "link").labels == ("real",)


def test_a_link_within_the_project_is_followed(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "a").mkdir()
    write(tmp_path / "conf" / "c.json", '{"tasks": {"labels": ["linked"]}}')
    (tmp_path / "a" / ".claudine.json").symlink_to("../conf/c.json")
    assert load_project(tmp_path / "a").labels == ("linked",)


@pytest.mark.parametrize("through", ["file", "folder"])
def test_a_link_out_of_the_project_is_refused_without_a_look(tmp_path: Path, through: str) -> None:
    secret = write(tmp_path / "secrets" / "key.json", '{"token": "hunter2"}')
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    if through == "file":
        (project / ".claudine.json").symlink_to(secret)
    else:
        (project / "sub").symlink_to(secret.parent)
        (project / ".claudine.json").symlink_to("sub/key.json")
    with pytest.raises(ConfigError, match="leads out of the project") as caught:
        load_project(project)
    assert "hunter2" not in str(caught.value)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("target", [".claudine.json", "gone.json"])
def test_a_link_to_itself_or_nowhere_is_an_error(tmp_path: Path, target: str) -> None:
    (tmp_path / ".claudine.json").symlink_to(target)
    with pytest.raises(ConfigError, match=r"not a regular file|cannot be read"):
        load_project(tmp_path)


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_a_project_cannot_make_a_submission_wait(special: dict[str, Path], kind: str) -> None:
    special[kind].rename(special[kind].parent / ".claudine.json")
    with pytest.raises(ConfigError, match="not a regular file"):
        load_project(special[kind].parent)


def test_a_projects_file_is_bounded(tmp_path: Path) -> None:
    content = b'{"tasks": {"labels": ["x"]}}'.ljust(MAX_PROJECT_BYTES)
    path = write(tmp_path / ".claudine.json", content)
    assert load_project(tmp_path).labels == ("x",)
    write(path, content + b" ")
    with pytest.raises(ConfigError, match="larger than 64 kB"):
        load_project(tmp_path)


def test_a_project_cannot_set_what_is_the_users(tmp_path: Path) -> None:
    path = write(tmp_path / ".claudine.json", '{"notifications": {"command": ["/bin/evil"]}}')
    with pytest.raises(ConfigError, match="may not set it") as caught:
        load_project(tmp_path)
    assert caught.value.field == "notifications"
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("cwd", ["/tmp/a\0b", "/tmp/\ud800"])
def test_a_folder_that_is_no_path_is_a_config_error(cwd: str) -> None:
    with pytest.raises(ConfigError, match="is not a path"):
        load_project(Path(cwd))
