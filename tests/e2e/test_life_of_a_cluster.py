"""The life of a cluster, by the real `ray` command, on real hosts: one cluster per autoscaler.

A cluster costs a minute of two cores, because Ray takes its time to start. Therefore these two check so much: commands,
growth, losses, secrets, and that only clients with the cluster's token get in. The v1 life runs an existing user's YAML
on machines that have the token of another cluster. The v2 life runs with the default that Ray has announced for 2.61.
"""

import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml
from ray import __version__ as ray_version
from yellowdog_client.model import TaskStatus

from tests.e2e.conftest import Box
from tests.e2e.doors import CLIENTS, Logins, Scan, check_documented
from tests.e2e.ray_cli import PlatformView, Ray, wait_until
from yellowdog_ray.node.ray_versions import has_tokens

REPOSITORY = Path(__file__).parents[2]
JOB = REPOSITORY / "examples/local/two_workers.py"
SURVIVING_JOB = REPOSITORY / "tests/e2e/surviving_job.py"
"""`scripts/head-kills` kills the head's other processes, too."""

HAS_TOKENS = has_tokens(ray_version)

OTHER_TOKEN = "f" * 64
"""The token of another cluster, which the image has, and in the v1 life this machine too."""

PLANT_OTHER_TOKEN = f"""\
mkdir /opt/yellowdog/agent/.ray
echo {OTHER_TOKEN} > /opt/yellowdog/agent/.ray/auth_token
chown -R yd-agent /opt/yellowdog/agent/.ray
"""
"""User data: Ray's default file, as any `ray.init()` writes it."""

DEFAULT_OF_RAY_2_61 = "echo 'export RAY_AUTH_MODE=token' >> /etc/profile\n"
"""User data: in all login shells of a host, Ray requires tokens, as it is announced for all processes from 2.61."""

HOLD = """
import ray, socket
ray.init(address="auto", namespace="held")
@ray.remote(num_cpus=1)
class Held:
    def host(self):
        return socket.gethostname()
held = [Held.options(lifetime="detached", name=f"held-{number}").remote() for number in range(2)]
print("held on", len({ray.get(one.host.remote()) for one in held}), "hosts")
print("nodes that ever joined:", len(ray.nodes()))
"""
"""A job that leaves an actor on each of two workers: each has a door of its own."""

RELEASE = """
import ray
ray.init(address="auto", namespace="held")
for number in range(2):
    ray.kill(ray.get_actor(f"held-{number}"))
"""


class SecretWatch:
    """Reads every process's command line and environment, again and again, in search of texts.

    Attributes:
        secrets: the texts; more may be added.
        probes: texts that are no secrets, and that the search must find in environments.
        command_lines: all command lines so far.
        seen: where a secret was.
        probes_seen: the probes that were found.
    """

    def __init__(self, secret: str) -> None:
        self.secrets = [secret]
        self.probes: list[str] = []
        self.probes_seen: set[str] = set()
        self.command_lines: set[bytes] = set()
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seen: set[str] = set()
        self.rounds = 0

    def __enter__(self) -> "SecretWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Search nothing meanwhile."""
        self._paused.set()
        try:
            yield
        finally:
            self._paused.clear()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            if self._paused.is_set():
                continue
            self.rounds += 1
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    self._look(process)

    def _look(self, process: Path) -> None:
        for file in ("cmdline", "environ"):
            try:
                text = (process / file).read_bytes()
                if file == "cmdline":
                    self.command_lines.add(text)
                else:
                    self.probes_seen |= {probe for probe in self.probes if probe.encode() in text}
                if any(secret.encode() in text for secret in self.secrets):
                    self.seen.add(f"{file}: {(process / 'cmdline').read_bytes()[:200]!r}")
            except OSError:
                continue


