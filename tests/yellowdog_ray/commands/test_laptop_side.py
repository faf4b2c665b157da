"""The provider on the user's machine: what works without SSH, what fails with one message, what changes nothing."""

import json
import subprocess
import sys
from typing import Any

import pytest
from yellowdog_client.model import TaskSearch

from tests.yellowdog_ray.ray_cli import create_head, everything_on, make_provider, ray
from yellowdog_local import faults
from yellowdog_ray.errors import HostKeyChanged, SshError
from yellowdog_ray.provider import RayDogNodeProvider


class TestUnreachableHead:
    """Simulated hosts have no SSH, so every head here is one that cannot be reached."""

    @pytest.fixture
    def running(self, platform, in_a_users_folder, cluster_yaml) -> dict[str, Any]:
        """The YAML of a cluster whose head runs."""
        create_head(make_provider(cluster_yaml), cluster_yaml)
        platform.advance(3)
        return cluster_yaml

    def test_get_head_ip_works_when_head_is_unreachable(self, platform, running, in_a_users_folder):
        result = ray("get-head-ip", running, in_a_users_folder)

        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[-1] == "198.18.0.1"

    def test_get_worker_ips_works_when_head_is_unreachable(self, platform, running, in_a_users_folder):
        result = ray("get-worker-ips", running, in_a_users_folder)

        assert (result.exit_code, result.output.strip()) == (0, "")

    def test_reading_commands_change_nothing(self, platform, running, in_a_users_folder):
        for command in ("get-head-ip", "get-worker-ips"):
            ray(command, running, in_a_users_folder)

        platform.advance(60)
        assert everything_on(platform) == (1, 1, 1)
        assert len(platform.hosts.instance_ids) == 1

    def test_uploads_of_ray_have_a_deadline(self, platform, running, in_a_users_folder, monkeypatch):
        side = make_provider(running).side
        monkeypatch.setattr(side.access, "check", lambda _: None)
        monkeypatch.setattr("yellowdog_ray.remote.uploads.with_deadlines", lambda runner: ("with deadlines", runner))

        assert side.command_runner("head-1", lambda: "runner") == ("with deadlines", "runner")

    def test_end_of_provider_and_process_changes_nothing(self, platform, running, in_a_users_folder):
        running["auth"]["ssh_proxy_command"] = "false"  # SSH fails at once
        (in_a_users_folder / "cluster.json").write_text(json.dumps(RayDogNodeProvider.bootstrap_config(running)))

        done = subprocess.run([sys.executable, "-c", LISTS_AND_ENDS], capture_output=True, text=True, check=False)

        assert (done.stdout, done.returncode) == ("1 listed\n", 0), done.stderr
        platform.advance(60)
        assert everything_on(platform) == (1, 1, 1)
        assert len(platform.hosts.instance_ids) == 1

    def test_ray_down_works_when_head_is_unreachable(self, platform, running, in_a_users_folder):
        running["auth"]["ssh_proxy_command"] = "false"  # SSH fails at once

        result = ray("down", running, in_a_users_folder, "-y")

        assert result.exit_code == 0, result.output
        assert "nothing is left of cluster 'demo'" in result.output
        assert platform.hosts.instance_ids == []

    def test_ray_down_fails_with_the_remains_after_its_timeout(self, platform, running, in_a_users_folder, monkeypatch):
        monkeypatch.setattr("yellowdog_ray.commands.teardown.TEARDOWN_TIMEOUT_SECONDS", 0.0)
        running["auth"]["ssh_proxy_command"] = "false"  # SSH fails at once

        with platform.faults.during(faults.AbortLost()):
            result = ray("down", running, in_a_users_folder, "-y")

        assert result.exit_code == 1
        assert "the platform still shows 1 instance" in result.output
        assert "run `ray down` again" in result.output

    @pytest.mark.parametrize("command", ["exec true", "attach", "rsync-up a b", "submit job.py"])
    def test_ssh_command_fails_with_one_message_when_head_is_unreachable(
        self, platform, running, in_a_users_folder, command, monkeypatch
    ):
        monkeypatch.setattr("yellowdog_ray.commands.access.PROBE_SECONDS", 0.2)
        monkeypatch.setattr("yellowdog_ray.remote.ssh.CONNECT_SECONDS", 1)
        (in_a_users_folder / "job.py").write_text("")
        verb, *arguments = command.split()

        result = ray(verb, running, in_a_users_folder, *arguments)

        assert result.exit_code == 1
        assert "does not answer at 198.18.0.1, port 22" in result.output
        assert "Traceback" not in result.output
        assert everything_on(platform) == (1, 1, 1)
        assert len(platform.hosts.instance_ids) == 1

    def test_missing_tag_server_gives_a_warning_when_head_is_ready(self, platform, running, monkeypatch, capsys):
        def no_way(*_: object) -> None:
            raise SshError("connection refused")

        monkeypatch.setattr("yellowdog_ray.commands.access.Tunnel", no_way)
        provider = make_provider(running)
        (head,) = provider.non_terminated_nodes({})
        capsys.readouterr()

        provider.set_node_tags(head, {"ray-node-status": "setting-up"})
        assert capsys.readouterr().out == ""
        provider.set_node_tags(head, {"ray-node-status": "up-to-date"})

        assert "The tag server on the head does not answer on port 16667" in capsys.readouterr().out
        assert provider.node_tags(head)["ray-node-status"] == "up-to-date"

    def test_tag_server_that_requires_a_password_gives_a_warning(self, running, monkeypatch, capsys):
        provider = make_provider(running)
        (head,) = provider.non_terminated_nodes({})
        store = provider.side.tag_store
        monkeypatch.setattr(store, "set", lambda *_: False)
        monkeypatch.setattr(store, "refusal", "Authentication required.")
        capsys.readouterr()

        provider.set_node_tags(head, {"ray-node-status": "up-to-date"})

        output = capsys.readouterr().out
        assert "port 16667, refuses RayDog's tags (Authentication required.)" in " ".join(output.split())
        assert "does not answer" not in output

    def test_ssh_command_fails_with_one_message_when_proxy_fails(self, platform, running, in_a_users_folder):
        running["auth"]["ssh_proxy_command"] = "sh -c 'echo no route to the bastion >&2; exit 1'"

        result = ray("exec", running, in_a_users_folder, "true")

        assert result.exit_code == 1
        assert "does not answer at 198.18.0.1, through auth.ssh_proxy_command (" in result.output
        assert "no route to the bastion" in result.output
        assert "Traceback" not in result.output

    def test_ssh_command_fails_with_remedy_when_address_is_private(
        self, platform, running, in_a_users_folder, monkeypatch
    ):
        monkeypatch.setattr("yellowdog_ray.commands.access.PROBE_SECONDS", 0.2)
        running["provider"]["use_internal_ips"] = True

        result = ray("exec", running, in_a_users_folder, "true")

        assert "is auth.ssh_proxy_command missing?" in result.output

    def test_ssh_command_sends_nothing_when_host_key_has_changed(
        self, platform, running, in_a_users_folder, monkeypatch
    ):
        def mistrust(target, port):
            raise HostKeyChanged("it shows another SSH host key")

        monkeypatch.setattr("yellowdog_ray.commands.access.Tunnel", mistrust)
        monkeypatch.setattr("yellowdog_ray.commands.access.answers", lambda *_: True)
        monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("Ray has run a command on it"))

        result = ray("exec", running, in_a_users_folder, "true")

        assert result.exit_code == 1
        assert "Error: it shows another SSH host key" in result.output

    def test_get_head_ip_finds_no_head_of_other_cluster_name(self, platform, running, in_a_users_folder):
        result = ray("get-head-ip", {**running, "cluster_name": "dem"}, in_a_users_folder)

        assert result.exit_code == 1
        assert "Head node of cluster (dem) not found" in str(result.exception)


