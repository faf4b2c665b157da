"""`ray up` with a token of the user's: used whatever Ray makes of the YAML, and refused before anything is created."""

import os
from pathlib import Path

import pytest
import ray
import yaml

from tests.commands.account import NAME
from tests.commands.laptop import assert_one_clear_message
from yellowdog_ray.commands import deliver
from yellowdog_ray.commands.deliver import Delivered, for_the_head
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.node.ray_versions import has_tokens
from yellowdog_ray.private_file import write_private

pytestmark = pytest.mark.skipif(not has_tokens(ray.__version__), reason="this version of Ray has no tokens")


@pytest.fixture
def own_file(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    file = folder / "auth_token"
    file.write_text("my-mounted-token-0123456789\n")
    return file


def write(laptop, file_mounts=None, **provider):
    laptop.yaml["file_mounts"] = {remote: str(local) for remote, local in (file_mounts or {}).items()}
    laptop.yaml["provider"].update(provider)
    laptop.file.write_text(yaml.safe_dump(laptop.yaml))


def clusters() -> Path:
    return Path(os.environ["HOME"]) / ".raydog/clusters"


def block_folder(laptop) -> None:
    """Put a file where the folder of the cluster's token would be."""
    clusters().mkdir(parents=True, exist_ok=True)
    (clusters() / f"{laptop.yaml['provider']['cluster_namespace']}.{NAME}").write_text("a file")


def kept() -> list[str]:
    """The tokens on the user's machine."""
    return [file.read_text() for file in clusters().glob(f"*.{NAME}/auth_token")]


def assert_nothing_was_created(result, account, phrase):
    assert_one_clear_message(result, phrase)
    assert "left on YellowDog" not in result.output
    account.assert_nothing_left()


class TestMountedToken:
    @pytest.mark.parametrize("remote", ["~/.ray/auth_token", "/opt/yellowdog/agent/.ray/auth_token", "~/.ray"])
    def test_mounted_token_becomes_the_clusters(self, laptop, own_file, remote):
        """Ray replaces the local paths of `file_mounts` before it calls the provider."""
        default = Path(os.environ["HOME"]) / ".ray/auth_token"
        default.parent.mkdir()
        default.write_text("of-another-cluster")
        write(laptop, {remote: own_file.parent if remote == "~/.ray" else own_file})

        up = laptop.up()

        assert up.exit_code == 0, up.output
        assert kept() == ["my-mounted-token-0123456789"]

    def test_head_receives_no_local_path(self, laptop, own_file, monkeypatch):
        sent = []
        monkeypatch.setattr(deliver, "for_the_head", lambda config: sent.append(for_the_head(config)) or sent[-1])
        write(laptop, {"~/.ray/auth_token": own_file})

        assert laptop.up().exit_code == 0
        (on_head,) = sent
        assert str(own_file) not in str(on_head)


class TestRefusal:
    """Each mistake is found before anything is created."""

    @pytest.fixture(autouse=True)
    def _no_creation(self, world, laptop):
        mark = world.lab.calls.mark()  # after the calls of other fixtures
        yield
        assert not [call for call in world.lab.calls.since(mark) if call.method == "POST"]

    def test_mounted_file_without_a_token_is_refused(self, laptop, account, own_file):
        own_file.write_text("two words\n")
        write(laptop, {"~/.ray/auth_token": own_file})

        assert_nothing_was_created(laptop.up(), account, "file_mounts.~/.ray/auth_token")

    @pytest.mark.parametrize("path", ["/missing/token", "~nosuchuser/token"])
    def test_unreadable_file_of_the_variable_is_refused(self, laptop, account, monkeypatch, path):
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", path)

        assert_nothing_was_created(laptop.up(), account, f"RAY_AUTH_TOKEN_PATH: {path} cannot be read")

    def test_folder_that_cannot_be_made_is_refused(self, laptop, account):
        block_folder(laptop)

        assert_nothing_was_created(laptop.up(), account, "where `ray up` keeps the cluster's token, cannot be written")

    def test_folder_in_the_tokens_place_is_refused(self, laptop, account):
        (clusters() / f"{laptop.yaml['provider']['cluster_namespace']}.{NAME}/auth_token").mkdir(parents=True)

        assert_nothing_was_created(laptop.up(), account, "where `ray up` keeps the cluster's token, cannot be written")

    def test_uploaded_token_is_refused(self, laptop, account, own_file):
        write(laptop, files_to_upload={"~/.ray/auth_token": str(own_file)})

        assert_nothing_was_created(laptop.up(), account, "files_to_upload: ~/.ray/auth_token would replace")

    @pytest.mark.parametrize("value", [False, 0, "", []])
    def test_false_value_of_ray_auth_is_refused(self, laptop, account, value):
        write(laptop, ray_auth=value)

        assert_nothing_was_created(laptop.up(), account, "write token or none")

    def test_unreadable_token_of_the_script_is_refused(self, laptop, account):
        write(laptop, ray_head_node_task_script="#!/bin/bash\nexport RAY_AUTH_TOKEN=$(cat /token)\nray start --head\n")

        assert_nothing_was_created(laptop.up(), account, "cannot read the token from line 2")


class TestWithoutTokens:
    @pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
    def test_variables_are_ignored(self, laptop, monkeypatch, name):
        write(laptop, ray_auth="none")
        monkeypatch.setenv(name, "/missing token")

        for _ in range(2):
            up = laptop.up()
            assert up.exit_code == 0, up.output

    def test_mounted_file_and_folder_of_tokens_are_ignored(self, laptop, own_file):
        own_file.write_text("two words\n")
        block_folder(laptop)
        write(laptop, {"~/.ray/auth_token": own_file}, ray_auth="none")

        up = laptop.up()

        assert up.exit_code == 0, up.output


class TestFailureAfterCreation:
    @pytest.mark.parametrize(
        "error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")]
    )
    def test_token_that_cannot_be_kept_leaves_nothing(self, laptop, account, monkeypatch, error):
        def fails(file, content):
            if file.name == "auth_token":
                raise error
            write_private(file, content)

        monkeypatch.setattr("yellowdog_ray.commands.cluster_token.write_private", fails)

        up = laptop.up()

        assert_nothing_was_created(up, account, f"cannot be written ({error.strerror})")

    def test_failure_of_this_machine_leaves_nothing(self, laptop, account, monkeypatch):
        def fails(*_):
            raise OSError(24, "Too many open files")

        monkeypatch.setattr("yellowdog_ray.commands.deliver.deliver", fails)

        assert_nothing_was_created(laptop.up(), account, "Too many open files")

    def test_remains_are_named_when_they_cannot_be_removed(self, laptop, account, monkeypatch):
        def fails(*_):
            raise OSError(24, "Too many open files")

        def not_removed(*_):
            raise RayDogError("the platform is away")

        monkeypatch.setattr("yellowdog_ray.commands.deliver.deliver", fails)
        with monkeypatch.context() as patch:
            patch.setattr("yellowdog_ray.commands.teardown.tear_down", not_removed)
            up = laptop.up()

        assert_one_clear_message(up, "could not be removed: run `ray down`")
        assert f"left on YellowDog, where it may cost money: work requirement {NAME}" in " ".join(up.output.split())
        assert laptop.down().exit_code == 0
        account.assert_nothing_left()

    def test_other_mounted_token_leaves_a_running_cluster_alone(self, laptop, account, own_file, monkeypatch):
        write(laptop, {"~/data": own_file})
        assert laptop.up().exit_code == 0
        write(laptop, {"~/.ray/auth_token": own_file})
        monkeypatch.setattr("yellowdog_ray.commands.deliver.deliver", lambda *_: Delivered("the-heads-token"))

        again = laptop.up()

        assert_one_clear_message(again, "differs from the running cluster's token")
        account.assert_one_cluster()
        assert laptop.down().exit_code == 0
