"""The local platform as one object: its services, wired together under one lock. Knows nothing of HTTP."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from yellowdog_client.model import ApplicationDetails, Feature

from yellowdog_local.agents import Agents, InProcessAgents
from yellowdog_local.clock import Clock, RealClock
from yellowdog_local.compute import Compute
from yellowdog_local.hosts.base import HostBackend
from yellowdog_local.ids import Ids
from yellowdog_local.kernel import Kernel
from yellowdog_local.namespaces import Namespaces
from yellowdog_local.nodes import Nodes
from yellowdog_local.pools import Pools
from yellowdog_local.scheduler import Scheduler
from yellowdog_local.seed import seed
from yellowdog_local.settings import Settings
from yellowdog_local.slots import Slots
from yellowdog_local.store import Store
from yellowdog_local.tasks import Tasks
from yellowdog_local.templates import Templates
from yellowdog_local.work import Work


@runtime_checkable
class RunsAgentsInProcess(Protocol):
    """A host backend whose agents live in this process and call the platform directly."""

    def use_agents(self, agents: InProcessAgents) -> None:
        """Take the way to the platform."""


class LocalPlatform:
    """A whole YellowDog platform in one object.

    Services may be used directly, under `locked()`; that is what the HTTP routes do. `close()` ends all hosts.

    Args:
        settings: how it behaves where the real platform's behaviour is not known.
        clock: where it takes its time from; `close()` closes it as well.
        hosts: what its instances are; `close()` closes it as well.
        api_key: id and secret that callers must show; made up if omitted.
    """

    def __init__(
        self,
        *,
        hosts: HostBackend,
        settings: Settings | None = None,
        clock: Clock | None = None,
        api_key: tuple[str, str] | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = clock or RealClock()
        self.hosts = hosts
        self.api_key = api_key or (secrets.token_hex(8), secrets.token_urlsafe(24))
        self.store = Store()
        self._kernel = kernel = Kernel(self.clock, self.settings)
        ids = Ids(self.settings.random_seed)
        self.namespaces = Namespaces(kernel, self.store, ids)
        self.templates = Templates(kernel, self.store, ids, self.namespaces)
        self.agents = Agents(kernel, self.store)
        self.compute = Compute(kernel, self.store, ids, self.namespaces, self.templates, hosts)
        slots = Slots(kernel)
        tasks = Tasks(kernel, self.store, self.namespaces, self.agents, slots)
        self.tasks = tasks
        self.nodes = Nodes(kernel, self.store, ids, self.agents, slots, tasks, self.compute)
        self.work = Work(kernel, self.store, ids, self.namespaces, tasks)
        self.pools = Pools(kernel, self.store, ids, slots, self.nodes, self.compute)
        self.scheduler = Scheduler(kernel, self.store, slots, tasks, self.work, self.pools)
        self.agents.hooks = self.nodes
        self.compute.on_instance_ending = self.nodes.instance_ending
        self.compute.on_change = self.nodes.requirement_changed
        self.pools.on_shut_down = self.scheduler.pool_shut_down
        kernel.on_pass = self.scheduler.run_pass
        self.application = _application(self.settings, ids)
        if isinstance(hosts, RunsAgentsInProcess):
            hosts.use_agents(InProcessAgents(kernel, self.agents))
        with self.locked():
            seed(self.namespaces, self.templates)

    def locked(self) -> AbstractContextManager[None]:
        """Hold the platform's lock."""
        return self._kernel.locked()

    def close(self) -> None:
        """End all hosts and stop the clock."""
        with self.locked():
            self.agents.wake_all()
        self.hosts.close()
        self.clock.close()


def _application(settings: Settings, ids: Ids) -> ApplicationDetails:
    return ApplicationDetails(
        accountId=ids.new("account"),
        accountName=settings.account_name,
        id=ids.new("app"),
        name="local",
        allNamespacesReadable=True,
        features=[Feature.PLATFORM],
    )