LISTS_AND_ENDS = """
import gc, json
from yellowdog_ray.provider import RayDogNodeProvider
config = json.load(open("cluster.json"))
make = lambda: RayDogNodeProvider(config["provider"], config["cluster_name"])
provider = make()
print(len(provider.non_terminated_nodes({})), "listed")
del provider
gc.collect()
kept_to_the_end = make()
kept_to_the_end.non_terminated_nodes({})
"""
"""What a program of a user's may do with a provider."""


@pytest.mark.parametrize("key_in_task", [False, True])
def test_api_key_is_in_head_task_only_with_its_setting(platform, in_a_users_folder, cluster_yaml, key_in_task):
    cluster_yaml["provider"]["api_key_in_head_task"] = key_in_task
    provider = make_provider(cluster_yaml)

    create_head(provider, cluster_yaml)

    (head,) = platform.client().work_client.get_tasks(TaskSearch()).list_all()
    wanted = platform.key_secret if key_in_task else None
    assert head.environment.get("YD_API_KEY_SECRET") == wanted


def test_listing_deletes_rays_cached_yaml(platform, in_a_users_folder, cluster_yaml):
    cached = in_a_users_folder / f"ray-config-{'0' * 64}"
    cached.write_text("{}")
    provider = make_provider(cluster_yaml)
    provider.provider_config["_config_cache_path"] = str(cached)

    provider.non_terminated_nodes({})

    assert not cached.exists()


def test_tag_store_has_the_key_of_the_cluster(in_a_users_folder, cluster_yaml, monkeypatch):
    clusters: list[str] = []
    monkeypatch.setattr("yellowdog_ray.commands.laptop_side.TagStore", lambda cluster, _: clusters.append(cluster))

    _ = make_provider(cluster_yaml).side.tag_store

    assert clusters == [cluster_yaml["cluster_name"]]
