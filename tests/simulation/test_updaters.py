"""Workers that Ray's real updaters set up; only SSH itself is a fake."""

import itertools
import logging
from types import SimpleNamespace

import click
import pytest

from yellowdog_ray.node.scripts import wait_for_raylet_command

INSTALL = "pip install what-the-job-needs"
TICK = 5


class Ssh:
    """The commands and copies over SSH. A raylet joins once the start command has succeeded on its node.

    Attributes:
        done: node id and command, or copy, in order.
        broken: whether a command fails, by node id and command.
    """

    def __init__(self):
        self.done = []
        self.broken = lambda node_id, command: False
        self.started = set()

    def __contains__(self, node_id):  # in the place of `RayCluster.barred`
        return not node_id.startswith("head-") and node_id not in self.started

    def runner(self, **common):
        return SimpleNamespace(
            run=lambda cmd, **_: self._do(common["node_id"], cmd),
            run_rsync_up=lambda source, target, **_: self._do(common["node_id"], f"copy {target}"),
            run_init=lambda **_: None,
        )

    def _do(self, node_id, command):
        self.done.append((node_id, command))
        if self.broken(node_id, command):
            raise click.ClickException("SSH command failed.")
        if command.endswith(wait_for_raylet_command()):
            self.started.add(node_id)

    def commands(self, node_id):
        return [command for of, command in self.done if of == node_id]


@pytest.fixture
def ssh(monkeypatch):
    ssh = Ssh()
    monkeypatch.setattr("ray.autoscaler.node_provider.SSHCommandRunner", ssh.runner)
    installer = "ray.autoscaler.v2.instance_manager.subscribers.threaded_ray_installer"
    monkeypatch.setattr(f"{installer}.time", SimpleNamespace(sleep=lambda _: None))
    return ssh


@pytest.fixture
def updated(make_world, ssh, home):
    """A cluster whose workers receive a file and a setup command."""
    (home / "data").write_text("x\n")
    world = make_world(worker_setup_commands=[INSTALL], file_mounts={str(home / "data"): str(home / "data")})
    world.ray.barred = ssh
    return world


@pytest.fixture
def errors(caplog):
    """The provider's log messages at ERROR."""
    caplog.set_level(logging.ERROR)
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("yellowdog_ray")]


def test_worker_is_set_up_once(updated, ssh, home):
    updated.want_cpus(1)
    updated.ticks(8)
    (node_id,) = updated.listed()
    commands = ssh.commands(node_id)

    assert [command for command in commands if "mkdir -p /" not in command] == [
        "uptime",
        f"copy {home / 'data'}",
        commands[-2],
        commands[-1],
    ]
    assert commands[-2].endswith(INSTALL)
    assert "RAY_HEAD_IP" in commands[-2]
    assert updated.task(node_id).entity.environment["RAYDOG_UPDATER"] == "sets-up"
    tags = updated.provider.node_tags(node_id)
    assert tags["ray-node-status"] == "up-to-date"
    assert tags["ray-runtime-config"]

    updated.ticks(20)

    assert updated.listed() == {node_id}
    assert ssh.commands(node_id) == commands


def test_status_tag_is_set_by_the_updater_not_by_the_raylet(updated):
    updated.want_cpus(1)
    updated.ticks(8)
    (node_id,) = updated.listed()

    updated.provider.set_node_tags(node_id, {"ray-node-status": "setting-up"})

    assert updated.provider.node_tags(node_id)["ray-node-status"] == "setting-up"


@pytest.mark.parametrize("kind", ["v1"], indirect=True)  # v2 has no updaters that recover nodes
def test_silent_worker_is_neither_terminated_nor_set_up_again(updated, ssh):
    updated.want_cpus(1)
    updated.ticks(8)
    (node_id,) = updated.listed()
    before = len(ssh.done)

    updated.ray.silent = {node_id}
    updated.ticks(8)
    updated.ray.silent = set()
    updated.ticks(5)

    assert updated.listed() == {node_id}
    test, start = ssh.commands(node_id)[before:]
    assert test == "uptime"
    assert start.endswith(wait_for_raylet_command())


def test_worker_is_terminated_with_reason_and_replaced_when_set_up_fails(updated, ssh, errors):
    updated.want_cpus(1)
    updated.tick()
    (first,) = updated.listed()
    ssh.broken = lambda node_id, command: node_id == first and command.endswith(INSTALL)

    updated.ticks(20)

    (reason,) = (text for text in errors() if "SetupFailed" in text)
    assert first in reason
    assert f"`{INSTALL}` (SSH command failed.)" in reason
    assert "monitor.out" in reason
    assert updated.task(first).status.finished
    assert len(updated.ray.workers) == len(updated.instances) == 1


def test_back_off_grows_when_set_up_always_fails(updated, ssh):
    ssh.broken = lambda _, command: command.endswith(INSTALL)
    updated.want_cpus(1)

    launches = []
    for tick in range(200):
        updated.tick()
        if any(call.startswith("POST") and call.endswith("/tasks") for call in updated.wire.calls):
            launches.append(tick)

    gaps = [later - earlier for earlier, later in itertools.pairwise(launches)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 3 * gaps[0]


def test_long_set_up_does_not_time_out_while_it_makes_progress(world, errors):
    """The test reports the updater's steps itself, so that a step can be long."""
    world.want_cpus(1)
    world.tick()
    (first,) = world.listed()
    world.ray.barred = {first}
    minutes = 60 // TICK
    world.ticks(8 * minutes)

    for step in ("`make all`", "`make install`"):
        with world.provider.side.setups.step(first, step):
            world.ticks(9 * minutes)
            assert first in world.listed()
    with pytest.raises(OSError, match="lost"), world.provider.side.setups.step(first, "`make install`"):
        raise OSError("lost")
    world.ticks(2 * minutes)

    assert first not in world.listed()
    (reason,) = (text for text in errors() if "NeverJoined" in text)
    assert "come no further than `make install`" in reason
