"""Tokens that a YAML brings: found where Ray would copy one to the head, and read from a script only if literal."""

from pathlib import Path

import pytest

from tests.yellowdog_ray.config.test_bootstrap import error_of, run
from yellowdog_ray.config.models import INTERNAL_KEY
from yellowdog_ray.config.own_token import script_token
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.scripts import HEAD_SCRIPT

AGENT = "/opt/yellowdog/agent"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "ray-folder/auth_token"
    file.parent.mkdir()
    file.write_text("my-own-token\n")
    return file


class TestMountedToken:
    @pytest.mark.parametrize(
        "remote", ["~/.ray/auth_token", "~/.ray//auth_token", ".ray/auth_token", f"{AGENT}/.ray/auth_token"]
    )
    def test_mounted_file_is_noted_with_its_local_path(self, cluster_yaml, tmp_path, token_file, remote):
        cluster_yaml["file_mounts"] = {"~/other": str(token_file), remote: str(token_file)}

        internal = run(cluster_yaml, tmp_path)["provider"][INTERNAL_KEY]

        assert internal["token_file"] == str(token_file)
        assert internal["token_place"] == f"file_mounts.{remote}"

    @pytest.mark.parametrize("remote", ["~/.ray", "~/.ray/", f"{AGENT}/.ray"])
    def test_mounted_folder_with_the_file_is_noted(self, cluster_yaml, tmp_path, token_file, remote):
        cluster_yaml["file_mounts"] = {remote: str(token_file.parent)}

        assert run(cluster_yaml, tmp_path)["provider"][INTERNAL_KEY]["token_file"] == str(token_file)

    @pytest.mark.parametrize("remote", ["~/.ray", "~/.rays", "~/data", "/etc"])
    def test_mounts_without_the_file_are_not_noted(self, cluster_yaml, tmp_path, token_file, remote):
        token_file.rename(token_file.with_name("another"))
        cluster_yaml["file_mounts"] = {remote: str(token_file.parent)}

        assert "token_file" not in run(cluster_yaml, tmp_path)["provider"][INTERNAL_KEY]


class TestUploadedToken:
    @pytest.mark.parametrize("remote", ["~/.ray/auth_token", ".ray/auth_token", f"{AGENT}/.ray/auth_token", "~/.ray"])
    def test_uploaded_token_is_refused(self, cluster_yaml, tmp_path, token_file, remote):
        local = token_file.parent if remote == "~/.ray" else token_file
        cluster_yaml["provider"]["files_to_upload"] = {remote: str(local)}

        message = error_of(cluster_yaml, tmp_path)

        assert message.startswith(f"cluster.yaml: provider.files_to_upload: {remote} would replace the cluster's token")
        assert "\n" not in message

    def test_uploaded_token_is_ignored_without_tokens(self, cluster_yaml, tmp_path, token_file):
        cluster_yaml["provider"] |= {"files_to_upload": {"~/.ray/auth_token": str(token_file)}, "ray_auth": "none"}

        run(cluster_yaml, tmp_path)


