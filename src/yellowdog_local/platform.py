"""The local platform as one object: clock, hosts, faults, and all services under one lock. Imports no HTTP."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from yellowdog_client.model import ApplicationDetails, Feature

from yellowdog_local.account.account import Account
from yellowdog_local.agents import InProcessAgents
from yellowdog_local.faults import Faults
from yellowdog_local.faults.lists import LaggingLists
from yellowdog_local.hosts.base import SIMULATED, HostBackend
from yellowdog_local.recording import Calls
from yellowdog_local.seed import seed
from yellowdog_local.services import Services
from yellowdog_local.state.clock import AcceleratedClock, Clock, RealClock
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord
from yellowdog_local.state.settings import Settings

_RESET_SECONDS = 60.0
_RESET_STEP_SECONDS = 0.02


@runtime_checkable
class RunsAgentsInProcess(Protocol):
    """A host backend whose agents run in this process and call the platform directly."""

    def use_agents(self, agents: InProcessAgents) -> None:
        """Receive the object by which agents call the platform."""


class LocalPlatform:
    """A whole YellowDog platform in one object.

    Services may be used directly, under `locked()`, as the HTTP routes do. `close()` terminates all hosts.

    Args:
        settings: its behaviour where that of the real platform is not documented.
        clock: its source of time; `close()` closes it as well.
        hosts: the backend that creates its instances' hosts; `close()` closes it as well.
        api_key: id and secret that callers must show; generated if omitted.
        plant: called under the lock at the start and after each reset, to create what the platform is to contain.

    Raises:
        ValueError: the clock is accelerated and the hosts are real.
    """

    def __init__(
        self,
        *,
        hosts: HostBackend,
        settings: Settings | None = None,
        clock: Clock | None = None,
        api_key: tuple[str, str] | None = None,
        plant: Callable[[LocalPlatform], None] | None = None,
    ) -> None:
        if isinstance(clock, AcceleratedClock) and hosts.kind != SIMULATED:
            raise ValueError(f"an accelerated clock needs simulated hosts: {hosts.kind} hosts run in real time")
        self.settings = settings or Settings()
        self.clock = clock or RealClock()
        self.hosts = hosts
        self.api_key = api_key or (secrets.token_hex(8), secrets.token_urlsafe(24))
        self._plant = plant
        self.faults = Faults()
        self.calls = Calls(self.clock, self.settings.recorded_calls)
        self._kernel = Kernel(self.clock, self.settings, run_pass=lambda: self.scheduler.run_pass())
        self._ids = Ids(self.settings.random_seed, self.settings.instance_id_prefix)
        self.lists = LaggingLists(self._kernel, self.faults)
        self.application = _application(self.settings, self._ids)
        self.account = Account(self._ids, self.application)
        self.faults.listeners.added.append(lambda rule_id, rule: self._services.rule_added(rule_id, rule))
        self._start()

    def _start(self) -> None:
        """Construct all services anew, with an empty store."""
        self._services = services = Services(self._kernel, self._ids, self.hosts, self.faults)
        self.store = services.store
        self.namespaces = services.namespaces
        self.templates = services.templates
        self.agents = services.agents
        self.instances = services.instances
        self.compute = services.compute
        self.tasks = services.tasks
        self.nodes = services.nodes
        self.work = services.work
        self.pools = services.pools
        self.configured = services.configured
        self.node_actions = services.node_actions
        self.policies = services.policies
        self.attributes = services.attributes
        self.images = services.images
        self.keyrings = services.keyrings
        self.allowances = services.allowances
        self.cloud_info = services.cloud_info
        self.scheduler = services.scheduler
        if isinstance(self.hosts, RunsAgentsInProcess):
            self.hosts.use_agents(InProcessAgents(self._kernel, self.agents))
        with self.locked():
            seed(self.namespaces, self.templates)
            if self._plant is not None:
                self._plant(self)

    def locked(self) -> AbstractContextManager[None]:
        """Hold the platform's lock."""
        return self._kernel.locked()

    def watching(self, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `wake`, under the lock, after every change."""
        return self._kernel.watching(wake)

    def wake_watchers(self) -> None:
        """Call every watcher as if something had changed."""
        self._kernel.wake_watchers()

    def reset(self) -> None:
        """Terminate all hosts and delete all state, with faults and recorded calls; the key and the clock stay.

        Raises:
            TimeoutError: a host does not end.
        """
        deadline = time.monotonic() + _RESET_SECONDS
        self.faults.clear()
        while not self._restart_if_empty():
            if time.monotonic() > deadline:
                raise TimeoutError(f"hosts still run {_RESET_SECONDS:.0f} s after they were terminated")
            time.sleep(_RESET_STEP_SECONDS)
        self.calls.clear()

    def _restart_if_empty(self) -> bool:
        with self.locked():
            for requirement in tuple(self.store.requirements.values()):
                self.compute.terminate(requirement)
            if any(_has_host(instance) for instance in self.store.instances.values()):
                return False
            self.agents.wake_all()
            self._kernel.cancel_timers()
            self._start()
        return True

    def close(self) -> None:
        """Terminate all hosts and stop the clock."""
        with self.locked():
            self.agents.wake_all()
        self.hosts.close()
        self.clock.close()


def _has_host(instance: InstanceRecord) -> bool:
    pool = instance.requirement.pool
    joined_by_itself = pool is not None and pool.configured
    return not instance.host_gone and not joined_by_itself


def _application(settings: Settings, ids: Ids) -> ApplicationDetails:
    return ApplicationDetails(
        accountId=ids.new("account"),
        accountName=settings.account_name,
        id=ids.new("app"),
        name="local",
        allNamespacesReadable=True,
        features=[Feature.PLATFORM],
    )
