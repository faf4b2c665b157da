"""RayDog's checks of a YAML, each apart from the others."""

import subprocess

import pytest

from yellowdog_ray.config.checks import checks, section_mistakes
from yellowdog_ray.errors import ConfigError

WORKER = ("available_node_types", "worker", "node_config")


def messages_of(config, folders) -> list[str]:
    found = []
    for check in checks(config, "cluster.yaml", folders):
        try:
            check()
        except ConfigError as error:
            found += str(error).split("\n")
    return list(dict.fromkeys(found))


def test_good_yaml_has_no_mistake(cluster_yaml, folders):
    assert list(section_mistakes(cluster_yaml)) == []
    assert messages_of(cluster_yaml, folders) == []


def test_mistakes_of_sections_are_at_their_places(cluster_yaml):
    cluster_yaml["provider"]["typo"] = 1
    cluster_yaml["provider"]["auth"] = cluster_yaml.pop("auth") | {"ssh_user": "a b"}
    cluster_yaml["available_node_types"]["worker"]["node_config"] = {"user_data": "x"}

    assert [mistake.place for mistake in section_mistakes(cluster_yaml)] == [
        ("provider", "auth", "ssh_user"),
        ("provider", "auth", "ssh_user"),
        ("provider", "typo"),
        (*WORKER, "user_data"),
        (*WORKER, "compute_requirement_template"),
    ]


@pytest.mark.parametrize("auth", [{}, None])
def test_missing_section_for_ssh_is_a_mistake(cluster_yaml, auth):
    cluster_yaml["auth"] = auth

    assert [str(mistake).split(":")[0] for mistake in section_mistakes(cluster_yaml)] == ["auth is missing"]


def test_one_missing_file_hides_no_other(cluster_yaml, folders):
    cluster_yaml["file_mounts"] = {"~/a": "no-a", "~/b": "no-b"}
    cluster_yaml["provider"] |= {"files_to_upload": ["no-c", "no-d"], "ray_worker_node_task_script": "file:no-e"}
    cluster_yaml["auth"] = {"ssh_user": "me", "ssh_private_key": "no-f", "ssh_public_key": "no-g"}
    cluster_yaml["available_node_types"]["worker"]["node_config"]["extra_userdata"] = "file:no-h"

    text = "\n".join(messages_of(cluster_yaml, folders))

    assert [name for name in "abcdefgh" if f"{folders[0]}/no-{name}" not in text] == []


@pytest.mark.parametrize("key", ["head_restart", "setup_commands"])
def test_key_with_a_passphrase_is_refused_which_the_cluster_uses(cluster_yaml, ssh_key, folders, key):
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", ssh_key], check=True)
    (cluster_yaml["provider"] if key == "head_restart" else cluster_yaml)[key] = True

    (message,) = messages_of(cluster_yaml, folders)

    assert message.startswith(f"cluster.yaml: auth.ssh_private_key: {ssh_key} has a passphrase, and ")
    assert " workers " in message


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"file_mounts": {"~/x": ".", "~/./x": "."}}, "two files would become"),
        ({"provider": {"files_to_upload": {"~/.ray/auth_token": "token"}}}, "would replace the cluster's token"),
        ({"file_mounts": {"~/x": "."}, "provider": {"files_to_upload": {"~/x": "token"}}}, "the same remote path"),
        (
            {"head_start_ray_commands": ["ray start"], "provider": {"ray_head_node_task_script": "ray start"}},
            "both start Ray",
        ),
        (
            {
                "setup_commands": ["x"],
                "worker_start_ray_commands": ["ray start"],
                "provider": {"ray_worker_node_task_script": "ray start"},
            },
            "both start Ray",
        ),
        (
            {"provider": {"ray_worker_node_task_script": "export RAY_AUTH_TOKEN=x\nunset RAY_AUTH_MODE"}},
            "line 2 changes RAY_AUTH_MODE",
        ),
        ({"provider": {"ray_worker_node_task_script": "export RAY_AUTH_TOKEN=x"}}, "exports another RAY_AUTH_TOKEN"),
        ({"provider": {"instance_tags": {f"t{number}": "x" for number in range(49)}}}, "49 tags"),
    ],
)
def test_contradiction_between_keys_is_found(cluster_yaml, folders, change, phrase):
    (folders[0] / "token").write_text("x")
    cluster_yaml |= {key: value for key, value in change.items() if key != "provider"}
    cluster_yaml["provider"] |= change.get("provider", {})

    assert phrase in "\n".join(messages_of(cluster_yaml, folders))


@pytest.mark.parametrize(("key", "others"), [("provider", 0), ("available_node_types", 0)])
def test_missing_section_ends_no_check(cluster_yaml, folders, key, others):
    del cluster_yaml[key]

    assert len(messages_of(cluster_yaml, folders)) == others
