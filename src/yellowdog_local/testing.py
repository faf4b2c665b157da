"""A local platform for tests: served over HTTP, with simulated hosts unless others are given.

    from yellowdog_local.clock import SteppedClock
    from yellowdog_local.testing import local_platform

    def test_a_pool_boots() -> None:
        with local_platform(clock=SteppedClock()) as local, local.client() as client:
            usage = ComputeRequirementTemplateUsage(
                templateId="demo/local", requirementNamespace="demo", requirementName="pool", targetInstanceCount=1
            )
            pool = client.worker_pool_client.provision_worker_pool(usage)
            local.advance(2)  # the demo template's hosts boot in 2 s
            assert local.platform.store.pool(pool.id).active_nodes == 1

Faults are added and calls are counted directly (docs/faults.md tells which faults there are):

    with local.faults.during(faults.Status(call="POST /work/requirements", status=429, times=1)):
        ...
    mark = local.calls.mark()
    ...
    assert local.calls.count("GET /work/tasks", since=mark) == 1

With a `SteppedClock` nothing happens that takes time until `advance` is called, and then it happens in that call.
With a `RealClock` (the default) time passes by itself, with an `AcceleratedClock(100)` a hundred times as fast. What
simulated hosts do with a task is told in `hosts/simulated.py`: without further word it runs until it is aborted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from yellowdog_client import PlatformClient
from yellowdog_client.model import ApiKey, RetryProperties, ServicesSchema

from yellowdog_local.clock import Clock, RealClock, SteppedClock
from yellowdog_local.faults import Faults
from yellowdog_local.hosts.base import HostBackend
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.recording import Calls
from yellowdog_local.server import ServerThread
from yellowdog_local.settings import Settings


@dataclass(frozen=True)
class RunningPlatform:
    """A platform that is being served.

    Attributes:
        url: where it is served.
        key_id: id of the application key it demands.
        key_secret: secret of that key.
        platform: the platform itself, for looking behind the API.
        clock: its clock.
        hosts: its host backend.
    """

    url: str
    key_id: str
    key_secret: str
    platform: LocalPlatform
    clock: Clock
    hosts: HostBackend

    @property
    def faults(self) -> Faults:
        """The faults in force: `add` and `remove` them, or have them `during` a block."""
        return self.platform.faults

    @property
    def calls(self) -> Calls:
        """The calls of the API that were made: `count` them, or look at them one by one."""
        return self.platform.calls

    def reset(self) -> None:
        """End all hosts and forget everything, faults and recorded calls included."""
        self.platform.reset()

    def client(self, *, read_timeout_seconds: float = 10.0) -> PlatformClient:
        """A new SDK client with short retries; use it as a context manager, or close it."""
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
        """Step the clock, which must be a `SteppedClock`."""
        if not isinstance(self.clock, SteppedClock):
            raise TypeError("only a platform with a SteppedClock can be advanced")
        self.clock.advance(seconds)


@contextmanager
def local_platform(
    hosts: HostBackend | None = None, clock: Clock | None = None, settings: Settings | None = None
) -> Iterator[RunningPlatform]:
    """Serve a fresh platform on a free port of this machine; ends all its hosts and threads afterwards."""
    clock = clock or RealClock()
    hosts = hosts or SimulatedHosts()
    platform = LocalPlatform(hosts=hosts, clock=clock, settings=settings)
    try:
        with ServerThread(platform) as server:
            key_id, key_secret = platform.api_key
            yield RunningPlatform(server.url, key_id, key_secret, platform, clock, hosts)
    finally:
        platform.close()
