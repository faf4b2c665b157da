"""A local platform for tests: served over HTTP, with simulated hosts unless others are given.

    from yellowdog_local.state.clock import SteppedClock
    from yellowdog_local.testing import local_platform

    def test_a_pool_boots() -> None:
        with local_platform(clock=SteppedClock()) as local, local.client() as client:
            usage = ComputeRequirementTemplateUsage(
                templateId="demo/local", requirementNamespace="demo", requirementName="pool", targetInstanceCount=1
            )
            pool = client.worker_pool_client.provision_worker_pool(usage)
            local.advance(2)  # the demo template's hosts boot in 2 s
            assert local.platform.store.pool(pool.id).active_nodes == 1

Tests add faults and count calls directly (docs/faults.md lists the faults):

    with local.faults.during(faults.Status(call="POST /work/requirements", status=429, times=1)):
        ...
    mark = local.calls.mark()
    ...
    assert local.calls.count("GET /work/tasks", since=mark) == 1

With a `SteppedClock` time passes only in calls of `advance`. With a `RealClock` (the default) it passes by itself, with
an `AcceleratedClock(100)` a hundred times as fast. On simulated hosts a task runs until it is aborted, unless its
environment says otherwise (`hosts/simulated.py`). `local_platform(hosts="auto")` has hosts that run tasks as processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from yellowdog_client import PlatformClient
from yellowdog_client.model import ApiKey, RetryProperties, ServicesSchema

from yellowdog_local.faults import Faults
from yellowdog_local.hosts.base import HostBackend
from yellowdog_local.hosts.kinds import HostKind, choose
from yellowdog_local.hosts.namespace import NamespaceHosts
from yellowdog_local.hosts.process import ProcessHosts
from yellowdog_local.hosts.real import RealHosts, make_key
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.recording import Calls
from yellowdog_local.service.seed_files import read_seed
from yellowdog_local.service.server import ServerThread
from yellowdog_local.state.clock import Clock, RealClock, SteppedClock
from yellowdog_local.state.settings import Settings

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class RunningPlatform:
    """A platform that is served over HTTP.

    Attributes:
        url: its URL.
        key_id: the id of its API key.
        key_secret: the secret of its API key.
        platform: the platform itself, for access behind the API.
        clock: its clock.
        hosts: its host backend.
        ssh_key: the private key for logins to its hosts as `hosts.ssh_user`; None for simulated hosts.
    """

    url: str
    key_id: str
    key_secret: str
    platform: LocalPlatform
    clock: Clock
    hosts: HostBackend
    ssh_key: Path | None = None

    @property
    def faults(self) -> Faults:
        """The active faults: `add` and `remove` rules, or activate them `during` a block."""
        return self.platform.faults

    @property
    def calls(self) -> Calls:
        """The recorded calls of the API: `count` them, or read them one by one."""
        return self.platform.calls

    def reset(self) -> None:
        """Terminate all hosts and delete all state, faults and recorded calls included."""
        self.platform.reset()

    def client(self, *, read_timeout_seconds: float = 10.0) -> PlatformClient:
        """Create an SDK client with short retries; use it as a context manager, or close it."""
        schema = ServicesSchema(
            defaultUrl=self.url,
            retry=RetryProperties(
                maxAttempts=2,
                initialInterval=timedelta(milliseconds=10),
                maxInterval=timedelta(milliseconds=50),
            ),
            connectionTimeout=timedelta(seconds=5),
            readTimeout=timedelta(seconds=read_timeout_seconds),
        )
        return PlatformClient.create(schema, ApiKey(self.key_id, self.key_secret))

    def advance(self, seconds: float = 0.0) -> None:
        """Step the clock.

        Raises:
            TypeError: it is no `SteppedClock`.
        """
        if not isinstance(self.clock, SteppedClock):
            raise TypeError("only a platform with a SteppedClock can be advanced")
        self.clock.advance(seconds)


@contextmanager
def local_platform(
    hosts: HostBackend | HostKind | str = HostKind.SIMULATED,
    clock: Clock | None = None,
    settings: Settings | None = None,
    directory: Path | None = None,
    seed: Path | None = None,
) -> Iterator[RunningPlatform]:
    """Serve a fresh platform on a free port of this machine; end all its hosts and threads afterwards.

    Args:
        hosts: a kind of hosts ("simulated", "namespace", "process", "auto" for the better of the last two), or hosts.
        clock: the platform's clock; real hosts need a `RealClock`, which is the default.
        settings: the platform's behaviour where that of the real one is not known.
        directory: the directory of real hosts' disks, logs and SSH key; a temporary one by default.
        seed: a JSON or YAML file of resources that the platform contains from its start.

    Raises:
        SeedError: the seed file cannot be read, or the platform refuses it.
        MissingRequirementError: this machine cannot run hosts of this kind; the message names the remedy.
        ValueError: there is no such kind, or it does not support the clock.
    """
    clock = clock or RealClock()
    with _backend(hosts, clock, directory) as (backend, address, ssh_key):
        plant = read_seed(seed).plant if seed else None
        platform = LocalPlatform(hosts=backend, clock=clock, settings=settings, plant=plant)
        try:
            with ServerThread(platform, address) as server:
                if isinstance(backend, RealHosts):
                    backend.platform_url = server.url
                key_id, key_secret = platform.api_key
                yield RunningPlatform(server.url, key_id, key_secret, platform, clock, backend, ssh_key)
        finally:
            platform.close()


@contextmanager
def _backend(
    requested: HostBackend | HostKind | str, clock: Clock, directory: Path | None
) -> Iterator[tuple[HostBackend, str, Path | None]]:
    """Hosts, the platform's address for them, and the private key for logins."""
    if not isinstance(requested, str):
        yield requested, _LOOPBACK, None
        return
    kind = choose(HostKind(requested)).kind
    if kind is HostKind.SIMULATED:
        yield SimulatedHosts(), _LOOPBACK, None
        return
    if isinstance(clock, SteppedClock):
        raise ValueError(f"tasks on {kind.value} hosts take real time: give local_platform a RealClock, or none")  # noqa: TRY004
    with TemporaryDirectory(prefix="yellowdog-local-") as temporary:
        place = directory or Path(temporary)
        ssh_key = place / "id_ed25519"
        if not ssh_key.exists():
            make_key(ssh_key, "yellowdog-local")
        make = ProcessHosts if kind is HostKind.PROCESS else NamespaceHosts
        hosts: RealHosts = make(place, ssh_key.with_suffix(".pub").read_text(encoding="utf-8"))
        hosts.open()
        try:
            yield hosts, hosts.gateway, ssh_key
        finally:
            hosts.close()
