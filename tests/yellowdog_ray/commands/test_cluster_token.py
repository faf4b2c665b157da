"""The cluster's token on the user's machine: random, or the user's own; in one private file for each cluster."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from yellowdog_ray.commands.cluster_token import (
    ClusterToken,
    delete_token,
    export_line,
    keep_token,
    token_file,
    users_token,
)
from yellowdog_ray.config.models import INTERNAL_KEY, ProviderSettings, parse_provider
from yellowdog_ray.config.own_token import mounted_token
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.variables import AUTH_MODE, AUTH_TOKEN, AUTH_TOKEN_PATH


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (AUTH_MODE, AUTH_TOKEN, AUTH_TOKEN_PATH):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def settings_of(
    script: str | None = None, file_mounts: Mapping[str, str] | None = None, **section: str
) -> ProviderSettings:
    """The settings of a YAML, as `bootstrap_config` leaves them."""
    internal = {"source": "cluster.yaml", **mounted_token(file_mounts or {})}
    own = {"cluster_namespace": "demo", "ray_head_node_task_script": script, INTERNAL_KEY: internal}
    return parse_provider({**own, **section}, "cluster.yaml")


def token(**file_mounts: str) -> ClusterToken:
    return ClusterToken(settings_of(file_mounts=file_mounts), "ray")


class TestRandomToken:
    def test_token_has_256_bits_and_is_another_each_time(self, home):
        tokens = {token().proposed for _ in range(10)}

        assert len(tokens) == 10
        assert all(len(bytes.fromhex(text)) == 32 for text in tokens)

    @pytest.mark.parametrize("file", [".ray/auth_token", ".raydog/clusters/demo.other/auth_token"])
    def test_token_of_another_cluster_on_this_machine_is_not_used(self, home, monkeypatch, file):
        other = home / file
        other.parent.mkdir(parents=True)
        other.write_text("another-clusters-token")
        if ".raydog" in file:
            monkeypatch.setenv(AUTH_TOKEN_PATH, str(other))
            monkeypatch.setenv(AUTH_MODE, "token")

        assert token().proposed != "another-clusters-token"

    @pytest.mark.parametrize("way", ["link", "dots", "slashes"])
    def test_own_file_is_recognised_by_any_path(self, home, monkeypatch, way):
        keep_token(token_file("demo", "other"), "another-clusters-token")
        (home / "link").symlink_to(home)
        prefix = {"link": f"{home}/link", "dots": f"{home}/.raydog/..", "slashes": f"/{home}"}[way]
        monkeypatch.setenv(AUTH_TOKEN_PATH, f"{prefix}/.raydog/clusters/demo.other/auth_token")

        assert token().proposed != "another-clusters-token"


class TestUsersToken:
    def test_variable_is_used(self, home, monkeypatch):
        monkeypatch.setenv(AUTH_TOKEN, "my-own-token")

        assert token().proposed == "my-own-token"

    def test_file_of_the_variable_is_used(self, home, monkeypatch):
        (home / "mine").write_text("my-own-token\n")
        monkeypatch.setenv(AUTH_TOKEN_PATH, "~/mine")

        assert token().proposed == "my-own-token"

    @pytest.mark.parametrize("remote", ["~/.ray/auth_token", "/opt/yellowdog/agent/.ray/auth_token"])
    def test_mounted_file_is_used_first(self, home, monkeypatch, remote):
        """Ray's own recipe: Ray copies the file over the head's."""
        (home / "mine").write_text("my-mounted-token\n")
        monkeypatch.setenv(AUTH_TOKEN, "another")

        assert token(**{remote: str(home / "mine")}).proposed == "my-mounted-token"

    @pytest.mark.parametrize(
        "line", ["export {}=my-own-token", "{}='my-own-token'; export {}", '  export {}="my-own-token"']
    )
    def test_token_of_the_heads_script_is_used(self, home, line):
        """Ray on the head uses it; logins there must have the same."""
        script = "#!/bin/bash\n" + line.replace("{}", AUTH_TOKEN) + "\nray start --head\n"

        assert ClusterToken(settings_of(script), "ray").proposed == "my-own-token"

    @pytest.mark.parametrize("text", ["", "\n", "two words", "two\nlines", "ü"])
    def test_unusable_text_is_refused_with_its_place(self, home, monkeypatch, text):
        (home / "mine").write_text(text)
        monkeypatch.setenv(AUTH_TOKEN_PATH, str(home / "mine"))

        with pytest.raises(ConfigError, match=rf"^{AUTH_TOKEN_PATH} \(.*mine\) is no token") as caught:
            token()

        assert "\n" not in str(caught.value)

    def test_missing_file_is_refused_with_its_place(self, home, monkeypatch):
        monkeypatch.setenv(AUTH_TOKEN_PATH, str(home / "missing"))

        with pytest.raises(ConfigError, match=f"^{AUTH_TOKEN_PATH}: .*missing cannot be read"):
            token()

    def test_file_below_an_unknown_users_home_is_refused_with_its_place(self, home, monkeypatch):
        monkeypatch.setenv(AUTH_TOKEN_PATH, "~nosuchuser/token")

        with pytest.raises(ConfigError, match=f"^{AUTH_TOKEN_PATH}: ~nosuchuser/token cannot be read"):
            token()

    @pytest.mark.parametrize(
        ("name", "value"),
        [(AUTH_TOKEN_PATH, "/missing/token"), (AUTH_TOKEN_PATH, "~nosuchuser/x"), (AUTH_TOKEN, "a b")],
    )
    def test_no_source_counts_without_tokens(self, home, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        script = f"export {AUTH_TOKEN}=$(cat /token)\n"
        mounts = {"~/.ray/auth_token": "/missing/token"}

        assert users_token(settings_of(script, mounts, ray_auth="none")) is None


class TestFile:
    def test_file_is_private(self, home):
        token().adopt("the-clusters-token")

        file = home / ".raydog/clusters/demo.ray/auth_token"
        assert file.read_text() == "the-clusters-token"
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700

    def test_file_of_an_earlier_cluster_is_replaced(self, home):
        file = token_file("demo", "ray")
        keep_token(file, "old")
        file.chmod(0o644)

        keep_token(file, "new")

        assert file.read_text() == "new"
        assert file.stat().st_mode & 0o777 == 0o600

    def test_folders_are_private_whatever_the_umask(self, home):
        umask = os.umask(0)
        try:
            keep_token(token_file("demo", "ray"), "t")
        finally:
            os.umask(umask)

        folders = [home / ".raydog", home / ".raydog/clusters", home / ".raydog/clusters/demo.ray"]
        assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3

    def test_check_leaves_nothing(self, home):
        token().check_file()

        assert list((home / ".raydog/clusters").iterdir()) == []

    def test_check_keeps_the_file_of_an_earlier_ray_up(self, home):
        file = token_file("demo", "ray")
        keep_token(file, "old")

        token().check_file()

        assert [(each, each.read_text()) for each in file.parent.iterdir()] == [(file, "old")]

    def test_file_that_cannot_be_written_is_refused_with_its_path(self, home):
        (home / ".raydog").write_text("a file")

        with pytest.raises(ConfigError, match=r"clusters/demo.ray/auth_token.*cannot be written \("):
            token().check_file()

    def test_rays_own_file_is_left_alone(self, home):
        token().adopt("the-clusters-token")

        assert not (home / ".ray").exists()

    def test_deleted_token_leaves_nothing(self, home):
        file = token_file("demo", "ray")
        keep_token(file, "t")
        keep_token(token_file("demo", "other"), "t")

        delete_token(file)
        delete_token(file)

        assert [folder.name for folder in file.parents[1].iterdir()] == ["demo.other"]

    def test_export_line_is_for_a_shell(self, home):
        words = shlex.split(export_line(home / "with space/auth_token"))

        assert words == ["export", "RAY_AUTH_MODE=token", f"RAY_AUTH_TOKEN_PATH={home}/with space/auth_token"]


class TestRunningCluster:
    """A second `ray up` adopts the head's token."""

    def test_heads_token_is_kept_without_a_word_about_tokens_of_the_user(self, home):
        (line,) = token().adopt("the-heads-token")

        assert token_file("demo", "ray").read_text() == "the-heads-token"
        assert export_line(token_file("demo", "ray")) in line

    def test_other_token_in_the_variable_gives_a_warning(self, home, monkeypatch):
        monkeypatch.setenv(AUTH_TOKEN, "my-own-token")

        _, warning = token().adopt("the-heads-token")

        assert warning.startswith(f"warning: {AUTH_TOKEN} has another token than the running cluster")
        assert "my-own-token" not in warning

    def test_other_mounted_token_is_refused(self, home):
        """Ray would copy it over the head's, and new processes would not reach the old ones."""
        (home / "mine").write_text("my-mounted-token")

        with pytest.raises(ConfigError, match="differs from the running cluster's token") as caught:
            token(**{"~/.ray/auth_token": str(home / "mine")}).adopt("the-heads-token")

        assert "mounted-token" not in str(caught.value)

    def test_same_token_is_no_conflict(self, home, monkeypatch):
        monkeypatch.setenv(AUTH_TOKEN, "the-heads-token")

        assert len(token().adopt("the-heads-token")) == 1
