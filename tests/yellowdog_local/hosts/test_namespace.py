"""Namespace hosts: isolation of the machine and of each other. Common tests of real hosts are in `test_real.py`."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.yellowdog_local.host_support import Lab, eventually, lab, output_of
from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.real import HostError

pytestmark = pytest.mark.hosts

MARKER = "raydog-test-marker"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two hosts for tests that change nothing on them."""
    with lab(tmp_path_factory.mktemp("pair")) as made:
        made.create("i-a", f"#!/bin/bash\nid -un\necho words >&2\ntouch /etc/{MARKER} /usr/{MARKER}\n")
        made.create("i-b")
        made.recorder.wait_running("i-a", "i-b")
        eventually(lambda: "userdata ended" in made.log("i-a", "init.log"))
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path / "own") as made:
        yield made


def test_host_is_reachable_by_ssh_as_yd_agent(pair: Lab) -> None:
    assert output_of(pair, "i-a", "id -un; hostname; pwd") == "yd-agent\ni-a\n/opt/yellowdog/agent"


@pytest.mark.parametrize("shell", ["{}", "bash --login -c -i '{}' 2>/dev/null"])
def test_every_shell_uses_the_platforms_python_environment(pair: Lab, shell: str) -> None:
    command = shell.format('command -v python3; python3 -c "import sys, yellowdog_local; print(sys.prefix)"')

    found, prefix = output_of(pair, "i-a", command).splitlines()

    assert found == "/opt/yellowdog/agent/venv/bin/python3"
    assert os.path.realpath(prefix) in {os.path.realpath(sys.prefix), "/opt/yellowdog/agent/venv"}


def test_login_is_refused_for_other_keys_and_users(pair: Lab) -> None:
    assert pair.ssh("i-a", "true", user="root").returncode == 255
    assert output_of(pair, "i-a", "sudo -n true 2>/dev/null || echo no") == "no"


def test_user_data_runs_as_root_and_logs_like_cloud_init(pair: Lab) -> None:
    assert output_of(pair, "i-a", "cat /var/log/cloud-init-output.log") == "root\nwords"
    assert pair.log("i-a", "userdata.log") == "root\nwords\n"


def test_writes_stay_on_their_host(pair: Lab) -> None:
    paths = [f"/etc/{MARKER}", f"/usr/{MARKER}"]

    assert output_of(pair, "i-a", f"ls {' '.join(paths)}") == "\n".join(paths)
    assert pair.ssh("i-b", f"ls {paths[0]}").returncode == 2
    assert not [path for path in paths if Path(path).exists()]


def test_host_has_its_own_temporary_directories_and_devices(pair: Lab) -> None:
    Path("/dev", "shm", MARKER).touch()
    try:
        assert MARKER not in output_of(pair, "i-a", "ls /tmp /var/tmp /run /dev/shm")
    finally:
        Path("/dev", "shm", MARKER).unlink()
    check = "for p in /tmp /dev/shm; do touch $p/x && rm $p/x; done; head -c 4 /dev/urandom | wc -c; echo > /dev/null"
    assert output_of(pair, "i-a", check) == "4"
    assert "tmpfs" in output_of(pair, "i-a", "stat -f -c %T /dev/shm")


def test_host_has_only_its_own_processes(pair: Lab) -> None:
    numbers = [int(number) for number in output_of(pair, "i-a", "cd /proc; ls -d [0-9]*").split()]

    assert 1 in numbers
    assert len(numbers) < 15
    assert pair.ssh("i-a", "touch /sys/x").returncode == 1


def test_platform_directory_is_hidden_on_hosts(pair: Lab) -> None:
    assert pair.ssh("i-a", f"ls {pair.data}").returncode == 2


def test_agent_configuration_is_readable_by_the_agent_only(pair: Lab) -> None:
    assert output_of(pair, "i-a", "stat -c '%a %U' agent.json") == "600 yd-agent"


