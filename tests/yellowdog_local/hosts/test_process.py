"""Process hosts: isolation of each other without namespaces, and its limits."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.yellowdog_local.host_support import Lab, eventually, lab, output_of, sleepers
from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.process import ProcessHosts
from yellowdog_local.hosts.process_home import temporary_root
from yellowdog_local.hosts.real import HostError

pytestmark = pytest.mark.hosts

# In a container that grants nothing: what Docker gives its containers, and no more.
DOCKER = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod"
DOCKER += ",audit_write,setfcap"
ORDINARY = ["setpriv", "--bounding-set", f"-all,+{DOCKER.replace(',', ',+')}", "--inh-caps", "-all", "--no-new-privs"]
NODES = (
    "import ray; ray.init(address='auto', log_to_driver=False); print([n['Alive'] for n in ray.nodes()].count(True))"
)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path / "pair", "process") as made:
        made.create("i-a")
        made.create("i-b")
        made.recorder.wait_running("i-a", "i-b")
        yield made


def in_background(lab: Lab, name: str, command: str) -> None:
    output_of(lab, name, f"setsid bash -c '{command}' > ~/log 2>&1 < /dev/null &")


def test_python_reads_only_its_hosts_processes_and_address(pair: Lab) -> None:
    in_background(pair, "i-a", "exec -a one sleep 5391")
    in_background(pair, "i-b", "exec -a two sleep 5392")
    seen = (
        "import ray, psutil; import ray._private.services as s; "
        "print([p.cmdline()[0] for p in psutil.process_iter() if p.cmdline() and p.cmdline()[-1][:3] == '539']); "
        "print(s.get_node_ip_address())"
    )

    assert output_of(pair, "i-a", f'python -c "{seen}"').splitlines() == [
        "['one']",
        pair.recorder.running["i-a"].private_ip,
    ]
    assert output_of(pair, "i-b", f'python -c "{seen}"').splitlines() == [
        "['two']",
        pair.recorder.running["i-b"].private_ip,
    ]


def test_installed_package_stays_on_its_host(pair: Lab) -> None:
    make = "echo 'x = 1' > $(python3 -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')/made_here.py"
    use = "python3 -c 'import made_here'"
    output_of(pair, "i-a", f"{make}; {use}")

    assert "made_here" in pair.ssh("i-b", use).stderr


@pytest.mark.timeout(150)
def test_ray_stop_on_one_host_spares_the_ray_node_on_another(pair: Lab) -> None:
    head, worker = (pair.recorder.running[name].private_ip for name in ("i-a", "i-b"))
    output_of(
        pair, "i-a", "RAY_USAGE_STATS_ENABLED=0 ray start --head --port=6379 --num-cpus=0 --include-dashboard=false"
    )
    output_of(pair, "i-b", f"ray start --address={head}:6379 --num-cpus=1")
    job = (
        "import os, ray; ray.init(address='auto', log_to_driver=False); "
        "print(ray.get(ray.remote(lambda: ray.util.get_node_ip_address()).remote())); "
        "print(ray.get(ray.remote(lambda: os.environ['TMPDIR']).remote()))"
    )
    assert output_of(pair, "i-a", f'python -c "{job}"').splitlines() == [worker, output_of(pair, "i-b", "echo $TMPDIR")]
    assert output_of(pair, "i-b", "ls -d $TMPDIR/ray/session_latest").endswith("session_latest")

    stopped = output_of(pair, "i-b", "ray stop")
    assert "Stopped all" in stopped, stopped
    alive = f'python -c "{NODES}"'
    eventually(lambda: output_of(pair, "i-a", alive) == "1", timeout=40)
    assert output_of(pair, "i-a", "pgrep -c -f gcs_serve[r]") >= "1"

    assert "Did not find any active Ray processes" in output_of(pair, "i-b", "ray stop")
    output_of(pair, "i-a", "ray stop")


def test_cut_network_is_refused_and_absent_from_the_traits(pair: Lab) -> None:
    for change in (pair.hosts.cut_network, pair.hosts.restore_network):
        with pytest.raises(HostError, match="use namespace hosts"):
            change("i-a")
    assert not pair.hosts.traits.own_network


def test_two_platforms_have_different_addresses(pair: Lab, tmp_path: Path) -> None:
    with lab(tmp_path / "second", "process") as second:
        assert isinstance(pair.hosts, ProcessHosts)
        assert isinstance(second.hosts, ProcessHosts)
        assert not pair.hosts.loopback.network.overlaps(second.hosts.loopback.network)


def test_start_kills_processes_that_a_killed_platform_left(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from tests.yellowdog_local.host_support import Lab, eventually, sleepers
        lab = Lab(Path({str(tmp_path / "lab")!r}), "process")
        lab.hosts.open()
        lab.create("i-1", "#!/bin/sh\\nsetsid env -i sleep 4391 &\\n")
        lab.recorder.wait_running("i-1")
        eventually(lambda: sleepers("439"))
        os.kill(lab.first_process("i-1"), signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    subprocess.run([sys.executable, "-c", script], check=False, cwd=Path(__file__).parents[3])
    data = tmp_path / "lab" / "data"
    assert sleepers("439")
    assert len(leftovers.processes(data)) >= 3

    with lab(tmp_path / "lab", "process") as made:
        assert sleepers("439") == []
        assert leftovers.find(data) == made.shared()


def test_close_restores_the_machine(tmp_path: Path) -> None:
    accounts = Path("/etc/passwd").read_bytes()
    with lab(tmp_path / "lab", "process") as made:
        made.create("i-1")
        made.recorder.wait_running("i-1")
        assert Path("/etc/passwd").read_bytes() == accounts
    assert not temporary_root(made.data).exists()


def test_hosts_run_with_the_privileges_of_an_ordinary_container(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        from pathlib import Path
        from tests.yellowdog_local.host_support import lab, output_of
        from yellowdog_local.hosts.kinds import HostKind, choose
        chosen = choose(HostKind.AUTO)
        print(chosen.kind.value, "|", chosen.why)
        with lab(Path({str(tmp_path / "lab")!r}), chosen.kind.value) as made:
            made.create("i-1")
            made.recorder.wait_running("i-1")
            print(output_of(made, "i-1", "id -un"))
            print(made.ssh("i-1", "tty", terminal=True).stdout)
    """)
    done = subprocess.run(
        [*ORDINARY, sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )

    assert done.returncode == 0, done.stderr
    chosen, user, terminal = done.stdout.split("\n")[:3]
    assert chosen.startswith("process | namespace hosts are not possible here: this machine does not let root create")
    assert user == "root"
    assert terminal.startswith("/dev/pts/")


def test_orphans_of_a_killed_host_are_reaped(pair: Lab) -> None:
    in_background(pair, "i-a", "sleep 3391")
    eventually(lambda: sleepers("339"))
    [orphan] = sleepers("339")
    pair.hosts.destroy("i-a")
    pair.recorder.wait_gone("i-a")

    assert not Path("/proc", str(orphan)).exists()
