"""The platform in the background: start, stop, and clean-up after a killed one."""

from __future__ import annotations

import getpass
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    AutoShutdown,
    ComputeRequirementTemplateUsage,
    ProvisionedWorkerPoolProperties,
    ServicesSchema,
    WorkerPoolStatus,
)
from yellowdog_client.model.exceptions import InvalidRequestException

from tests.yellowdog_local.host_support import eventually
from yellowdog_local.hosts import leftovers, prerequisites
from yellowdog_local.hosts.kinds import HostKind
from yellowdog_local.service import daemon
from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory


@pytest.fixture
def place(tmp_path: Path) -> Iterator[PlatformDirectory]:
    made = PlatformDirectory(tmp_path / "place")
    yield made
    daemon.stop(made, lambda _text: None)
    assert leftovers.find(made.path) == []


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def test_simulated_clock_runs_at_the_given_speed(place: PlatformDirectory) -> None:
    state = daemon.start(place, free_port(), requested=HostKind.SIMULATED, speed=100_000)
    key = place.api_key()
    schema = ServicesSchema(defaultUrl=state.url)
    with PlatformClient.create(schema, ApiKey(key.key_id, key.secret)) as client:
        usage = ComputeRequirementTemplateUsage("demo/local", "pool", "demo", targetInstanceCount=1)
        idle = AutoShutdown(enabled=True, timeout=timedelta(days=1))
        made = client.worker_pool_client.provision_worker_pool(
            usage, ProvisionedWorkerPoolProperties(idlePoolShutdown=idle)
        )
        pools = client.worker_pool_client
        eventually(lambda: pools.get_worker_pool_by_id(made.id).status is WorkerPoolStatus.TERMINATED)
        ended = pools.get_worker_pool_by_id(made.id)
    assert ended.statusChangedTime - ended.createdTime >= timedelta(days=1)


def test_speed_is_refused_with_real_hosts(place: PlatformDirectory) -> None:
    with pytest.raises(LocalPlatformError, match="--speed needs --hosts simulated"):
        daemon.start(place, free_port(), speed=2)
    with pytest.raises(LocalPlatformError, match="--speed must be above 0"):
        daemon.start(place, free_port(), requested=HostKind.SIMULATED, speed=0)
    assert not place.is_running()


def test_platform_has_the_settings_of_its_profile(
    place: PlatformDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    profile = Path("profile.json")
    profile.write_text('{"accept_template_names": false}')

    state = daemon.start(place, free_port(), requested=HostKind.SIMULATED, profile=profile)

    key = place.api_key()
    usage = ComputeRequirementTemplateUsage("demo/local", "pool", "demo", targetInstanceCount=1)
    schema = ServicesSchema(defaultUrl=state.url)
    with (
        PlatformClient.create(schema, ApiKey(key.key_id, key.secret)) as client,
        pytest.raises(InvalidRequestException),
    ):
        client.worker_pool_client.provision_worker_pool(usage, ProvisionedWorkerPoolProperties())
    assert "changed settings: accept_template_names=false" in place.log.read_text()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"accept_template_name": false}', "--profile .*profile.json: unknown setting .*'accept_template_names'"),
        ('{"accept_template_names": 0}', "--profile .*profile.json: accept_template_names: .*boolean"),
    ],
)
def test_invalid_profile_starts_no_platform(place: PlatformDirectory, tmp_path: Path, text: str, reason: str) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(text)

    with pytest.raises(LocalPlatformError, match=reason):
        daemon.start(place, free_port(), requested=HostKind.SIMULATED, profile=profile)

    assert not place.path.exists()


@pytest.mark.hosts
def test_platform_starts_once_and_stops_without_leftovers(place: PlatformDirectory) -> None:
    steps: list[str] = []
    port = free_port()
    state = daemon.start(place, port)

    assert state.url.endswith(f":{port}")
    assert place.running() == state
    assert leftovers.find(place.path)[0].startswith("bridge raydog")
    with pytest.raises(LocalPlatformError, match="runs already"):
        daemon.start(place, port)

    assert daemon.stop(place, steps.append)
    assert steps == [f"stopping process {state.pid} and its hosts", "removing leftovers"]
    assert not place.is_running()
    assert not daemon._lives(state.pid)
    assert leftovers.find(place.path) == []
    assert "ready at" in place.log.read_text()
    assert not daemon.stop(place, steps.append)


@pytest.mark.hosts
def test_second_platform_runs_in_another_directory_on_the_same_port(place: PlatformDirectory, tmp_path: Path) -> None:
    port = free_port()
    other = PlatformDirectory(tmp_path / "other")
    first = daemon.start(place, port)
    try:
        second = daemon.start(other, port)
        assert first.url != second.url
    finally:
        daemon.stop(other, lambda _text: None)


@pytest.mark.hosts
def test_start_removes_the_bridge_of_a_killed_platform(place: PlatformDirectory) -> None:
    state = daemon.start(place, free_port())
    os.kill(state.pid, signal.SIGKILL)
    eventually(lambda: not place.is_running())
    before = leftovers.find(place.path)
    again = daemon.start(place, free_port())

    assert len(before) == 1
    assert again.pid != state.pid
    assert len([left for left in leftovers.find(place.path) if left.startswith("bridge")]) == 1
    assert (place.path / "platform.log.1").exists()


@pytest.mark.hosts
def test_stop_removes_leftovers_of_a_killed_platform(place: PlatformDirectory) -> None:
    state = daemon.start(place, free_port())
    os.kill(state.pid, signal.SIGKILL)
    eventually(lambda: not place.is_running())

    assert not daemon.stop(place, lambda _text: None)
    assert leftovers.find(place.path) == []
    assert not (place.path / "state.json").exists()


@pytest.mark.hosts
@pytest.mark.parametrize("kind", [HostKind.NAMESPACE, HostKind.PROCESS])
def test_state_names_the_kind_of_hosts_and_the_ssh_user(place: PlatformDirectory, kind: HostKind) -> None:
    state = daemon.start(place, free_port(), kind)

    assert (state.hosts, state.why) == (kind.value, "as requested")
    assert state.ssh_user == ("yd-agent" if kind is HostKind.NAMESPACE else getpass.getuser())
    assert place.running() == state


@pytest.mark.hosts
def test_start_fails_with_the_remedy_when_the_port_is_taken(place: PlatformDirectory) -> None:
    with closing(socket.socket()) as listener:
        listener.bind(("", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(LocalPlatformError, match=rf"port {port} cannot be used .*choose another with --port"):
            daemon.start(place, port)

    assert not place.is_running()
    assert leftovers.find(place.path) == []


@pytest.mark.hosts
def test_start_fails_when_the_platform_dies(place: PlatformDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.sys, "executable", "/bin/false")

    with pytest.raises(LocalPlatformError, match=r"ended during its start: see the last lines of .*platform\.log"):
        daemon.start(place, free_port())


def test_message_names_sudo_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(prerequisites.shutil, "which", lambda *_words, **_options: "/bin/x")

    with pytest.raises(LocalPlatformError, match="with sudo"):
        daemon.start(PlatformDirectory(tmp_path / "place"), 8700, HostKind.NAMESPACE)


def test_stop_fails_for_a_process_of_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: int) -> None:
        raise PermissionError

    place = PlatformDirectory(tmp_path / "place")
    place.prepare()
    with place.locked():
        place.write_state("http://10.0.0.1:1")
        monkeypatch.setattr(daemon.os, "kill", refuse)

        with pytest.raises(LocalPlatformError, match="belongs to root: run the same command with sudo"):
            daemon.stop(place, lambda _text: None)