def files_with(text: str, folder: Path) -> list[Path]:
    """Files below a folder that contain a text."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return [file for file in files if text.encode() in file.read_bytes()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own port forward
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("place", ["environ", "cmdline"])
def test_secret_watch_finds_a_secret_in_a_process(place: str) -> None:
    secret = "text-of-this-test"
    environment = {"TOKEN": secret} if place == "environ" else {}
    arguments = [secret] if place == "cmdline" else []
    wait = ["/bin/sh", "-c", "read _", "sh"]
    with (
        SecretWatch(secret) as watch,
        subprocess.Popen([*wait, *arguments], env=environment, stdin=subprocess.PIPE) as process,
    ):
        wait_until(lambda: bool(watch.seen), "the secret is found", 20)
        process.kill()

    assert {found.partition(":")[0] for found in watch.seen} == {place}


@pytest.mark.timeout(760)
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_cluster_starts_works_scales_and_is_torn_down(life: Ray, box: Box, version: str) -> None:
    platform = box.view()
    ray = life
    prepare_tokens(ray, version)
    with SecretWatch(platform.key_secret) as watch:
        up = ray("up", "-y")
        assert "waiting for the instance" in up, "`ray up` says what it is waiting for"
        assert re.search(r"\[ *\d+\.\d s\] the head is reachable at", up), up
        (head,) = platform.live_nodes("head")

        assert ("no token authentication. Everybody who reaches" in " ".join(up.split())) == (not HAS_TOKENS)
        tokens = kept_tokens(ray)
        assert len(tokens) == HAS_TOKENS
        watch.secrets += tokens
        watch.probes.append(str(head.name))
        ray("up", "-y")
        assert kept_tokens(ray) == tokens, "a second `ray up` adopts the token"
        assert [task.id for task in platform.live_nodes("head")] == [head.id], "a second `ray up` adopts the head"

        commands_on_the_head(ray)
        joined = work_on_two_workers(ray, platform, supervised=version == "v2")
        token_of_another_cluster_is_not_used(box, ray, version)
        looking_in(ray, version)
        secrets_stay_secret(platform, box, ray)
        if HAS_TOKENS:
            token_stays_secret(platform, box, ray, watch)
            with watch.paused():  # the scanner's clients get the token by their environment
                only_clients_with_the_token_get_in(platform, box, ray, version, joined)
        ray("submit", str(script(ray, "release", RELEASE)))

        wait_until(lambda: len(platform.live_nodes("worker")) == 0, "the idle workers are given back", 90)
        wait_until(lambda: platform.live_instances() == 1, "only the head's instance is left")

        down = ray("down", "-y")
        assert "nothing is left of cluster" in down, down
        assert list((ray.folder / ".raydog/host-keys").iterdir()) == []
        assert list(ray.folder.glob(".raydog/clusters/*")) == []
    assert watch.rounds > 20
    assert watch.probes_seen == set(watch.probes), "the watch reads environments of the hosts' processes"
    assert watch.seen == set(), "the secret was in a process's command line or environment"
    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])


def prepare_tokens(ray: Ray, version: str) -> None:
    """The image has the token of another cluster. So has this machine (v1), or it has none and requires one (v2)."""
    plant = PLANT_OTHER_TOKEN
    if version == "v1":
        own = ray.folder / ".ray/auth_token"
        own.parent.mkdir()
        own.write_text(OTHER_TOKEN)
    elif HAS_TOKENS:
        plant += DEFAULT_OF_RAY_2_61
        ray.env["RAY_AUTH_MODE"] = "token"
    config = yaml.safe_load(ray.yaml.read_text())
    for node_type in config["available_node_types"].values():
        node_config = node_type["node_config"]
        last = "extra_userdata" if "extra_userdata" in node_config else "userdata"
        node_config[last] = node_config.get(last, "#!/bin/bash\n") + plant
    ray.yaml.write_text(yaml.safe_dump(config))


def token_of_another_cluster_is_not_used(box: Box, ray: Ray, version: str) -> None:
    """On the head it is replaced, if the cluster has a token; elsewhere it stays as it was."""
    hosts = [file for file in files_with(OTHER_TOKEN, box.folder) if file.name == "auth_token"]
    assert hosts, "workers have it"
    left = int(not HAS_TOKENS)
    assert f"lines: {left}" in ray("exec", f"echo lines: $(grep -c {OTHER_TOKEN} ~/.ray/auth_token)")
    assert OTHER_TOKEN not in kept_tokens(ray)
    if version == "v1":
        assert (ray.folder / ".ray/auth_token").read_text() == OTHER_TOKEN


def kept_tokens(ray: Ray) -> list[str]:
    """The cluster's token, from the one file on the user's machine; none below Ray 2.52."""
    return [file.read_text() for file in ray.folder.glob(".raydog/clusters/demo.*/auth_token")]


def commands_on_the_head(ray: Ray) -> None:
    assert "hello from yd-agent" in ray("exec", "echo hello from $(id -un)")
    head_ip = ray("get-head-ip").strip().splitlines()[-1]
    assert head_ip in ray("exec", "hostname -I; ip -4 addr 2>/dev/null || true")
    assert re.search(r"\d", ray("get-worker-ips")) is None, "there are no workers yet"

    there = ray.folder / "there.txt"
    there.write_text("there and back\n")
    ray("rsync-up", str(there), "~/there.txt")
    ray("rsync-down", "~/there.txt", str(ray.folder / "back.txt"))
    assert (ray.folder / "back.txt").read_text() == "there and back\n"


def work_on_two_workers(ray: Ray, platform: PlatformView, *, supervised: bool) -> int:
    """Two workers at work, one of which has replaced a killed one; gives the number of nodes that ever joined."""
    output = ray("submit", str(JOB))
    assert "met on 2 workers" in output, output

    ray("exec", request(2))  # so that they are not terminated as idle during the checks
    # On a busy machine the request may come after their end: then other machines replace theirs.
    wait_until(lambda: (running_workers(platform), platform.live_instances()) == (2, 3), "two workers run alone", 90)

    ips = re.findall(r"^\d+\.\d+\.\d+\.\d+$", ray("get-worker-ips"), flags=re.MULTILINE)
    assert len(set(ips)) == 2, "two workers, two addresses"
    before = names(platform)
    if supervised:  # the head script of the v1 life is the user's own
        output = ray("submit", str(SURVIVING_JOB))
        assert output.count('"reason": "killed"') == 2, output
        assert "same actors: True" in output, output
        assert (names(platform), platform.live_instances()) == (before, 3), "no worker is lost or replaced"
    ray("kill-random-node", "-y", "--hard")
    wait_until(lambda: not before <= names(platform), "the killed worker is gone from the platform")
    wait_until(lambda: running_workers(platform) == 2, "it is replaced while it is wanted")
    held = ray("submit", str(script(ray, "hold", HOLD)))
    assert "held on 2 hosts" in held, held
    ray("exec", request(0))
    return int(re.findall(r"nodes that ever joined: (\d+)", held)[-1])


def script(ray: Ray, name: str, code: str) -> Path:
    """A file for `ray submit`."""
    file = ray.folder / f"{name}.py"
    file.write_text(code)
    return file


def only_clients_with_the_token_get_in(platform: PlatformView, box: Box, ray: Ray, version: str, joined: int) -> None:
    """A scanner on a host outside the cluster tries every door, without the token and with it."""
    logins, nodes = Logins(box.ssh_key), platform.addresses()
    sockets = [socket for node in nodes for socket in logins.sockets(node)]
    (head,) = {socket.host for socket in sockets if socket.port == 6379}
    if version == "v2":  # the other YAML's task scripts select ports themselves
        check_documented(sockets, head)

    with closing(platform.provision_host("stranger")) as stranger:
        scan = Scan(logins, stranger.address, head, sockets)
        scan.without_token()
        assert logins.marks(nodes) == set(), "code ran on a node"

        (token,) = kept_tokens(ray)
        found = scan.with_token(token, on_loopback={"v2": {"job", "client"}, "v1": {"job"}}[version])
        (worker,) = (each["detail"] for each in found if each["attempt"] == "worker")
        assert f"nodes that ever joined: {joined + 1}\n" in worker, "the stranger joined without the token"
        assert logins.marks(nodes) == CLIENTS - {"store"}


def request(cpus: int) -> str:
    """A command for the head that requests that many CPUs from its autoscaler, until the next such command."""
    code = f"import ray, ray.autoscaler.sdk as a; ray.init(address='auto'); a.request_resources(num_cpus={cpus})"
    return f'python -c "{code}"'


def names(platform: PlatformView) -> set[str]:
    return {str(task.name) for task in platform.live_nodes("worker") if task.abortRequestedTime is None}


def running_workers(platform: PlatformView) -> int:
    return sum(task.status is TaskStatus.EXECUTING for task in platform.live_nodes("worker"))


def looking_in(ray: Ray, version: str) -> None:
    status = ray("exec", "ray status -v")
    assert "Autoscaler status" in status, status
    log = ray("exec", "cat /tmp/ray/session_latest/logs/monitor.log")
    assert ("StandardAutoscaler" in log) == (version == "v1"), "the requested autoscaler is the one that runs"

    with ray.running("monitor", "--lines", "20") as log:
        wait_until(lambda: "==>" in log.read_text() or "monitor" in log.read_text(), "`ray monitor` shows logs", 20)
    port = free_port()
    with ray.running("dashboard", "--port", str(port)):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), "the dashboard answers through its port", 30)


def secrets_stay_secret(platform: PlatformView, box: Box, ray: Ray) -> None:
    secret = platform.key_secret
    for task in platform.all_tasks():
        assert secret not in str(task), "no task carries the secret, in its data, arguments or environment"
    time.sleep(0.5)  # real processes write their logs: no event reports the last line
    found = {file.name: file for folder in (box.folder, ray.folder) for file in files_with(secret, folder)}
    assert set(found) == {
        "credentials.json",  # the platform's own record of the key that it made
        "platform.env",  # what it gave to the user
        ".env",  # where the user keeps it
        "credentials",  # on the head's disk
    }, "the search reads hosts' disks, logs and Ray's config cache, and finds the secret where it belongs, only"
    assert all(file.stat().st_mode & 0o077 == 0 for name, file in found.items() if name != ".env")


def token_stays_secret(platform: PlatformView, box: Box, ray: Ray, watch: SecretWatch) -> None:
    (token,) = kept_tokens(ray)
    tickets = [str((task.environment or {}).get("RAYDOG_TICKET")) for task in platform.all_tasks()]
    tickets = [ticket for ticket in tickets if ticket != "None"]
    assert len(tickets) >= 2, "each worker's task has a ticket"
    assert all(token not in str(task) for task in platform.all_tasks())
    (own,) = files_with(token, ray.folder)
    found = [own, *files_with(token, box.folder)]
    assert {file.parent.name for file in found if file.name == "auth_token"} >= {".ray", own.parent.name}
    assert all(file.name == "auth_token" or file.parent.name == "tokens" for file in found), found
    assert all(file.stat().st_mode & 0o077 == 0 for file in found)
    assert any(b"raylet" in line for line in watch.command_lines), "the watch sees processes of the hosts"
    assert not any(ticket.encode() in line for ticket in tickets for line in watch.command_lines)