def test_hosts_reach_each_other_and_the_gateway(pair: Lab) -> None:
    other = pair.recorder.running["i-b"].private_ip
    read = f"exec 3<>/dev/tcp/{other}/22; head -c 7 <&3"

    assert output_of(pair, "i-a", read) == "SSH-2.0"
    refused = pair.ssh("i-a", f"exec 3<>/dev/tcp/{pair.hosts.gateway}/1")
    assert "Connection refused" in refused.stderr


def test_connection_beyond_the_bridge_fails_at_once(pair: Lab) -> None:
    began = time.monotonic()
    name = pair.ssh("i-a", "getent hosts www.example.org")
    address = pair.ssh("i-a", "exec 3<>/dev/tcp/192.0.2.77/80")

    assert name.returncode == 2
    assert "unreachable" in address.stderr
    assert time.monotonic() - began < 5


def test_host_resolves_its_own_name(pair: Lab) -> None:
    assert output_of(pair, "i-a", "getent hosts i-a").split() == [pair.recorder.running["i-a"].private_ip, "i-a"]


def test_cut_network_isolates_a_host_until_it_is_restored(own: Lab) -> None:
    own.create("i-1")
    own.recorder.wait_running("i-1")

    own.hosts.cut_network("i-1")
    cut = own.ssh("i-1", "true")
    own.hosts.restore_network("i-1")
    eventually(lambda: own.ssh("i-1", "true").returncode == 0)

    assert cut.returncode == 255
    assert own.recorder.gone == []


def test_cut_network_fails_for_an_unknown_host(own: Lab) -> None:
    with pytest.raises(HostError, match="no running host for i-none"):
        own.hosts.cut_network("i-none")


def test_hosts_of_two_platforms_are_isolated(own: Lab, tmp_path: Path) -> None:
    with lab(tmp_path / "second") as second:
        own.create("i-1")
        second.create("i-1")
        own.recorder.wait_running("i-1")
        [address] = second.recorder.wait_running("i-1")

        assert own.bridge.name != second.bridge.name
        assert not own.bridge.network.overlaps(second.bridge.network)
        assert "unreachable" in own.ssh("i-1", f"exec 3<>/dev/tcp/{address.private_ip}/22").stderr


def test_host_boots_under_a_strict_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with lab(tmp_path / "lab") as made:
            made.create("i-1", "#!/bin/sh\nid -un\n")
            made.recorder.wait_running("i-1")
            eventually(lambda: made.log("i-1", "userdata.log"))

            assert made.ssh("i-1", "cat /var/log/cloud-init-output.log /etc/hostname").stdout == "root\ni-1\n"
            assert stat.S_IMODE((made.data / "host_key").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_disk_is_in_memory_when_the_data_directory_supports_no_overlay(tmp_path: Path) -> None:
    # An overlay cannot lie on an overlay's upper layer: what happens to a platform inside a container.
    script = textwrap.dedent(f"""
        from pathlib import Path
        from tests.yellowdog_local.host_support import lab
        with lab(Path({str(tmp_path / "merged" / "lab")!r})) as made:
            made.create("i-1")
            made.recorder.wait_running("i-1")
            print(made.ssh("i-1", "hostname; touch /tmp/x && echo writes").stdout)
            print(made.log("i-1", "init.log"))
    """)
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir=/usr/share,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mount = f'mount -t overlay overlay -o {options} {tmp_path}/merged && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("i-1\nwrites\n")
    assert "the disk is in memory" in done.stdout


def test_killed_platform_leaves_no_network_interface(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from tests.yellowdog_local.host_support import Lab
        lab = Lab(Path({str(tmp_path / "lab")!r}))
        lab.hosts.open()
        lab.create("i-1")
        lab.recorder.wait_running("i-1")
        print(lab.bridge.name, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    bridge = done.stdout.strip()

    assert done.returncode == -signal.SIGKILL, done.stderr
    eventually(lambda: [path.name for path in Path("/sys/class/net").glob(f"{bridge}*")] == [bridge], timeout=5)
    index = socket.if_nametoindex(bridge)  # its name may be the next platform's at once
    leftovers.clean(tmp_path / "lab" / "data")
    assert index not in dict(socket.if_nameindex())