class TestScriptToken:
    @pytest.mark.parametrize(
        "line",
        [
            "export RAY_AUTH_TOKEN=tok",
            "  export RAY_AUTH_TOKEN='tok'",
            'export RAY_AUTH_TOKEN="tok";',
            "RAY_AUTH_TOKEN=tok; export RAY_AUTH_TOKEN",
            "RAY_AUTH_TOKEN=tok\nexport RAY_AUTH_TOKEN",
            "export RAY_AUTH_TOKEN=tok  # RAY_AUTH_TOKEN is ours",
            "# RAY_AUTH_TOKEN=other\nexport RAY_AUTH_TOKEN=tok\nexport RAY_AUTH_TOKEN=tok",
        ],
    )
    def test_literal_is_read(self, line):
        assert script_token(f"#!/bin/bash\n{line}\nray start --head\n", "c.yaml") == "tok"

    @pytest.mark.parametrize("script", [HEAD_SCRIPT, "export RAY_AUTH_TOKEN_PATH=/x", "# RAY_AUTH_TOKEN=tok", ""])
    def test_script_without_the_variable_brings_no_token(self, script):
        assert script_token(script, "c.yaml") is None

    @pytest.mark.parametrize(
        "line",
        [
            "export RAY_AUTH_TOKEN=`cat /etc/tok`",
            "export RAY_AUTH_TOKEN=$(cat /x)",
            "export RAY_AUTH_TOKEN=abc${SUFFIX}def",
            "export RAY_AUTH_TOKEN=$TOKEN",
            "export A=1 RAY_AUTH_TOKEN=realtoken",
            "export RAY_AUTH_TOKEN=abc#def",
            'export RAY_AUTH_TOKEN="a b"',
            "unset RAY_AUTH_TOKEN; export RAY_AUTH_TOKEN=zzz",
            "RAY_AUTH_TOKEN=only-for-this ray status",
            r"export RAY_AUTH_TOKEN=abc\\def",
            "export RAY_AUTH_TOKEN=abc\\",
            "RAY_AUTH_TOKEN= ray start",
            "export RAY_AUTH_TOKEN=",
            "if x; then export RAY_AUTH_TOKEN=inner; fi",
            "export RAY_AUTH_TOKEN=one|cat",
            'export RAY_AUTH_TOKEN="a;b"',
            "export RAY_AUTH_TOKEN='open",
            "export RAY_AUTH_TOKEN=~/x",
            "declare -x RAY_AUTH_TOKEN=d",
            "RAY_AUTH_TOKEN=not-exported",
            "export RAY_AUTH_TOKEN",
            "export RAY_AUTH_TOKEN=one\nexport RAY_AUTH_TOKEN=two",
        ],
    )
    def test_anything_else_is_refused_with_advice(self, cluster_yaml, tmp_path, line):
        cluster_yaml["provider"]["ray_head_node_task_script"] = f"#!/bin/bash\n{line}\nray start --head\n"

        message = error_of(cluster_yaml, tmp_path)

        assert "provider.ray_head_node_task_script: RayDog cannot read the token from line " in message
        assert "RAY_AUTH_TOKEN_PATH" in message
        assert "ray_auth: none" in message
        assert "\n" not in message

    def test_long_line_is_refused_quickly(self):
        with pytest.raises(ConfigError, match="from line 1,"):
            script_token(f"export RAY_AUTH_TOKEN=tok{' ' * 1_000_000}x", "c.yaml")

    def test_message_names_the_line(self):
        with pytest.raises(ConfigError, match="from line 3,"):
            script_token("#!/bin/bash\n\nexport RAY_AUTH_TOKEN=$X\n", "c.yaml")

    def test_script_is_not_read_without_tokens(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"] |= {"ray_head_node_task_script": "export RAY_AUTH_TOKEN=$X", "ray_auth": "none"}

        run(cluster_yaml, tmp_path)


class TestScriptsOfBothKinds:
    @pytest.mark.parametrize("key", ["ray_head_node_task_script", "ray_worker_node_task_script"])
    @pytest.mark.parametrize(
        ("line", "name"),
        [
            ("export RAY_AUTH_MODE=disabled", "RAY_AUTH_MODE"),
            ("RAY_AUTH_MODE=$MODE ray start", "RAY_AUTH_MODE"),
            ("export A=1 RAY_AUTH_TOKEN_PATH=/x", "RAY_AUTH_TOKEN_PATH"),
            ("unset RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN_PATH"),
        ],
    )
    def test_script_that_changes_rays_variables_is_refused(self, cluster_yaml, tmp_path, key, line, name):
        cluster_yaml["provider"][key] = f"#!/bin/bash\n{line}\nray start\n"

        message = error_of(cluster_yaml, tmp_path)

        assert message.startswith(f"cluster.yaml: provider.{key}: line 2 changes {name}, which RayDog sets")
        assert "\n" not in message

    @pytest.mark.parametrize(
        "line",
        [
            "export RAY_AUTH_MODE=token",
            "export RAY_AUTH_MODE='token'; ray start",
            "docker run -e RAY_AUTH_MODE --env RAY_AUTH_TOKEN_PATH=/token --env=RAY_AUTH_MODE=disabled image",
            "# export RAY_AUTH_MODE=disabled",
            'echo "$RAY_AUTH_MODE=x" ${RAY_AUTH_TOKEN_PATH}',
        ],
    )
    def test_script_that_leaves_rays_variables_alone_is_accepted(self, cluster_yaml, tmp_path, line):
        cluster_yaml["provider"]["ray_worker_node_task_script"] = f"#!/bin/bash\n{line}\nray start\n"

        run(cluster_yaml, tmp_path)

    def test_script_that_requires_tokens_is_refused_without_tokens(self, cluster_yaml, tmp_path):
        script = "export RAY_AUTH_MODE=token"
        cluster_yaml["provider"] |= {"ray_worker_node_task_script": script, "ray_auth": "none"}

        assert "line 1 changes RAY_AUTH_MODE" in error_of(cluster_yaml, tmp_path)

    @pytest.mark.parametrize("line", ["export RAY_AUTH_TOKEN=other", "export RAY_AUTH_TOKEN=$X"])
    def test_token_of_the_workers_script_is_refused(self, cluster_yaml, tmp_path, line):
        cluster_yaml["provider"]["ray_worker_node_task_script"] = line

        assert "cluster.yaml: provider.ray_worker_node_task_script" in error_of(cluster_yaml, tmp_path)

    def test_token_of_both_scripts_is_accepted(self, cluster_yaml, tmp_path):
        scripts = ("ray_head_node_task_script", "ray_worker_node_task_script")
        cluster_yaml["provider"] |= dict.fromkeys(scripts, "export RAY_AUTH_TOKEN=tok\nray start\n")

        run(cluster_yaml, tmp_path)
