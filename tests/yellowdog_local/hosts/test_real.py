"""Common tests of namespace hosts and process hosts: logins, user data, agents, and the end of hosts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.yellowdog_local.fake_endpoint import FakeEndpoint
from tests.yellowdog_local.host_support import KINDS, Lab, eventually, lab, output_of, sleepers
from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.real import HostError

pytestmark = pytest.mark.hosts


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, kind: str) -> Iterator[Lab]:
    """Two hosts for tests that change nothing on them."""
    with lab(tmp_path_factory.mktemp("pair"), kind) as made:
        made.create("i-a", '#!/bin/bash\nid -u\ncd "$YD_AGENT_HOME" && pwd >&2\n')
        made.create("i-b")
        made.recorder.wait_running("i-a", "i-b")
        eventually(lambda: "userdata ended" in made.log("i-a", "init.log"))
        yield made


@pytest.fixture
def own(tmp_path: Path, kind: str) -> Iterator[Lab]:
    with lab(tmp_path / "own", kind) as made:
        yield made


def test_login_starts_in_the_agents_home(pair: Lab) -> None:
    user, there, home = output_of(pair, "i-a", "id -un; pwd; echo $HOME").splitlines()

    assert (user, there) == (pair.hosts.ssh_user, home)


@pytest.mark.parametrize("shell", ["{}", "bash --login -c -i '{}' 2>/dev/null"])
def test_every_shell_has_the_platforms_packages(pair: Lab, shell: str) -> None:
    command = shell.format('command -v python3 ray; python3 -c "import yellowdog_local, ray"; echo $?; echo $HOME')

    *found, code, home = output_of(pair, "i-a", command).splitlines()

    assert (found, code) == ([f"{home}/venv/bin/python3", f"{home}/venv/bin/ray"], "0")


def test_login_is_refused_for_other_keys(pair: Lab) -> None:
    login = f"{pair.hosts.ssh_user}@{pair.recorder.running['i-a'].public_ip}"
    options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oBatchMode=yes", "-oIdentityFile=none"]
    done = subprocess.run(["ssh", "-F", "none", *options, login, "true"], capture_output=True, text=True, check=False)

    assert done.returncode == 255
    assert "Permission denied" in done.stderr


def test_user_data_runs_as_the_platforms_user_with_its_own_log(pair: Lab) -> None:
    assert pair.log("i-a", "userdata.log").splitlines() == [str(os.geteuid()), output_of(pair, "i-a", "echo $HOME")]


def test_host_has_its_own_temporary_directory(pair: Lab) -> None:
    output_of(pair, "i-a", "touch ${TMPDIR:-/tmp}/made-here")

    assert "made-here" in output_of(pair, "i-a", "ls ${TMPDIR:-/tmp}")
    assert "made-here" not in output_of(pair, "i-b", "ls ${TMPDIR:-/tmp}")


def test_hosts_reach_each_other_and_the_gateway(pair: Lab) -> None:
    other = pair.recorder.running["i-b"].private_ip
    read = f"exec 3<>/dev/tcp/{other}/22; head -c 7 <&3"

    assert output_of(pair, "i-a", read) == "SSH-2.0"
    assert "Connection refused" in pair.ssh("i-a", f"exec 3<>/dev/tcp/{pair.hosts.gateway}/1").stderr


def test_rsync_copies_files_to_a_host(pair: Lab, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("and back\n")
    ssh = f"ssh -F none -i {pair.key} -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR"
    login = f"{pair.hosts.ssh_user}@{pair.recorder.running['i-a'].public_ip}"
    subprocess.run(["rsync", "-e", ssh, str(tmp_path / "there"), f"{login}:~/copied"], check=True)

    assert output_of(pair, "i-a", 'cat "$HOME/copied"') == "and back"


def test_agent_registers_after_user_data_and_runs_tasks(tmp_path: Path, kind: str) -> None:
    with lab(tmp_path / "lab", kind, with_agent=True) as made, FakeEndpoint(made.hosts.gateway) as endpoint:
        made.hosts.platform_url = endpoint.url
        made.create("i-1", '#!/bin/sh\nsleep 0.2\ntouch "$YD_AGENT_HOME/made-by-user-data"\nexit 1\n')
        endpoint.wait_for(lambda: endpoint.registrations)
        script = "id -un; ls $HOME; pwd; echo $YD_AGENT_DATA; command -v python3; echo $YD_AGENT_HOME; stat -c %a $C"
        config = "$HOME/agent.json" if kind == "namespace" else "$HOME/../etc/agent.json"
        endpoint.run_task(script.replace("$C", config))
        endpoint.finished()
        output = made.log("i-1", "tasks/ydid_task_0_1_1_1.txt").splitlines()
        there, data, python, home, mode = output[-5:]

        assert endpoint.registrations[0]["privateIpAddress"] == made.recorder.running["i-1"].private_ip
        assert output[0] == made.hosts.ssh_user
        assert "made-by-user-data" in output
        assert there == f"{data}/workers/ydid_task_0_1_1_1"
        assert (python, mode) == (f"{home}/venv/bin/python3", "600")


def test_user_data_is_skipped_when_it_is_no_script(tmp_path: Path, kind: str) -> None:
    with lab(tmp_path / "lab", kind, with_agent=True) as made, FakeEndpoint(made.hosts.gateway) as endpoint:
        made.hosts.platform_url = endpoint.url
        made.create("i-1", "touch /etc/x")
        endpoint.wait_for(lambda: endpoint.registrations)

        assert "user data was not run" in made.log("i-1", "userdata.log")


def test_instance_is_not_running_before_its_boot_time(own: Lab) -> None:
    began = time.monotonic()
    own.create("i-1", boot_seconds=0.8)
    own.recorder.wait_running("i-1")

    assert 0.8 <= own.recorder.running_at["i-1"] - began < 3


def test_destroy_ends_all_processes_of_a_host(own: Lab) -> None:
    own.create("i-1", "#!/bin/sh\nsetsid sleep 7391 &\nsetsid nohup env -i sleep 7392 &\n")
    own.recorder.wait_running("i-1")
    eventually(lambda: len(sleepers("739")) == 2)
    with subprocess.Popen(own.ssh_command("i-1", "sleep 7393"), stderr=subprocess.DEVNULL) as session:
        eventually(lambda: len(sleepers("739")) == 3)
        own.hosts.destroy("i-1")
        assert own.recorder.wait_gone("i-1") == "destroyed"
        session.wait(10) if own.hosts.kind == "process" else session.kill()  # a power cut says no word to a client

    assert sleepers("739") == []
    assert leftovers.find(own.data) == own.shared()
    assert "booted" in own.log("i-1", "init.log")


def test_destroy_reports_a_host_gone_only_once(own: Lab) -> None:
    own.create("i-1")
    own.recorder.wait_running("i-1")
    for _ in range(3):
        own.hosts.destroy("i-1")
    own.recorder.wait_gone("i-1")
    own.hosts.destroy("i-1")
    own.hosts.destroy("i-never-was")
    own.hosts.close()

    assert own.recorder.gone == [("i-1", "destroyed")]


def test_destroy_ends_a_booting_host(own: Lab) -> None:
    for number in range(6):
        own.create(f"i-{number}")
        time.sleep(0.02 * number)  # real hosts: each is destroyed at another moment of its boot
        own.hosts.destroy(f"i-{number}")
    own.recorder.wait_for(lambda: len(own.recorder.gone) == 6)

    assert {reason for _, reason in own.recorder.gone} == {"destroyed"}
    assert leftovers.find(own.data) == own.shared()


def test_host_is_reported_gone_when_its_first_process_is_killed(own: Lab) -> None:
    own.create("i-1", "#!/bin/sh\nsetsid sleep 6391 &\n")
    own.recorder.wait_running("i-1")
    eventually(lambda: sleepers("639"))
    os.kill(own.first_process("i-1"), signal.SIGKILL)

    assert own.recorder.wait_gone("i-1") == "the first process ended unexpectedly"
    assert sleepers("639") == []
    assert leftovers.find(own.data) == own.shared()


def test_destroy_ends_a_host_whose_first_process_is_stopped(own: Lab) -> None:
    own.create("i-1")
    own.recorder.wait_running("i-1")
    os.kill(own.first_process("i-1"), signal.SIGSTOP)
    own.hosts.destroy("i-1")

    assert own.recorder.wait_gone("i-1") == "destroyed"
    assert leftovers.find(own.data) == own.shared()


def test_host_is_reported_gone_with_the_reason_when_it_cannot_boot(own: Lab) -> None:
    own.data.joinpath("disks").mkdir(exist_ok=True)
    own.data.joinpath("disks", "i-1").write_text("in the way")
    own.create("i-1")

    assert own.recorder.wait_gone("i-1")
    assert not own.recorder.running


def test_twenty_hosts_boot_concurrently(own: Lab) -> None:
    names = [f"i-{number}" for number in range(20)]
    began = time.monotonic()
    for name in names:
        own.create(name)
    called = time.monotonic() - began
    addresses = own.recorder.wait_running(*names)

    assert called < 1
    assert len({address.private_ip for address in addresses}) == 20
    assert own.ssh("i-19", "echo here").stdout == "here\n"


def test_host_is_reachable_within_one_and_a_half_seconds(own: Lab) -> None:
    began = time.monotonic()
    own.create("i-1")
    own.recorder.wait_running("i-1")
    output_of(own, "i-1", "true")

    assert time.monotonic() - began < 1.5


def test_close_leaves_only_logs(tmp_path: Path, kind: str) -> None:
    with lab(tmp_path / "lab", kind) as made:
        made.create("i-1")
        made.create("i-2")
        made.recorder.wait_running("i-1", "i-2")
    made.hosts.close()

    assert leftovers.find(made.data) == []
    assert sorted(made.recorder.gone) == [("i-1", "destroyed"), ("i-2", "destroyed")]


def test_host_is_reported_gone_when_requested_after_close(tmp_path: Path, kind: str) -> None:
    with lab(tmp_path / "lab", kind) as made:
        pass
    made.create("i-1")

    assert made.recorder.wait_gone("i-1") == "destroyed"
    assert leftovers.find(made.data) == []


def test_killed_platform_ends_its_hosts_and_leftovers_are_found(tmp_path: Path, kind: str) -> None:
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from tests.yellowdog_local.host_support import Lab
        lab = Lab(Path({str(tmp_path / "lab")!r}), {kind!r})
        lab.hosts.open()
        for name in ("i-1", "i-2", "i-3"):
            lab.create(name, "#!/bin/sh\\nsetsid env -i sleep 8391 &\\n")
        lab.recorder.wait_running("i-1", "i-2", "i-3")
        lab.create("i-4")  # and one that is in the middle of its boot
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    data = tmp_path / "lab" / "data"
    eventually(lambda: not leftovers.processes(data), timeout=5)
    left = {line.split()[0] for line in leftovers.find(data)}

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert sleepers("839") == []
    assert left == ({"bridge", "directory"} if kind == "namespace" else {"directory"})

    leftovers.clean(data)
    assert leftovers.find(data) == []


def test_open_cleans_up_after_a_killed_platform(own: Lab) -> None:
    (own.data / "disks" / "i-old").mkdir(parents=True)
    old = own.shared()
    again = KINDS[own.hosts.kind](own.data, "ssh-ed25519 AAAA test", "")
    again.open()
    again.close()

    assert not (own.data / "disks" / "i-old").exists()
    assert not set(old) & set(leftovers.find(own.data))


def test_hosts_fail_before_open(tmp_path: Path, kind: str) -> None:
    with pytest.raises(HostError, match="before open"):
        _ = KINDS[kind](tmp_path, "key").gateway
